"""The encoder's loss and views are what they say."""

import math

import pytest
import torch

from phosphene.measures import train_encoder
from phosphene.measures.train_encoder import TEMPERATURE, contrast, view


def test_the_loss_by_hand():
    """Views that agree, at right angles to the other picture's: -ln e^(1/tau) / (e^(1/tau) + 2)."""
    z = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    expected = -math.log(math.exp(1 / TEMPERATURE) / (math.exp(1 / TEMPERATURE) + 2))
    assert contrast(z).item() == pytest.approx(expected, rel=1e-5)


def test_views_that_all_look_alike_cost_what_chance_does():
    z = torch.ones(12, 5)
    assert contrast(z).item() == pytest.approx(math.log(11))


def test_a_view_is_neither_blurred_nor_noisy():
    """A flat picture stays flat, whatever is cut out of it; its colour may change."""
    flat = torch.tensor([200.0, 100.0, 50.0]).view(1, 3, 1, 1).expand(8, -1, 64, 64)
    seen = view(flat, torch.Generator().manual_seed(0))
    assert seen.shape == flat.shape
    assert (seen.flatten(2).std(2) < 1e-3).all()
    assert seen.min() >= 0
    assert seen.max() <= 255
    assert len({round(v, 2) for v in seen[:, 0, 0, 0].tolist()}) == 8


def test_a_view_is_a_part_of_at_least_a_third():
    """A ramp from left to right: the part's share of its range is the part's width."""
    ramp = torch.linspace(100, 140, 64).expand(400, 3, 64, 64)
    seen = view(ramp, torch.Generator().manual_seed(0))
    spread = seen.mean((1, 2)).amax(1) - seen.mean((1, 2)).amin(1)
    contrast_at_most = 1.4 * 40
    assert spread.max() <= contrast_at_most
    assert spread.median() > 0.6 * math.sqrt(0.3) * 40
    mirrored = seen.mean((1, 2))[:, 0] > seen.mean((1, 2))[:, -1]
    assert 0.4 < mirrored.float().mean() < 0.6


def test_damages_are_what_they_say():
    values = torch.full((2, 3, 64, 64), 100.0)
    values[:, :, :32] = 50.0
    damaged = {name: damage(values) for name, damage in train_encoder.damages().items()}
    assert torch.equal(damaged["5% brighter"], values * 1.05)
    assert damaged["noise of 2%"].sub(values).std().item() == pytest.approx(5.1, rel=0.02)
    assert torch.equal(damaged["quarters swapped"][:, :, 32:], values[:, :, :32])
    assert damaged["halved and doubled"][:, :, :30].eq(50).all()
    edge = damaged["blurred by 0.5 px"][0, 0, 31:33, 5]
    assert 50 < edge[0] < edge[1] < 100
