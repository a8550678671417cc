"""The scale of the loss: exact where it changes nothing, and no step on a gradient that overflowed."""

import math

import pytest
import torch
from torch import nn

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training import scale
from phosphene.training.scale import LossScale
from phosphene.training.train import build
from phosphene.training.trainer import Diverged, Trainer
from phosphene.training.workers import Workers
from tests.conftest import SMALL


def trainer(monkeypatch: pytest.MonkeyPatch, factor: float) -> Trainer:
    monkeypatch.setattr(scale, "for_precision", lambda name: LossScale(factor))
    settings = {**dict(map(parse_assignment, SMALL)), "data.source": "digits", "training.batch": 16}
    data = prepare(find("digits"))
    return build(changed(RECIPES["flow"], {**settings, "data.size": 8}), data, torch.device("cpu"), Workers())


def weights(of: Trainer) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in of.network.parameters()]


def test_a_power_of_two_changes_no_bit(monkeypatch):
    plain, scaled = trainer(monkeypatch, 1.0), trainer(monkeypatch, 2.0**16)
    for _ in range(3):
        assert plain.update() == scaled.update()
    assert all(torch.equal(a, b) for a, b in zip(weights(plain), weights(scaled), strict=True))
    assert scaled.scale == LossScale(2.0**16, 3)


def test_an_overflow_costs_its_step_and_half_of_the_scale(monkeypatch):
    run = trainer(monkeypatch, 2.0**140)
    before = weights(run)
    loss, gradient = run.update()
    assert math.isfinite(loss)
    assert not math.isfinite(gradient)
    assert all(torch.equal(a, b) for a, b in zip(weights(run), before, strict=True))
    assert (run.step, run.scale) == (1, LossScale(2.0**139, 0))
    steps = 1
    while run.scale.good == 0:
        run.update()
        steps += 1
    assert 2 < steps < 40
    assert not all(torch.equal(a, b) for a, b in zip(weights(run), before, strict=True))


def test_without_a_scale_an_overflow_is_an_error(monkeypatch):
    run = trainer(monkeypatch, 1.0)
    weight = next(run.network.parameters())
    weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(Diverged):
        run.update()


def test_it_grows_after_enough_good_steps(monkeypatch):
    monkeypatch.setattr(scale, "GROWS", 3)
    now = LossScale(8.0)
    for expected in ((8.0, 1), (8.0, 2), (16.0, 0), (16.0, 1)):
        now.good_step()
        assert (now.factor, now.good) == expected
    one = LossScale(1.0)
    for _ in range(5):
        one.good_step()
    assert one.factor == 1.0


def test_undo_divides_every_gradient():
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.full((2, 2), 8.0)
    LossScale(4.0).undo(layer.parameters())
    assert torch.equal(layer.weight.grad, torch.full((2, 2), 2.0))
    assert layer.bias.grad is None


def test_it_is_float16s_and_survives_a_checkpoint(monkeypatch):
    assert scale.for_precision("fp16") == LossScale(2.0**16)
    assert scale.for_precision("bf16") == LossScale(1.0)
    run, other = trainer(monkeypatch, 2.0**100), trainer(monkeypatch, 2.0**16)
    run.update()
    other.restore(run.step, run.tensors(), run.facts())
    assert other.scale == run.scale
    assert other.update() == run.update()
