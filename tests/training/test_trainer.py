"""The trainer's own arithmetic, on sets small enough to count by hand."""

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from phosphene.data.cache import prepare
from phosphene.data.loader import Loader
from phosphene.data.sources import find
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import Recipe, changed, parse_assignment
from phosphene.training.folder import create
from phosphene.training.held_out import held_out_loss
from phosphene.training.measuring import finished
from phosphene.training.train import Watcher, build, fit
from phosphene.training.trainer import Diverged, Trainer, evenly
from phosphene.training.watch.finding import Finding
from phosphene.training.workers import Workers
from tests.conftest import SMALL, Clock


def test_numbers_at_even_distances():
    assert evenly(np.arange(10, 20), 4).tolist() == [10, 12, 15, 17]
    assert evenly(np.arange(3), 4).tolist() == [0, 1, 2]
    assert evenly(np.arange(1000) ** 2, 1).tolist() == [0]


def test_the_held_out_loss_looks_at_every_class(monkeypatch):
    """On a set in order of class, as folders of classes are, with more held out than is looked at."""
    digits = prepare(find("digits"))
    assert digits.labels is not None
    order = np.argsort(digits.labels, kind="stable")
    data = dataclasses.replace(digits, pictures=digits.pictures[order], labels=digits.labels[order])
    settings = {**dict(map(parse_assignment, SMALL)), "data.held_out": 0.5, "training.batch": 64}
    trainer = build(changed(RECIPES["flow"], settings), data, torch.device("cpu"), Workers())
    assert len(trainer.held_out) > 600
    seen = []
    take = trainer.held_out_batch
    monkeypatch.setattr(trainer, "held_out_batch", lambda numbers: seen.extend(numbers) or take(numbers))
    finished(held_out_loss(trainer))
    seen = [number for number in dict.fromkeys(seen) if number in set(trainer.held_out.tolist())]
    assert len(set(seen)) == 256
    assert data.labels is not None
    counts = np.bincount(data.labels[seen], minlength=10)
    expected = np.bincount(data.labels[trainer.held_out], minlength=10) * 256 / len(trainer.held_out)
    assert np.abs(counts - expected).max() <= 1


def recipe(**settings: Any) -> Recipe:
    values = {f"training.{name}": value for name, value in settings.items()}
    small = dict(map(parse_assignment, SMALL))
    return changed(RECIPES["flow"], {**small, "data.source": "digits", "data.size": 8, **values})


def trainer_of(wanted: Recipe) -> Trainer:
    return build(wanted, prepare(find("digits")), torch.device("cpu"), Workers())


def test_waiting_for_data_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each batch is waited for 3 s, but the first for 11 s, and each step computes for 1 s."""
    monkeypatch.setattr("phosphene.training.train.REPORT_EVERY", 7.9)
    wanted = recipe(batch=16, images=64, validate_every=1e9, checkpoint=1e9)
    trainer, clock = trainer_of(wanted), Clock()
    trainer.clock = clock
    take, step = trainer.loader.batch, trainer.optimizers.step

    def slow(number: int):
        clock.now += 3.0 if number else 11.0
        return take(number)

    def compute() -> None:
        clock.now += 1.0
        step()

    monkeypatch.setattr(trainer.loader, "batch", slow)
    object.__setattr__(trainer.optimizers, "step", compute)
    outcome = fit(trainer, create(tmp_path / "r", wanted, False), Watcher())
    assert outcome.seconds == 24
    assert outcome.waiting == pytest.approx(20 / 24)
    lines = [json.loads(line) for line in (tmp_path / "r" / "log" / "metrics.jsonl").read_text().splitlines()]
    shares = [(line["step"], line["waiting"]) for line in lines if "waiting" in line]
    assert shares == [(1, round(11 / 12, 3)), (3, 0.75), (4, 0.75)]


@pytest.mark.parametrize("ends", [True, False])
def test_a_set_on_the_disk_is_read_by_a_thread_that_ends_with_the_run(tmp_path, monkeypatch, ends):
    wanted = recipe(batch=16, images=64)
    trainer = trainer_of(wanted)
    trainer.loader = Loader(trainer.dataset, trainer.loader.indices, 16, 0, "cpu", resident=0)
    update, seen = trainer.update, []

    def watched() -> tuple[float, float]:
        done = update()
        seen.append(any(thread.name.startswith("ahead") for thread in threading.enumerate()))
        if not ends and trainer.step == 2:
            raise Diverged(Finding("nan", 2, "the loss is nan", "try a lower learning rate"))
        return done

    monkeypatch.setattr(trainer, "update", watched)
    folder = create(tmp_path / "r", wanted, False)
    if ends:
        fit(trainer, folder, Watcher())
        resident = trainer_of(wanted)
        fit(resident, create(tmp_path / "s", wanted, False), Watcher())
        for one, other in zip(trainer.network.parameters(), resident.network.parameters(), strict=True):
            assert torch.equal(one, other)
    else:
        with pytest.raises(Diverged):
            fit(trainer, folder, Watcher())
    assert seen == [True] * (4 if ends else 2)
    assert not any(thread.name.startswith("ahead") for thread in threading.enumerate())


def test_the_first_of_several_workers_decides_in_which_precision_all_compute(monkeypatch):
    trainer = trainer_of(recipe())
    assert trainer.precision.name == "fp32"  # of 8 channels
    for first in ("bf16", "fp32"):
        monkeypatch.setattr(Workers, "gather", lambda self, words, first=first: [first, words])
        trainer.compute_in("auto")
        assert trainer.precision.name == first
        groups = [group for part in trainer.optimizers.parts for group in part.param_groups]
        dtypes = {group["dtype"] for group in groups if "dtype" in group}
        assert dtypes == {torch.bfloat16 if first == "bf16" else torch.float32}


@pytest.mark.parametrize(("asked", "found"), [("auto", "bf16"), ("fp32", "fp32")])
def test_a_run_goes_on_in_the_precision_that_it_began_in(asked: str, found: str):
    """What "auto" means is measured, and could come out otherwise."""
    wanted = recipe(precision=asked)
    first, second, third = (trainer_of(wanted) for _ in range(3))
    assert (first.precision.name, second.precision.name) == ("fp32", "fp32")  # of 8 channels
    first.update()
    first.compute_in("bf16")
    second.restore(1, first.tensors(), first.facts())
    assert second.precision.name == found
    groups = [group for part in second.optimizers.parts for group in part.param_groups]
    dtypes = {group["dtype"] for group in groups if "dtype" in group}
    assert dtypes == {torch.bfloat16 if found == "bf16" else torch.float32}
    facts = first.facts()
    del facts["precision"]  # as runs of before wrote them
    third.restore(1, first.tensors(), facts)
    assert third.precision.name == "fp32"
