"""Precision, recall, density, coverage: constructed sets and the reference implementation."""

import contextlib
import io

import numpy as np
import pytest
from prdc import compute_prdc

from phosphene.measures.manifold import prdc


def line(*places):
    return np.array(places, dtype=float)[:, None]


def test_a_constructed_set():
    # Reals 0, 1, 2, 10 with radii 1, 1, 1, 8. Fakes 0.5, in the balls of 0 and 1, and 30, in none;
    # their own radius is 29.5, which holds every real.
    assert prdc(line(0, 1, 2, 10), line(0.5, 30), 1) == pytest.approx((1 / 2, 1, 2 / 2, 2 / 4))


def test_points_on_the_rim_are_outside():
    # Reals 0 and 1 with radius 1. The fakes 2 and 3 touch the ball of 1 from outside; theirs reach 1 and 2.
    assert prdc(line(0, 1), line(2, 3), 1) == (0, 0, 0, 0)
    assert prdc(line(0, 1), line(1.5, 3), 1) == pytest.approx((1 / 2, 1 / 2, 1 / 2, 1 / 2))


def test_the_same_set_and_one_far_away():
    # Whole numbers, so that distances are exact and a rim is a rim.
    rows = np.random.default_rng(0).integers(-1000, 1000, size=(100, 5)).astype(float)
    same, far = prdc(rows, rows.copy()), prdc(rows, rows + 100_000)
    # Each ball holds its centre and k - 1 neighbours inside; the k-th lies on the rim.
    assert same == pytest.approx((1, 1, 1, 1))
    assert far == (0, 0, 0, 0)


@pytest.mark.parametrize(("n", "m", "k"), [(400, 300, 5), (100, 1200, 3), (1100, 90, 1)])
def test_as_prdc(n, m, k):
    rng = np.random.default_rng(n)
    real, fake = rng.normal(size=(n, 6)), rng.normal(size=(m, 6)) * 0.8 + 0.4
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = compute_prdc(real, fake, k)
    assert prdc(real, fake, k)._asdict() == pytest.approx(theirs, rel=1e-12)


def test_too_few():
    with pytest.raises(ValueError, match="5 pictures: this figure needs at least 6"):
        prdc(np.zeros((5, 2)), np.zeros((9, 2)))
