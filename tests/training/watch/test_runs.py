"""What a trainer tells its watch, exactly; and faults in real runs of a few steps. More: bench/watch.py."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from phosphene.cli.display import Display
from phosphene.data.cache import prepare
from phosphene.data.loader import Rows
from phosphene.data.sources import find
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training.folder import create
from phosphene.training.progress import Diverged
from phosphene.training.scale import LossScale
from phosphene.training.train import Outcome, Watcher, build, fit
from phosphene.training.trainer import Trainer
from phosphene.training.watch import probe
from phosphene.training.watch.finding import Finding
from phosphene.training.watch.observation import held_out, samples
from phosphene.training.workers import Workers
from tests.conftest import SMALL


def trainer_of(**settings: object) -> Trainer:
    """16 digits a step, the small network, no measuring."""
    values = {
        **dict(map(parse_assignment, SMALL)),
        "data.source": "digits",
        "data.size": 8,
        "training.batch": 16,
        "training.images": 16 * 40,
        "training.warmup": 4,
        "training.optimizer": "adamw",
        "training.learning_rate": 3e-3,
        "training.measure_share": 0.0,
        "training.checkpoint": 1e9,
    }
    named = {name.replace("__", "."): value for name, value in settings.items()}
    recipe = changed(RECIPES["flow"], {**values, **named})
    return build(recipe, prepare(find("digits")), torch.device("cpu"), Workers())


def run(trainer: Trainer, place: Path, watcher: Watcher | None = None) -> Outcome:
    return fit(trainer, create(place / "r", trainer.recipe, False), watcher or Watcher())


def test_what_a_batch_of_pictures_tells():
    values = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    values[1], values[4] = 0.25, -0.5
    low, high, mean, deviation, constant, checksum = probe.pixels(values).tolist()
    array = values.double().numpy()
    assert (low, high) == (values.min(), values.max())
    assert mean == pytest.approx(array.mean(), abs=1e-6)
    assert deviation == pytest.approx(array.std(), abs=1e-6)
    assert constant == pytest.approx(2 / 6)
    rows = array.reshape(6, -1).mean(1)
    assert checksum == pytest.approx((np.sqrt(np.arange(1, 7)) * rows).sum(), abs=1e-5)
    assert probe.pixels(values.flip(0))[5] != checksum


def test_what_the_weights_tell():
    """Three steps of plain descent: changes, lost layers and dead units are known."""
    network = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 10), nn.Linear(10, 5), nn.Linear(5, 2))
    listener = probe.Probe(network)
    assert list(listener.matrices) == ["1.weight", "2.weight", "3.weight"]
    one, two, three = listener.matrices.values()
    gradients = [torch.ones_like(weight) for weight in (one, two, three)]
    gradients[0][:2] = 0.0  # 2 of 10 units
    gradients[1][0] = 0.0  # 1 of 5
    one.grad, two.grad, three.grad = gradients[0], gradients[1], 1e-9 * gradients[2]
    before = listener.before()
    with torch.no_grad():
        one.mul_(1.5)
        two.mul_(0.75)
    told = listener.after(before, 0.5)
    assert (told.matrices, told.rate) == (3, 0.5)
    assert told.change == pytest.approx(0.25)  # the median of 0.5, 0.25 and 0
    assert told.vanished == ("3.weight",)
    assert told.dead == ("1.weight", "2.weight")
    two.grad = None
    assert listener.after(listener.before(), 1.0).vanished == ("2.weight", "3.weight")
    assert [step for step in range(1, 50) if probe.looks(step)] == [1, 2, 4, 8, 16, 32, 48]


def test_statistics_of_samples():
    made = torch.tensor([0.0, 1.0, 2.0, 3.0]).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    real = 2 * made + 1
    told = samples(made, real, 0.25, None, ("a",))
    assert (told.pictures, told.mean, told.real_mean) == (4, (1.5,), (4.0,))
    assert told.deviation[0] == pytest.approx(np.repeat(np.arange(4.0), 4).std(ddof=1))
    assert told.real_between[0] == pytest.approx(2 * np.arange(4.0).std(ddof=1))
    assert told.spread == pytest.approx(0.5)
    assert told.apart == pytest.approx(0.5)
    pairs = torch.cat([real, real + 0.1])
    assert samples(pairs, pairs.roll(1, 0)).apart == pytest.approx(1.0)
    assert samples(pairs, 10 * pairs).apart == pytest.approx(0.1)
    assert told.copied == 0.25
    assert math.isnan(told.copied_real)


def test_statistics_of_held_out_losses():
    everything = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    told = held_out(
        (0.5,), everything, torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 2.0]]), torch.ones(1, 2)
    )
    assert told.averaged == (3.0,)
    assert told.behind == (0.0,)
    assert told.behind_error == pytest.approx((1 / math.sqrt(2),))
    assert told.training == (1.0,)
    assert told.training_error == pytest.approx((math.sqrt(3.5) / 2,))


def test_a_step_tells_what_it_did():
    trainer = trainer_of()
    with torch.random.fork_rng():
        loss, gradient = trainer.update()
    told = trainer.told.training
    assert told is not None
    assert (told.loss, told.gradient, told.rate) == (loss, gradient, 0.25)
    values = trainer.loader.batch(0).values
    assert (told.lowest, told.highest) == (values.min(), values.max())
    assert trainer.told.layers is not None
    assert trainer.told.layers.rate == 0.25


def test_the_watch_does_not_change_a_run(monkeypatch, tmp_path):
    """Bit for bit: with its looks at the weights and without."""
    weights = []
    for looks in (probe.looks, lambda step: False):
        monkeypatch.setattr(probe, "looks", looks)
        trainer = trainer_of(training__images=16 * 9)
        with torch.random.fork_rng():
            for _ in trainer.run(lambda: False):
                pass
        weights.append([weight.clone() for weight in trainer.network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_what_was_seen_is_in_the_checkpoint():
    trainer, other = trainer_of(training__images=16 * 17), trainer_of()
    for _ in trainer.run(lambda: False):
        pass
    other.restore(trainer.step, trainer.tensors(), json.loads(json.dumps(trainer.facts())))
    assert other.watch.state() == trainer.watch.state()
    assert len(other.watch.history.steps) == 17


def scaled(factor: float, shift: float) -> Callable[[Trainer], None]:
    def inject(trainer: Trainer) -> None:
        batch = trainer.loader.batch
        trainer.loader.batch = lambda step: (rows := batch(step))._replace(
            values=factor * rows.values + shift
        )

    return inject


def stuck(trainer: Trainer) -> None:
    batch = trainer.loader.batch
    trainer.loader.batch = lambda step: batch(0)


def overflowing(trainer: Trainer) -> None:
    trainer.scale = LossScale(2.0**150)


def exploding(trainer: Trainer) -> None:
    for weight in trainer.network.parameters():
        weight.register_hook(lambda gradient: gradient * 1e5)


FAULTS: dict[str, tuple[str, Callable[[Trainer], None], dict]] = {
    "0..255": ("value-range", scaled(128.0, 127.5), {}),
    "0..1": ("value-range", scaled(0.5, 0.5), {}),
    "stuck": ("same-batch", stuck, {}),
    "black": ("constant-pictures", scaled(0.0, -255 / 256), {}),
    "overflow": ("fp16-overflow", overflowing, {}),
    "exploding": ("exploding-gradients", exploding, {}),
    "high": ("learning-rate-high", lambda trainer: None, {"training__learning_rate": 1.0}),
    "low": ("learning-rate-low", lambda trainer: None, {"training__learning_rate": 1e-6}),
}


@pytest.mark.parametrize("fault", [*FAULTS, "none"])
def test_a_fault_in_a_real_run_is_named_and_a_healthy_run_is_passed(fault, tmp_path):
    kind, inject, settings = FAULTS.get(fault, (None, lambda trainer: None, {}))
    # 16 steps show a fault; that a run is healthy is seen over some more.
    trainer = trainer_of(training__images=16 * (16 if kind else 40), **settings)
    inject(trainer)
    outcome = run(trainer, tmp_path)
    said = [finding.kind for finding in outcome.findings]
    if kind is None:
        assert said == []
        return
    assert kind in said
    lines = [json.loads(line) for line in (tmp_path / "r" / "log" / "metrics.jsonl").read_text().splitlines()]
    logged = [line for line in lines if "finding" in line]
    assert logged == [finding.line for finding in outcome.findings]


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_nan_is_traced_to_its_module(where, tmp_path):
    trainer = trainer_of()
    layer = dict(trainer.network.named_modules())["middle.0.block.hear"]

    def broken(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        if trainer.step < 3:
            return output
        return output / 0.0 if where == "forward" else output + (output - output).sqrt()

    layer.register_forward_hook(broken)
    with pytest.raises(Diverged) as error:
        run(trainer, tmp_path)
    message = str(error.value)
    assert "in step 3: " in message
    assert "--set training.learning_rate=0.001" in message
    if where == "forward":
        assert "it arose in module middle.0.block.hear (Scaled)" in message
    else:
        assert "it arose backward in module middle.0.block.hear" in message
    last = json.loads((tmp_path / "r" / "log" / "metrics.jsonl").read_text().splitlines()[-1])
    assert (last["finding"], last["step"]) == ("nan", 3)


def test_waiting_is_named(tmp_path):
    """By the clock alone: each batch is waited for as long as the rest of its step takes."""
    from tests.conftest import Clock

    trainer, clock = trainer_of(training__images=16 * 64, training__validate_every=1e9), Clock()
    trainer.clock = clock
    batch, step = trainer.loader.batch, trainer.optimizers.step

    def slow(step: int) -> Rows:
        clock.now += 1.0
        return batch(step)

    def compute() -> None:
        clock.now += 1.0
        step()

    trainer.loader.batch = slow
    object.__setattr__(trainer.optimizers, "step", compute)
    (found,) = run(trainer, tmp_path).findings
    assert (found.kind, found.step) == ("waiting-for-data", 64)
    assert found.what.startswith("50% of the time")


def test_dead_layers_are_named(tmp_path):
    """After the warm-up and four looks: half of a layer's units answer 0."""
    trainer = trainer_of(training__images=16 * 72)
    layer = dict(trainer.network.named_modules())["down.0.layers.0.block.first"]
    alive = (torch.arange(8) % 2).view(1, -1, 1, 1)

    def half(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output * alive

    layer.register_forward_hook(half)
    weight = trainer.network.get_parameter("down.1.layers.0.block.first.weight")
    weight.register_hook(lambda gradient: gradient * 1e-12)
    said = {finding.kind: finding for finding in run(trainer, tmp_path).findings}
    assert said.keys() == {"dead-units", "vanishing-gradients"}
    assert "down.0.layers.0.block.first.weight" in said["dead-units"].what
    assert "down.1.layers.0.block.first.weight of" in said["vanishing-gradients"].what
    assert said["dead-units"].step == 72


def test_the_display_says_a_line(capsys):
    Display().found(Finding("ema-lag", 7, "one", "two"))
    assert capsys.readouterr().err == "ema lag: one; two\n"
