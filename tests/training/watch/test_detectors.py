"""Each detector: the fault in a stream is named, in time, and a healthy stream is passed in silence."""

import json
import math
import random

import pytest

from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import changed
from phosphene.training import optimizer
from phosphene.training.watch.copying import memorisation
from phosphene.training.watch.finding import Finding, handy
from phosphene.training.watch.history import BLOCK, MOST, SPACING, Block, History, block
from phosphene.training.watch.observation import Layers, Observation, about
from phosphene.training.watch.rate import mean_rate
from phosphene.training.watch.watch import Watch
from tests.training.watch.streams import ABOUT, TOTAL, found, healthy, held_out, kinds, samples, told


@pytest.mark.parametrize("seed", range(4))
def test_healthy_streams_are_passed_in_silence(seed):
    assert kinds(told(TOTAL, seed=seed)) == []


FROM = 150  # where faults begin


def later(**fields):
    """These fields of every step from FROM on."""
    return lambda number, step: step._replace(**fields) if number > FROM else step


def times(field: str, factor: float):
    """A field of every step from FROM on, so many times what it would be."""
    return lambda number, step: (
        step._replace(**{field: factor * getattr(step, field)}) if number > FROM else step
    )


@pytest.mark.parametrize(
    ("kind", "change", "within"),
    [
        ("value-range", later(lowest=0.0, highest=255.0, deviation=80.0), 16),
        ("value-range", later(lowest=-1.0, highest=1.01), 16),
        ("value-range", later(lowest=0.0, highest=1.0, deviation=0.3), 24),
        ("value-range", later(lowest=-1.0, highest=-0.9, deviation=0.004), 24),
        ("same-batch", later(checksum=3.5), 24),
        ("same-batch", lambda n, s: s._replace(checksum=float(n % 4)) if n > FROM else s, 24),
        ("constant-pictures", later(constant=1.0, deviation=0.0, checksum=-7.0), 24),
        ("waiting-for-data", later(waited=0.15), 64),
        ("exploding-gradients", times("gradient", 100.0), 16),
        ("vanishing-gradients", times("gradient", 1e-6), 16),
        ("learning-rate-high", times("loss", 2.0), 2 * BLOCK + 8),
    ],
)
def test_a_fault_in_the_steps_is_named_once_and_soon(kind, change, within):
    said = found(told(change=change))
    assert [finding.kind for finding in said] == [kind]
    assert FROM < said[0].step <= FROM + within + 8


@pytest.mark.parametrize(
    "change",
    [
        later(lowest=-1.0, highest=1.0),
        later(lowest=0.03, highest=1.0),  # bright pictures
        later(constant=0.4),
        later(waited=0.04),
        lambda n, s: s._replace(waited=30.0, seconds=31.0) if n == 200 else s,  # a disk that woke up
        lambda n, s: s._replace(gradient=1e5) if n % 8 == 0 else s,  # spikes, which the clip takes
        lambda n, s: s._replace(loss=1.25 * s.loss) if n > FROM else s,
        lambda n, s: s._replace(checksum=float(n % 8)),  # a set of eight batches
    ],
)
def test_what_is_particular_but_no_fault_is_passed(change):
    about = ABOUT._replace(pictures=8 * 64)
    assert kinds(told(change=change), about) == []


def test_a_gradient_that_was_always_huge():
    assert kinds(told(100, lambda _, s: s._replace(gradient=5000.0))) == ["exploding-gradients"]
    assert kinds(told(100, lambda _, s: s._replace(gradient=900.0))) == []


def test_a_small_set_may_give_the_same_pictures_in_another_order():
    """A batch that is the whole set: the order tells batches apart; below four pictures nothing does."""
    order = lambda n, s: s._replace(checksum=float(random.Random(n).randrange(24)))  # noqa: E731
    assert kinds(told(change=order), ABOUT._replace(pictures=4, batch=4)) == []
    same = lambda _, s: s._replace(checksum=1.0)  # noqa: E731
    assert kinds(told(change=same), ABOUT._replace(pictures=3, batch=3)) == []
    assert kinds(told(change=same), ABOUT._replace(pictures=4, batch=4)) == ["same-batch"]


def overflows(*steps: int):
    return lambda n, s: s._replace(gradient=math.inf, scale=2.0**-n) if n in steps else s


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (range(1, 12), []),  # a scale is found
        (range(1, 13), ["fp16-overflow"]),
        ((200, 220, 240), []),
        ((200, 220, 240, 250), ["fp16-overflow"]),
        ((200, 250, 300, 350), []),
    ],
)
def test_overflows_at_first_and_later(steps, expected):
    assert kinds(told(400, overflows(*steps))) == expected


def looks(first: int, last: int, **fields):
    """Layers with these fields from one step to another."""

    def look(step: int, rate: float) -> Layers:
        usual = Layers(40, rate, 0.007 * rate, (), ())
        return usual._replace(**fields) if first <= step <= last else usual

    return look


@pytest.mark.parametrize(("kind", "field"), [("vanishing-gradients", "vanished"), ("dead-units", "dead")])
def test_layers_that_get_no_gradient(kind, field):
    named = {field: ("a.weight", "b.weight")}
    said = found(told(layers=looks(1, 1000, **named)))
    assert [finding.kind for finding in said] == [kind]
    assert "a.weight" in said[0].what
    assert said[0].step >= ABOUT.warmup + 64
    # Three looks are not four, and a look without it begins the count again.
    assert kinds(told(layers=looks(176, 223, **named))) == []
    assert kinds(told(layers=looks(176, 224, **named))) == [kind]
    rare = lambda step, _: Layers(40, 1.0, 0.007, *2 * [() if step % 64 == 0 else ("a",)])  # noqa: E731
    assert kinds(told(layers=rare)) == []


def test_layers_for_captions_that_there_are_none_of():
    """No picture of an adapter has one: that is said when it begins, and no fault."""
    named = looks(1, 1000, vanished=("tokens.weight",))
    assert kinds(told(layers=named), ABOUT._replace(captions=False)) == []
    deaf, heard = (changed(FLOW, {"data.text": text}) for text in (None, "minilm"))
    assert [about(heard, 9, captions).captions for captions in (True, False)] == [True, False]
    assert about(deaf, 9, False).captions


def test_a_run_that_goes_on_at_a_higher_rate_may_lose_more():
    """Its rate fell to nothing and its loss by half; given a larger budget, both are again what they were."""

    def change(number, step):
        rate = 1.0 if not 150 < number <= 250 else (250 - number) / 100
        return step._replace(rate=rate, loss=step.loss * (1 if rate == 1 else 0.5))

    assert kinds(told(500, change)) == []
    # It is as if it had begun there: what happens then is still found.
    said = found(told(500, lambda n, s: times("loss", 3.0)(n - 200, change(n, s))))
    assert [finding.kind for finding in said] == ["learning-rate-high"]
    assert 350 < said[0].step <= 350 + 2 * BLOCK + 16
    # Without the fall of the rate the same losses are a fault.
    faults = kinds(told(500, lambda n, s: change(n, s)._replace(rate=1.0)))
    assert set(faults) == {"learning-rate-high"}


def test_a_learning_rate_by_the_change_of_the_weights():
    high = found(told(layers=looks(1, 1000, change=0.2)))
    assert [(f.kind, f.step) for f in high] == [("learning-rate-high", 8)]
    assert "--set training.learning_rate=5e-05" in high[0].advice
    assert kinds(told(layers=looks(1, 1000, change=0.05))) == []
    low = found(told(layers=lambda step, rate: Layers(40, rate, 1e-5 * rate, (), ())))
    assert [(f.kind, f.step) for f in low] == [("learning-rate-low", 16)]
    assert "--set training.learning_rate=0.1" in low[0].advice
    # 1000 steps, a tenth of them warm-up, a third of them decay: 0.8 of the full rate in the mean.
    edge = 0.1 / (TOTAL * 0.8)
    for factor, expected in ((0.97, ["learning-rate-low"]), (1.03, [])):
        look = lambda step, rate, f=factor: Layers(40, rate, f * edge * rate, (), ())  # noqa: E731
        assert kinds(told(200, layers=look)) == expected


def test_a_clip_that_takes_all_is_no_low_learning_rate():
    low = lambda step, rate: Layers(40, rate, 1e-5 * rate, (), ())  # noqa: E731
    assert kinds(told(15 * 16, lambda _, s: s._replace(gradient=12.0), layers=low)) == []
    assert kinds(told(15 * 16, lambda _, s: s._replace(gradient=8.0), layers=low)) == ["learning-rate-low"]


def test_a_warm_up_longer_than_the_run():
    long = ABOUT._replace(warmup=100_000, decay=0.0)
    change = lambda n, s: s._replace(rate=n / 100_000)  # noqa: E731
    said = found(told(200, change, layers=lambda _, rate: Layers(40, rate, 0.007 * rate, (), ())), long)
    assert [finding.kind for finding in said] == ["learning-rate-low"]
    assert "--set training.warmup=100" in said[0].advice


@pytest.mark.parametrize(("total", "warmup", "decay"), [(50, 20, 0.3), (10_000, 100, 0.3), (1000, 0, 0.0)])
def test_the_mean_rate_of_a_run(total, warmup, decay):
    exact = sum(optimizer.rate(step, warmup, total, decay) for step in range(total)) / total
    assert mean_rate(total, warmup, decay) == pytest.approx(exact, rel=0.01)


def run_with(*looks, steps: int = 700) -> list[Finding]:
    """Looks at held-out pictures or samples at the end of a run of 1000 steps that has got so far."""
    watch = Watch(ABOUT)
    for observation in told(steps):
        watch.see(observation)
    for i, look in enumerate(looks):
        told_at = steps + i if "held_out" in named(look) else round(steps * SPACING**i) + i
        watch.see(Observation(told_at, **named(look)))
    return watch.found


def named(look) -> dict:
    return {"held_out": look} if hasattr(look, "levels") else {"samples": look}


LAGS = held_out(averaged=0.4, live=0.3, training=0.39)


@pytest.mark.parametrize(
    ("looks", "steps", "expected"),
    [
        ([LAGS, LAGS], 700, ["ema-lag"]),
        ([LAGS, LAGS], 400, []),  # early
        ([held_out(averaged=0.4, live=0.3, training=0.39, error=0.02)] * 2, 700, ["ema-lag"]),
        ([LAGS, held_out(), LAGS], 700, []),
        ([held_out(averaged=0.34, live=0.3, training=0.33)] * 3, 700, []),
        ([held_out(averaged=0.4, live=0.3, training=0.39, error=0.1)] * 3, 700, []),  # chance
    ],
)
def test_averages_that_lag(looks, steps, expected):
    said = run_with(*looks, steps=steps)
    assert [finding.kind for finding in said] == expected
    if said:
        assert "--ema 0.05" in said[0].advice
        assert "0.4, the live ones 0.3" in said[0].what


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([samples(shift=2.0)] * 3, ["colour-drift"]),
        ([samples(shift=-1.0)] * 3, ["colour-drift"]),
        ([samples(contrast=1.7)] * 3, ["colour-drift"]),
        ([samples(contrast=0.4)] * 3, []),  # little was learnt yet
        ([samples(contrast=0.9), *[samples(contrast=0.4)] * 3], ["colour-drift"]),
        ([samples(contrast=0.9), *[samples(contrast=0.6)] * 3], []),
        ([samples(contrast=0.4, spread=0.4, apart=0.3)] * 3, []),
        ([samples(contrast=0.1, spread=0.1)] * 3, ["mode-collapse"]),
        ([samples(shift=2.0)] * 2, []),
        ([samples(shift=4.0), samples(shift=2.0), samples(shift=1.0)], []),  # it gets better
        ([samples(shift=0.5)] * 3, []),
        ([samples(spread=0.3)] * 3, ["mode-collapse"]),
        ([samples(spread=0.6)] * 3, []),
        ([samples(apart=0.2)] * 3, ["mode-collapse"]),
        ([samples(apart=0.4)] * 3, []),
        ([samples(spread=0.1), samples(spread=0.3), samples(spread=0.45)], []),  # 0.9, 0.7, 0.55 are missing
        ([samples(shift=0.9), *[samples(shift=2.0)] * 3], ["colour-drift"]),
        ([samples(copied=0.1, copied_real=0.01)] * 2, ["memorisation"]),
        ([samples(copied=0.1, copied_real=0.1)] * 2, []),
        ([samples(copied=0.1)], []),
        ([samples(copied=0.04)] * 2, []),
        ([held_out(averaged=0.3, training=0.15)] * 2, ["memorisation"]),
        ([held_out(averaged=0.3, training=0.21)] * 2, []),
        ([held_out(averaged=0.3, training=0.15)], []),
        ([held_out(averaged=0.3, training=0.15, error=0.04)] * 3, []),
    ],
)
def test_samples_and_losses(looks, expected):
    assert [finding.kind for finding in run_with(*looks)] == expected


@pytest.mark.parametrize(
    ("steps", "shifts", "expected"),
    [
        ((300, 310, 320), (2, 2, 2), []),  # too near to see whether it gets better
        ((300, 310, 320, 376, 471), (2, 2, 2, 2, 2), ["colour-drift"]),
        ((300, 376, 471), (2, 1.7, 1.5), []),  # it gets better
        ((300, 310, 320, 330), (0.3, 2, 2, 2), ["colour-drift"]),  # it was better
        ((300, 310, 320, 330), (0.3, 0.5, 2, 2), []),
        ((100, 180, 249), (2, 2, 2), []),  # in the first quarter
    ],
)
def test_colours_that_were_better_or_do_not_get_better(steps, shifts, expected):
    stream = list(told(500))
    for step, shift in reversed([*zip(steps, shifts, strict=True)]):
        stream.insert(step, Observation(step, samples=samples(shift=float(shift))))
    assert kinds(stream) == expected


def test_of_a_handful_of_pictures_copies_are_expected():
    """Of an adapter the advice is another than of a network: its width is given."""
    history = History()
    history.samples.extend([samples(copied=0.5, copied_real=0.02)] * 2)
    said = memorisation(history, ABOUT._replace(pictures=12, rank=8))
    assert said is not None
    assert said.advice.startswith("so it is to be expected of 12 pictures; ")
    assert "--rank below 8" in said.advice
    assert "--adapter PLACE:0.5" in said.advice
    assert "network.width" not in said.advice


def test_a_copied_picture_is_named():
    (said,) = run_with(*[samples(copied=0.5, copied_real=0.02)] * 2)
    assert said.what == "50% of the samples are copies of training pictures, of a and others (2% by chance)"


def test_a_finding_is_said_again_only_after_it_has_cleared():
    waits = lambda spans: lambda n, s: s._replace(waited=0.19 if any(a < n < b for a, b in spans) else 0)  # noqa: E731
    for spans, times in (([(100, 250)], 1), ([(100, 250), (265, 400)], 1), ([(100, 250), (400, 500)], 2)):
        assert kinds(told(500, waits(spans))) == ["waiting-for-data"] * times, spans


def test_a_resumed_run_says_what_the_uninterrupted_one_says():
    """Any step: the state goes through JSON, as in a checkpoint."""
    stream = list(told(400, times("gradient", 100.0), layers=looks(100, 170, dead=("a",))))
    for step in (300, 320):
        stream.insert(step, Observation(step, samples=samples(copied=0.5)))
    whole = found(stream)
    assert len(whole) == 3
    for cut in range(7, 401, 39):
        first = Watch(ABOUT)
        for observation in stream[:cut]:
            first.see(observation)
        said = first.news()
        second = Watch(ABOUT)
        second.restore(json.loads(json.dumps(first.state())))
        assert second.active == first.active
        for observation in stream[cut:]:
            second.see(observation)
        assert [*said, *second.news()] == second.found == whole
        assert len(json.dumps(second.state())) < 30_000


def test_news_is_new():
    watch = Watch(ABOUT)
    for observation in told(change=later(checksum=1.0)):
        watch.see(observation)
    assert len(watch.news()) == 1
    assert watch.news() == []
    assert list(watch.active) == ["same-batch"]


def test_blocks_are_medians_and_are_merged_in_pairs():
    chance = random.Random(0)
    steps = [healthy(i, chance)._replace(loss=float(i % 32), gradient=2.0 * i) for i in range(32)]
    assert block(steps) == Block(15.5, 8.0, 31.0)
    history = History()
    for number in range(1, BLOCK * (MOST + 3) + 1):
        step = healthy(number, chance)._replace(loss=float((number - 1) // BLOCK), gradient=1.0)
        history.add(Observation(number, step))
    assert history.length == 2 * BLOCK
    assert [b.loss for b in history.blocks] == [2 * i + 0.5 for i in range(MOST // 2 + 1)]
    assert [b.loss for b in history.partial] == [MOST + 2.0]
    assert history.now.loss == MOST + 2.0


def test_numbers_as_one_would_type_them():
    assert [handy(x) for x in (0.0034, 1e-3, 6.9e-4, 7.1e-5, 0.15, 30.0)] == [
        "0.005", "0.001", "0.0005", "0.0001", "0.2", "20",
    ]  # fmt: skip
    finding = Finding("mode-collapse", 3, "a", "b")
    assert finding.words == "mode collapse: a; b"
    assert finding.line == {"step": 3, "finding": "mode-collapse", "what": "a", "advice": "b"}
