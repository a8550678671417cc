"""Diversity: exact spreads and Vendi scores."""

import numpy as np
import pytest

from phosphene.measures.diversity import diversity, spread, vendi


def test_spread_of_corners():
    # A square of side 1: four sides and two diagonals.
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert spread(square) == pytest.approx((4 + 2 * np.sqrt(2)) / 6)


def test_vendi_counts_directions():
    basis = np.eye(7)
    assert vendi(basis * np.arange(1, 8)[:, None]) == pytest.approx(7)
    assert vendi(np.concatenate([basis, -2 * basis])) == pytest.approx(7)
    assert vendi(np.tile(basis[:1], (5, 1))) == pytest.approx(1)
    # Three along one axis and one along another: exp of the entropy of (3/4, 1/4).
    wanted = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert vendi(basis[[0, 0, 0, 1]]) == pytest.approx(wanted)


def test_half_as_wide_is_half_as_diverse():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(600, 8))
    narrow = diversity(0.5 * rng.normal(size=(400, 8)), real)
    assert narrow.count == 400
    assert narrow.spread.holds(0.5)
    assert narrow.spread.high < 0.55
    assert narrow.vendi.value == pytest.approx(narrow.vendi_made / narrow.vendi_real)
    # The mean of the real pictures is taken off: where it lies does not matter.
    assert diversity(real[:300] + 7, real[300:] + 7).vendi.holds(1)
    assert diversity(real[:300] + 7, real[300:] + 7).vendi_real > 6
    collapsed = diversity(np.concatenate([real[:4]] * 50), real)
    assert collapsed.vendi.high < 0.8
    assert collapsed.vendi_made <= 4 < collapsed.vendi_real


def test_both_sets_are_cut_to_one_count_and_lie_about_the_mean_of_the_real_one():
    rng = np.random.default_rng(0)
    made, real = rng.normal(size=(30, 4)) + 0.7, rng.normal(size=(50, 4))
    shuffled = np.random.default_rng(5)
    x, y = shuffled.permutation(made), shuffled.permutation(real)[:30]
    found = diversity(made, real, 5)
    assert found.vendi_made == pytest.approx(vendi(x - y.mean(0)), rel=1e-12)
    assert found.vendi_real == pytest.approx(vendi(y - y.mean(0)), rel=1e-12)
    assert found.spread.value == pytest.approx(spread(x) / spread(y), rel=1e-12)
    assert diversity(made, real, 5, most=20).count == 20


def test_equal_sets_are_equally_diverse():
    hits = [0, 0]
    for seed in range(40):
        rows = np.random.default_rng(seed).normal(size=(160, 5)) * [3, 1, 1, 1, 1]
        found = diversity(rows[:80], rows[80:], seed)
        hits[0] += found.spread.holds(1)
        hits[1] += found.vendi.holds(1)
    assert min(hits) >= 34  # of 40; 38 are expected
