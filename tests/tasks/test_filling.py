"""The smooth filling of a hole, against Laplace's equation solved exactly."""

import numpy as np
import pytest
import torch

from phosphene.diffusion.noise import keys
from phosphene.tasks import masks
from phosphene.tasks.filling import smooth


def laplace(picture: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Of one channel: each missing pixel the mean of its neighbours, beyond an edge as at it. (h, w)"""
    height, width = missing.shape
    matrix, right = np.eye(height * width), picture.astype(np.float64).flatten()
    for y, x in zip(*np.nonzero(missing), strict=True):
        row = y * width + x
        right[row] = 0
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            beside = min(max(y + dy, 0), height - 1) * width + min(max(x + dx, 0), width - 1)
            matrix[row, beside] -= 0.25
    return np.linalg.solve(matrix, right).reshape(height, width)


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    """Waves, so that rims are neither flat nor noise."""
    rows, columns = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width
    phases = torch.arange(count * 2).reshape(count, 2, 1, 1)
    return torch.sin(5 * rows + phases) * torch.cos(4 * columns - phases)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 21)])
def test_it_comes_near_to_laplace(height, width):
    values = pictures(24, height, width)
    mask = masks.known(keys(0, range(24)), 0, height, width)
    filled = smooth(values, mask)
    wrong, flat = list[float](), list[float]()
    for picture, known, made in zip(values, mask[:, 0] > 0, filled, strict=True):
        assert torch.equal(made[:, known], picture[:, known])
        for channel, ours in zip(picture, made, strict=True):
            exact = laplace(channel.numpy(), ~known.numpy())
            wrong.append(np.abs(ours.numpy() - exact).mean())
            flat.append(np.abs(np.where(known, channel, channel[known].mean()) - exact).mean())
    assert np.mean(wrong) < 0.012  # of values in [-1, 1]; 0.02 and more without the sweeps
    assert max(wrong) < 0.05
    assert np.mean(wrong) < 0.15 * np.mean(flat)


def test_a_single_missing_pixel_is_the_mean_of_its_neighbours():
    values, mask = pictures(1, 8, 8), torch.ones(1, 1, 8, 8)
    mask[..., 3, 0] = 0  # at the edge: its neighbour there is itself
    mask[..., 5, 5] = 0
    filled = smooth(values, mask)
    around = (values[..., 4, 5] + values[..., 6, 5] + values[..., 5, 4] + values[..., 5, 6]) / 4
    assert torch.allclose(filled[..., 5, 5], around, atol=1e-6)
    edge = (values[..., 2, 0] + values[..., 4, 0] + values[..., 3, 1]) / 3
    assert torch.allclose(filled[..., 3, 0], edge, atol=1e-4)  # within 4^-8 of what it began with


def test_what_is_missing_counts_for_nothing():
    values, mask = pictures(4, 16, 16), masks.known(keys(1, range(4)), 0, 16, 16)
    spoilt = torch.where(mask > 0, values, 9.0)
    assert torch.equal(smooth(spoilt, mask), smooth(values, mask))


def test_where_nothing_is_known_it_is_grey():
    values = pictures(1, 6, 5)
    assert torch.equal(smooth(values, torch.zeros(1, 1, 6, 5)), torch.zeros_like(values))


def test_one_colour_is_continued():
    mask = masks.known(keys(2, range(8)), 0, 32, 32)
    values = torch.full((8, 3, 32, 32), 0.4)
    assert torch.allclose(smooth(values, mask), values, atol=1e-6)
