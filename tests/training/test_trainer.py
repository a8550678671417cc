"""The trainer's own arithmetic, on sets small enough to count by hand."""

import dataclasses

import numpy as np
import torch

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training.train import build
from phosphene.training.trainer import evenly
from phosphene.training.workers import Workers
from tests.conftest import SMALL


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
    trainer.validate()
    assert len(set(seen)) == 256
    assert data.labels is not None
    counts = np.bincount(data.labels[seen], minlength=10)
    expected = np.bincount(data.labels[trainer.held_out], minlength=10) * 256 / len(trainer.held_out)
    assert np.abs(counts - expected).max() <= 1
