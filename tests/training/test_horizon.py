"""Budgets end in time and resume where they would have ended, by a clock that only the test moves."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import Recipe, changed, parse_assignment
from phosphene.training import train
from phosphene.training.folder import create
from phosphene.training.horizon import Horizon
from phosphene.training.measurement import Measurement
from phosphene.training.measuring import Parts, Pieces, Seconds
from phosphene.training.share import Share
from phosphene.training.train import Outcome, Watcher, build, fit
from phosphene.training.trainer import Trainer
from phosphene.training.watch.observation import Observation, Step
from phosphene.training.workers import Workers
from tests.conftest import SMALL, Clock


def recipe(budget: float, **settings: Any) -> Recipe:
    fixed = {"data.source": "digits", "data.size": 8, "training.batch": 32, "training.images": None}
    values = {f"training.{name}": value for name, value in settings.items()}
    small = dict(map(parse_assignment, SMALL))
    return changed(RECIPES["flow"], {**small, **fixed, "training.budget": budget, **values})


class Timed(Trainer):
    """A trainer whose steps only take time: `takes(step, now)` seconds."""

    takes: Callable[[int, float], float]

    def update(self) -> tuple[float, float]:
        assert isinstance(self.clock, Clock)
        self.clock.now += self.takes(self.step, self.clock.now - 1000.0)
        self.step += 1
        self.told = Observation(self.step, Step(1.0, 1.0, 1.0, 1.0, *[math.nan] * 9))
        return 1.0, 1.0


@pytest.fixture
def spend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a budget in imagined time; the outcome, and the facts of each checkpoint by step."""

    def run(
        wanted: Recipe,
        takes: Callable[[int, float], float],
        measures: Sequence[float] = (),
        saves: float = 0.0,
        facts: Mapping[str, Any] | None = None,
        step: int = 0,
    ) -> tuple[Outcome, float, dict[int, dict[str, Any]]]:
        made = build(wanted, prepare(find("digits")), torch.device("cpu"), Workers())
        clock, kept = Clock(), {}
        trainer = Timed(wanted, made.dataset, made.family, made.task, made.device, made.workers, clock=clock)
        trainer.takes = takes
        if facts:
            trainer.step, trainer.elapsed = step, facts["elapsed"]
            trainer.horizon.total, trainer.horizon.costs = facts["total"], dict(facts["costs"])
            trainer.horizon.measuring.restore(facts["measuring"])

        def save(trainer: Trainer, _: object) -> None:
            kept[trainer.step] = json.loads(json.dumps(trainer.facts()))
            clock.now += saves

        class Fake(Measurement):
            """A measurement whose pieces only take time."""

            @property
            def asked(self) -> tuple[int, int]:
                return 0, 0

            def __init__(self, *_: object) -> None:
                self.count = 0

            def pieces(self, parts: Parts, took: Seconds) -> Pieces:
                for number, seconds in enumerate(measures):
                    yield f"piece {number}"
                    clock.now += seconds

        monkeypatch.setattr(train, "save", save)
        monkeypatch.setattr(train, "Measurement", Fake)
        folder = create(tmp_path / "r", wanted, force=True)
        outcome = fit(trainer, folder, Watcher())
        assert outcome.finished
        return outcome, clock.now - 1000.0, kept

    return run


PACES: dict[str, Callable[[int, float], float]] = {
    "constant": lambda step, now: 0.1,
    "slow first step": lambda step, now: 0.1 if step else 25.0,
    "slow first steps": lambda step, now: 0.1 if step > 2 else 8.0,
    "long steps": lambda step, now: 7.0,
    "a hiccup now and then": lambda step, now: 0.1 if step % 50 else 2.0,
    "slower before the decay": lambda step, now: 0.1 if now < 65 else 0.3,
    "faster before the decay": lambda step, now: 0.3 if now < 65 else 0.1,
    "slower in the decay": lambda step, now: 0.1 if now < 80 else 0.3,
    "faster in the decay": lambda step, now: 0.3 if now < 80 else 0.1,
    "ever slower": lambda step, now: 0.1 + now / 300,
}
COSTS = {
    "nothing else": ((), 0.0),
    "too slow to be whole": ((0.1, 6.0, 0.1), 0.0),
    "both slow": ((0.3,) * 7, 5.0),
}


@pytest.mark.parametrize("decay", [0.3, 0.0])
@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("pace", PACES)
def test_a_run_ends_within_a_tenth_of_its_budget(spend, pace, costs, decay):
    measures, saves = COSTS[costs]
    wanted = recipe(100.0, decay=decay, validate_every=10.0, checkpoint=40.0)
    outcome, spent, _ = spend(wanted, PACES[pace], measures, saves)
    assert outcome.seconds == pytest.approx(spent)  # everything is counted, to the written model
    assert 90 <= spent <= 110


def test_a_steady_run_ends_within_a_hundredth(spend):
    """Measurements before the middle of the budget are due too; those in the decay are planned for."""
    wanted = recipe(1000.0, decay=0.3, validate_every=60.0, checkpoint=300.0)
    _, spent, _ = spend(wanted, lambda step, now: 0.5, (0.5,) * 6, 5.0)
    assert spent == pytest.approx(1000, abs=10)


def test_a_step_longer_than_the_budget(spend):
    outcome, spent, kept = spend(recipe(1.0), lambda step, now: 30.0, (0.1,), 0.1)
    assert outcome.step == 1
    assert spent == pytest.approx(
        30.1
    )  # saved once; what measuring takes is not known, so it may be too much
    assert list(kept) == [1]


def test_the_number_of_steps_is_kept_at_once_and_a_resumed_run_ends_there(spend):
    """From any checkpoint that knows it, on a process that warms up anew, the run has as many steps."""
    wanted = recipe(100.0, decay=0.3, validate_every=20.0, checkpoint=10.0)

    def noisy(step, now):
        return 0.1 + 0.01 * (step * 7919 % 13 - 6) / 6

    outcome, _, kept = spend(wanted, noisy, (0.2, 0.2), 0.3)
    knowing = [step for step, facts in kept.items() if facts["total"] is not None]
    first = kept[knowing[0]]
    assert first["elapsed"] == pytest.approx(70, abs=1)
    assert len(knowing) > 2
    for step in knowing:
        assert kept[step]["total"] == outcome.step

        def warms(at, now, begun=step):
            return noisy(at, now) + 2.0 * (at == begun)

        again, _, _ = spend(wanted, warms, (0.2, 0.2), 0.3, kept[step], step)
        assert again.step == outcome.step


def test_images_are_known_from_the_start():
    horizon = Horizon(10, None, 0.3)
    for step in (1, 2, 3):
        horizon.settle(step, 1e9, 2.0)
    assert horizon.total == 10
    assert horizon.finished(10)
    assert not horizon.finished(9)
    assert horizon.left(5, 10.0) == 10.0
    assert not horizon.rehearses("checkpoint", 1e9)


def test_what_is_left():
    """100 steps of 0.1 s; 2 s of saving every 10 s make a step 0.12 s, 1 s of measuring every 20 s makes
    it 0.125 s; both come at the end too."""
    horizon = Horizon(None, 100.0, 0.3, {"checkpoint": 10.0}, measuring=Share(0.05, 10.0))
    assert horizon.left(0, 0.0) == 100
    horizon.settle(1, 20.0, 20.0)
    assert horizon.pace is None
    horizon.settle(2, 20.1, 0.1)
    assert horizon.pace == 0.1
    horizon.costs["checkpoint"] = 2.0
    assert horizon.pace == pytest.approx(0.12)
    horizon.measuring.measured({"sampling": 1.0})
    assert horizon.pace == pytest.approx(0.125)
    assert horizon.left(3, 40.0) == 60
    horizon.total = 103
    assert horizon.left(3, 40.0) == pytest.approx(12.5 + 2.0 + 1.0)
    horizon.measuring.spent = 4.5  # one more would be more than 5 of 100
    assert horizon.left(3, 40.0) == pytest.approx(12.5 + 2.0)
    horizon.stop(90)
    assert horizon.finished(90)


def test_a_stop_never_adds_steps():
    horizon = Horizon(10, None, 0.3)
    horizon.stop(11)
    assert horizon.total == 10
    horizon.stop(4)
    assert (horizon.total, horizon.finished(4)) == (4, True)
    horizon = Horizon(None, 60.0, 0.3)
    horizon.stop(7)
    assert (horizon.total, horizon.budget) == (7, None)
