"""The classifier two-sample test: chance on equal sets, the best possible share on known ones."""

import numpy as np
import pytest
from scipy.special import ndtr

from phosphene.measures.two_sample import two_sample


def test_equal_sets_are_not_told_apart():
    hits = 0
    for seed in range(25):
        rows = np.random.default_rng(seed).normal(size=(450, 6))
        found = two_sample(rows[:300], rows[300:], seed)
        assert found.count == 150
        hits += found.accuracy.holds(0.5) + found.control.holds(0.5)
    assert hits >= 44  # of 50; 47.5 are expected


def test_shifted_gaussians_are_told_apart_as_often_as_can_be():
    # The best rule between N(0, I) and N(m, I) is right in Phi(|m| / 2).
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(2000, 4)), rng.normal([1.5, 0, 0, 0], 1, (1000, 4))
    found = two_sample(real, made)
    assert found.accuracy.holds(ndtr(0.75))
    assert found.control.holds(0.5)
    assert found.accuracy.value == pytest.approx(ndtr(0.75), abs=0.02)


def test_too_few():
    with pytest.raises(ValueError, match="39 pictures: this figure needs at least 40"):
        two_sample(np.zeros((39, 2)), np.zeros((40, 2)))
