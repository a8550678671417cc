"""The share of time that measuring takes, by a clock that only the test moves."""

import json
import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import Recipe, changed
from phosphene.training.horizon import Horizon
from phosphene.training.measuring import PAUSE, SAMPLES, Measuring, Parts, Pieces, Seconds
from phosphene.training.share import HELD_OUT, SPACING, TURN, Share
from phosphene.training.trainer import Trainer
from tests.conftest import Clock


class Bare(Trainer):
    """As much of a trainer as measuring needs."""

    def __init__(self, share: Share, recipe: Recipe, total: int) -> None:
        self.clock, self.recipe = Clock(), recipe
        self.horizon = Horizon(total, None, 0.3, {}, measuring=share)
        self.step, self.elapsed, self.ticked = 0, 0.0, self.clock()

    def takes(self, seconds: float) -> None:
        """A step."""
        assert isinstance(self.clock, Clock)
        self.clock.now += seconds
        self.step += 1
        self.horizon.settle(self.step, self.elapsed, self.tick())


class Fake:
    """Measurements whose pieces take what a list says, again and again from its start; what was done when."""

    def __init__(self, trainer: Bare, costs: Sequence[float], pieces: int) -> None:
        self.trainer, self.costs, self.pieces_, self.next = trainer, costs, pieces, 0
        self.begun: list[float] = []
        self.parts: list[Parts] = []
        self.done: list[float] = []
        self.most = 0.0

    def pieces(self, parts: Parts, took: Seconds) -> Pieces:
        self.begun.append(self.trainer.elapsed)
        self.parts.append(parts)
        for number in range(self.pieces_):
            yield HELD_OUT if HELD_OUT in parts and not number else "sampling"
            seconds = self.costs[self.next % len(self.costs)]
            assert isinstance(self.trainer.clock, Clock)
            self.trainer.clock.now += seconds
            self.next += 1
            self.done.append(seconds)


def never() -> bool:
    return False


def run(
    limit: float, steps: Sequence[float], costs: Sequence[float], pieces: int, every: float = 1.0
) -> tuple[Bare, Fake, float]:
    """A run to its end. The most that the share was ever exceeded by, in seconds, is the last."""
    trainer = Bare(Share(limit, every), changed(FLOW, {"training.budget": 100.0}), len(steps))
    fake = Fake(trainer, costs, pieces)
    measuring = Measuring(trainer, fake.pieces)
    share, over = trainer.horizon.measuring, -math.inf
    for seconds in steps:
        trainer.takes(seconds)
        measuring.between(never)
        over = max(over, share.spent - limit * trainer.elapsed)
    measuring.finish(never)
    assert trainer.elapsed == pytest.approx(sum(steps) + share.spent)
    assert share.spent == pytest.approx(sum(fake.done))
    return trainer, fake, max(over, share.spent - limit * trainer.elapsed)


SECONDS = st.floats(0.01, 5.0)


@settings(max_examples=30)
@given(
    st.sampled_from([0.01, 0.05, 0.2]),
    st.lists(SECONDS, min_size=20, max_size=60),
    st.lists(SECONDS, min_size=1, max_size=12),
    st.integers(1, 8),
)
def test_the_share_is_exceeded_at_no_time_by_more_than_one_piece_that_took_longer_than_any_like_it(
    limit, steps, costs, pieces
):
    """Whatever steps and pieces take. What could not be foreseen of a piece is paid off before the next."""
    _, _, over = run(limit, steps, costs, pieces)
    assert over <= max(costs) + 1e-9


@settings(max_examples=30)
@given(
    st.sampled_from([0.01, 0.05, 0.2]),
    st.lists(st.just(1.0) | st.floats(1.0, 5.0), min_size=20, max_size=60),
    st.floats(0.01, 1.0),
    st.integers(1, 8),
)
def test_the_share_is_never_exceeded_where_no_piece_surprises(limit, steps, cost, pieces):
    """Pieces that take the same, and no longer than a step."""
    _, _, over = run(limit, steps, [cost], pieces)
    assert over <= 1e-9


def test_a_steady_run_uses_what_it_may_and_measures_at_its_end():
    """100 s of steps at 5%, and 20 pieces of 0.05 s a measurement: five measurements."""
    trainer, fake, _ = run(0.05, [0.1] * 1000, [0.05], 20)
    whole, part = (SAMPLES, HELD_OUT), (SAMPLES,)
    assert fake.parts == [whole, part, part, whole, whole]  # every third, and the last
    assert TURN == 3
    assert trainer.horizon.measuring.count == 5
    assert 0.045 < trainer.horizon.measuring.spent / trainer.elapsed <= 0.05
    assert fake.begun[-1] == pytest.approx(100 + 4)


def test_measurements_are_spaced_and_none_comes_shortly_before_the_end():
    trainer, fake, _ = run(0.5, [0.1] * 1000, [0.01], 1, every=7.0)
    begun, end = fake.begun[:-1], fake.begun[-1]
    assert min(b - a for a, b in pairwise(begun)) >= 7.0 - 1e-9
    assert end - begun[-1] >= 7.0 - 0.2
    assert len(begun) == 13
    assert trainer.horizon.measuring.count == 14
    long, _, _ = run(0.5, [2.0] * 2000, [0.01], 1, every=8.0)
    # From 8 x 32 s on the spacing grows: 32 measurements each time the run is e times as long.
    expected = SPACING + SPACING * math.log(4000 / (8 * SPACING))
    assert long.horizon.measuring.count == pytest.approx(expected, rel=0.1)


def test_a_measurement_waits_for_the_next_step_after_a_pause():
    trainer = Bare(Share(0.9, 1.0), changed(FLOW, {"training.budget": 100.0}), 1000)
    fake = Fake(trainer, [0.2], 10)
    measuring = Measuring(trainer, fake.pieces)
    for _ in range(20):
        trainer.takes(1.0)
    measuring.between(never)
    assert len(fake.done) == math.ceil(PAUSE / 0.2)
    trainer.takes(1.0)
    measuring.between(never)
    assert len(fake.done) == 2 * math.ceil(PAUSE / 0.2)


def test_a_signal_ends_measuring_after_the_piece_under_way():
    trainer = Bare(Share(0.9, 1.0), changed(FLOW, {"training.budget": 100.0}), 1000)
    fake = Fake(trainer, [0.01], 100)
    measuring = Measuring(trainer, fake.pieces)
    for _ in range(20):
        trainer.takes(1.0)
    measuring.between(lambda: len(fake.done) >= 7)
    assert len(fake.done) == 7
    measuring.finish(lambda: len(fake.done) >= 9)
    assert len(fake.done) == 9
    assert trainer.horizon.measuring.count == 0


def test_a_run_of_pictures_gets_its_held_out_loss_however_short_it_is():
    for changes, pieces in (({"training.images": 64}, 1), ({"training.budget": 1.0}, 0)):
        trainer = Bare(Share(0.05, 10.0), changed(FLOW, changes), 2)
        fake = Fake(trainer, [0.3], 5)
        measuring = Measuring(trainer, fake.pieces)
        trainer.takes(0.1)
        trainer.takes(0.1)
        measuring.finish(never)
        assert len(fake.done) == pieces
        assert fake.parts == [(HELD_OUT, SAMPLES) if pieces else (SAMPLES, HELD_OUT)]


def held_out_asks(trainer: Bare, fake: Fake) -> Measuring:
    """512 answers of the network in the longest piece of held-out losses, 3,072 in all."""
    return Measuring(trainer, fake.pieces, asked=(512, 3072))


def test_a_short_run_leaves_held_out_losses_out_and_is_measured():
    """46 steps of 32 in 2.6 s each: 6 s may be spent, held-out losses take 83 s, samples 8 times 0.35 s.

    3,072 answers of 96 a step are 32 steps; they pay from 1,280 steps on, where half of 5% is 32 steps.
    """
    changes = {"training.batch": 32, "training.budget": 120.0}
    for steps, parts in ((46, (SAMPLES,)), (1279, (SAMPLES,)), (1281, (SAMPLES, HELD_OUT))):
        trainer = Bare(Share(0.05, 10.0), changed(FLOW, changes), steps)
        fake = Fake(trainer, [0.35], 8)
        measuring = held_out_asks(trainer, fake)
        for _ in range(steps):
            trainer.takes(2.6)
            measuring.between(never)
        measuring.finish(never)
        share = trainer.horizon.measuring
        assert fake.parts[0] == parts
        assert share.count >= 2
        assert share.spent <= 0.05 * trainer.elapsed


def test_the_first_piece_of_held_out_losses_waits_until_the_share_holds_what_it_asks():
    """512 answers are 5.33 steps of 32, which 5% holds after 107 steps; then 8 pieces of 1 s."""
    trainer = Bare(
        Share(0.05, 1.0), changed(FLOW, {"training.batch": 32, "training.images": 3200 * 32}), 3200
    )
    fake = Fake(trainer, [1.0], 8)
    measuring = held_out_asks(trainer, fake)
    while not fake.done:
        trainer.takes(1.0)
        measuring.between(never)
    assert trainer.elapsed == 1.0 + math.ceil(512 / 96 / 0.05 - 512 / 96)
    assert HELD_OUT in fake.parts[0]


def test_no_share_measures_nothing():
    _, fake, _ = run(0.0, [1.0] * 100, [0.1], 3)
    assert fake.begun == []


def test_a_share_survives_a_checkpoint():
    share = Share(0.05, 10.0)
    share.took("sampling", 0.5)
    share.took("sampling", 0.1)
    assert share.pieces == {"sampling": 0.45}  # the maximum fades
    share.measured({"sampling": 0.6, HELD_OUT: 0.9})
    assert share.last == pytest.approx(1.5)
    assert share.whole == pytest.approx(0.6 + 0.3)
    share.begun, share.pictures = 12.5, 128
    again = Share(0.05, 10.0)
    again.restore(json.loads(json.dumps(share.state())))
    assert again == share
