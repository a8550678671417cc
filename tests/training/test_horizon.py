"""Budgets end in time and resume where they would have ended, by a clock that only the test moves."""

import json
from collections.abc import Callable, Mapping
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
from phosphene.training.train import Outcome, Watcher, build, fit
from phosphene.training.trainer import Trainer
from phosphene.training.workers import Workers
from tests.conftest import SMALL, Clock


def recipe(budget: float, **settings: Any) -> Recipe:
    fixed = {"data.source": "digits", "data.size": 8, "training.batch": 32, "training.images": None}
    values = {f"training.{name}": value for name, value in settings.items()}
    small = dict(map(parse_assignment, SMALL))
    return changed(RECIPES["flow"], {**small, **fixed, "training.budget": budget, **values})


class Timed(Trainer):
    """A trainer whose steps only take time: `takes(step, now)` seconds, and its validations `validates`."""

    takes: Callable[[int, float], float]
    validates: float

    def update(self) -> tuple[float, float]:
        assert isinstance(self.clock, Clock)
        self.clock.now += self.takes(self.step, self.clock.now - 1000.0)
        self.step += 1
        return 1.0, 1.0

    def validate(self) -> dict[str, Any]:
        assert isinstance(self.clock, Clock)
        self.clock.now += self.validates
        return {"step": self.step, "held_out_loss": 1.0}


@pytest.fixture
def spend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a budget in imagined time; the outcome, and the facts of each checkpoint by step."""

    def run(
        wanted: Recipe,
        takes: Callable[[int, float], float],
        validates: float = 0.0,
        saves: float = 0.0,
        facts: Mapping[str, Any] | None = None,
        step: int = 0,
    ) -> tuple[Outcome, float, dict[int, dict[str, Any]]]:
        made = build(wanted, prepare(find("digits")), torch.device("cpu"), Workers())
        clock, kept = Clock(), {}
        trainer = Timed(wanted, made.dataset, made.family, made.task, made.device, made.workers, clock=clock)
        trainer.takes, trainer.validates = takes, validates
        if facts:
            trainer.step, trainer.elapsed = step, facts["elapsed"]
            trainer.horizon.total, trainer.horizon.costs = facts["total"], dict(facts["costs"])

        def save(trainer: Trainer, _: object) -> None:
            kept[trainer.step] = json.loads(json.dumps(trainer.facts()))
            clock.now += saves

        monkeypatch.setattr(train, "save", save)
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
    "nothing else": (0.0, 0.0),
    "slow validation": (6.0, 0.0),
    "both slow": (4.0, 5.0),
}


@pytest.mark.parametrize("decay", [0.3, 0.0])
@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("pace", PACES)
def test_a_run_ends_within_a_tenth_of_its_budget(spend, pace, costs, decay):
    validates, saves = COSTS[costs]
    wanted = recipe(100.0, decay=decay, validate_every=30.0, checkpoint=40.0)
    outcome, spent, _ = spend(wanted, PACES[pace], validates, saves)
    assert outcome.seconds == pytest.approx(spent)  # everything is counted, to the written model
    assert 90 <= spent <= 110


def test_a_steady_run_ends_within_a_hundredth(spend):
    """Validations before the middle of the budget are due too; one in the decay is planned for."""
    wanted = recipe(1000.0, decay=0.3, validate_every=60.0, checkpoint=300.0)
    _, spent, _ = spend(wanted, lambda step, now: 0.5, 3.0, 5.0)
    assert spent == pytest.approx(1000, abs=10)


def test_a_step_longer_than_the_budget(spend):
    outcome, spent, kept = spend(recipe(1.0), lambda step, now: 30.0, 0.1, 0.1)
    assert outcome.step == 1
    assert spent == pytest.approx(30.2)  # nothing twice
    assert list(kept) == [1]


def test_the_number_of_steps_is_kept_at_once_and_a_resumed_run_ends_there(spend):
    """From any checkpoint that knows it, on a process that warms up anew, the run has as many steps."""
    wanted = recipe(100.0, decay=0.3, validate_every=30.0, checkpoint=10.0)
    noisy = lambda step, now: 0.1 + 0.01 * (step * 7919 % 13 - 6) / 6  # noqa: E731
    outcome, _, kept = spend(wanted, noisy, 0.4, 0.3)
    knowing = [step for step, facts in kept.items() if facts["total"] is not None]
    first = kept[knowing[0]]
    assert first["elapsed"] == pytest.approx(70, abs=1)
    assert len(knowing) > 2
    for step in knowing:
        assert kept[step]["total"] == outcome.step
        warms = lambda at, now, begun=step: noisy(at, now) + 2.0 * (at == begun)  # noqa: E731
        again, _, _ = spend(wanted, warms, 0.4, 0.3, kept[step], step)
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
    """100 steps of 0.1 s; 2 s of validation every 10 s make a step 0.12 s, and one comes at the end."""
    horizon = Horizon(None, 100.0, 0.3, {"validation": 10.0})
    assert horizon.left(0, 0.0) == 100
    horizon.settle(1, 20.0, 20.0)
    assert horizon.pace is None
    horizon.settle(2, 20.1, 0.1)
    assert horizon.pace == 0.1
    horizon.costs["validation"] = 2.0
    assert horizon.pace == pytest.approx(0.12)
    assert horizon.left(3, 40.0) == 60
    horizon.total = 103
    assert horizon.left(3, 40.0) == pytest.approx(14)
