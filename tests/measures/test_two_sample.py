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


def test_what_was_learned_by_heart_does_not_count():
    """With more features than pictures a line tells any two sets apart that it was drawn between."""
    rows = np.random.default_rng(0).normal(size=(120, 300))
    found = two_sample(rows[:80], rows[80:])
    assert found.accuracy.holds(0.5)
    assert found.control.holds(0.5)


def test_many_features_and_few_pictures():
    """At 64 of each the penalty is worth a tenth: without it 0.70."""
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        real, made = rng.normal(size=(160, 64)), rng.normal(0.25, 1, (80, 64))
        found.append(two_sample(real, made, seed).accuracy.value)
    assert np.mean(found) > 0.75


def test_sorted_pictures_and_unequal_counts_are_no_tell():
    rng = np.random.default_rng(0)
    real, made = np.sort(rng.normal(size=(200, 1)), axis=0), np.sort(rng.normal(size=(400, 1)), axis=0)
    found = two_sample(real, made)
    assert found.count == 100
    assert found.accuracy.holds(0.5)
    assert found.control.holds(0.5)


def test_the_interval_is_that_of_nadeau_and_bengio():
    """p (1 - p) (1/n + 1/(4/5 n)) with all n = 2,000 tested once, in fifths."""
    rng = np.random.default_rng(1)
    found = two_sample(rng.normal(size=(2000, 2)), rng.normal([1.0, 0], 1, (1000, 2))).accuracy
    p = found.value
    reach = 1.96 * np.sqrt(p * (1 - p) * (1 / 2000 + 1 / 1600))
    assert (found.high - found.low) / 2 == pytest.approx(reach, rel=0.02)


def test_too_few():
    with pytest.raises(ValueError, match="39 pictures: this figure needs at least 40"):
        two_sample(np.zeros((39, 2)), np.zeros((40, 2)))
