"""Sliced Wasserstein: SciPy in one dimension, translations and Gaussians in closed form."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.special import ndtri

from phosphene.measures.sliced import one_dimension, sliced_wasserstein, unit_directions


@pytest.mark.parametrize(("n", "m"), [(30, 30), (30, 60), (21, 35), (1, 7)])
def test_one_dimension_is_the_best_transport(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 1
    every = np.lcm(n, m)
    for column in range(2):
        p, q = np.repeat(a[:, column], every // n), np.repeat(b[:, column], every // m)
        cost = (p[:, None] - q[None]) ** 2
        wanted = cost[linear_sum_assignment(cost)].mean()
        assert one_dimension(a, b)[column] == pytest.approx(wanted, rel=1e-9)


def test_a_translation_moves_by_its_part_along_each_direction():
    rows, shift = np.random.default_rng(0).normal(size=(50, 4)), np.array([1.0, 0, 2, 0])
    along = unit_directions(4, 256, 0)
    wanted = np.sqrt(((shift @ along) ** 2).mean())
    assert sliced_wasserstein(rows, rows + shift) == pytest.approx(wanted, rel=1e-12)
    assert sliced_wasserstein(rows, rows + shift, 4096) == pytest.approx(np.sqrt(5 / 4), rel=0.02)


def test_gaussians_in_one_dimension():
    # The quantiles of N(1, 2^2) and N(0, 0.5^2): (m^2 + (s - t)^2)^(1/2).
    z = ndtri((np.arange(20000) + 0.5) / 20000)[:, None]
    assert sliced_wasserstein(1 + 2 * z, 0.5 * z, 3) == pytest.approx(np.sqrt(1 + 1.5**2), rel=1e-3)


def test_round_gaussians_in_many():
    rng = np.random.default_rng(0)
    a, b = 2 * rng.normal(size=(4000, 6)) + 1, rng.normal(size=(4000, 6))
    assert sliced_wasserstein(a, b) == pytest.approx(np.sqrt(1 + 1), rel=0.03)


def test_directions_are_fixed_by_the_seed():
    assert unit_directions(3, 2, 0)[:, 0] == pytest.approx([0.64168228, 0.35602051, 0.67933294], abs=1e-8)
    assert (unit_directions(3, 5, 1) != unit_directions(3, 5, 0)).all()
