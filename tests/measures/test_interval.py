"""Intervals: exact binomial ends, and coverage counted over many seeds."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from phosphene.measures.interval import Interval, around, jackknife, share


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (10, 10), (3, 17), (1, 1), (250, 1000)])
def test_a_share_has_the_exact_binomial_interval(hits, total):
    wanted = binomtest(hits, total).proportion_ci(0.95, method="exact")
    assert share(hits, total) == pytest.approx((hits / total, wanted.low, wanted.high), abs=1e-12)


def test_the_jackknife_of_a_mean_is_students_interval():
    x = np.random.default_rng(0).normal(size=(24, 1))
    found = jackknife(lambda a: float(a.mean()), (x,), groups=12, seed=3)
    # The mean without a pair is (24 m - 2 p) / 22: the deviation of 12 means of pairs over sqrt(12).
    pairs = [x[np.random.default_rng(3).permutation(24) % 12 == g].mean() for g in range(12)]
    wanted = around(float(x.mean()), float(np.std(pairs, ddof=1) / np.sqrt(12)), 11)
    assert found == pytest.approx(wanted, rel=1e-12)


def test_around_is_students_interval():
    low, high = t.interval(0.95, 7, 2.0, 0.5)
    assert around(2.0, 0.5, 7) == pytest.approx((2.0, low, high), rel=1e-12)


def test_every_set_has_groups_of_its_own():
    """Rows of two sets do not belong together, even where they are the same."""
    x = np.random.default_rng(0).normal(size=(24, 1))
    parts = [np.random.default_rng(seed).permutation(24) % 6 for seed in (3, 4)]
    without = [float(x[parts[0] != g].mean() - x[parts[1] != g].mean()) for g in range(6)]
    wanted = around(0.0, float(np.sqrt(5 * np.var(without))), 5)
    found = jackknife(lambda a, b: float(a.mean() - b.mean()), (x, x), groups=6, seed=3)
    assert found == pytest.approx(wanted, rel=1e-9)
    assert found.high > 0.1


def test_the_jackknife_covers_a_difference_of_two_sets():
    hits = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(0.5, 1, (60, 1)), rng.normal(0, 2, (90, 1))
        hits += jackknife(lambda p, q: float(p.mean() - q.mean()), (a, b), 10, seed).holds(0.5)
    assert binomtest(hits, 300, 0.95).pvalue > 1e-3


def test_units_and_ends():
    assert Interval(1, 0.5, 2).scaled(4) == Interval(4, 2, 8)
    assert Interval(1, 0.5, 2).holds(2)
    assert not Interval(1, 0.5, 2).holds(2.01)
