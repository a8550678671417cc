"""Colour drift: exact means, Welch's test, false alarms counted."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ttest_ind

from phosphene.measures.colour import colour, quantities


def flat(*values):
    """A picture of one colour."""
    return np.full((len(values), 4, 4), np.array(values)[:, None, None], dtype=np.uint8)


def test_quantities_of_known_pictures():
    names, rows = quantities(np.stack([flat(255, 0, 0), flat(51, 51, 51), flat(102, 51, 51)]))
    found = dict(zip(names, rows.T, strict=True))
    assert found["mean of red"] == pytest.approx([1, 0.2, 0.4])
    assert found["mean of blue"] == pytest.approx([0, 0.2, 0.2])
    assert found["deviation of red"] == pytest.approx([0, 0, 0])
    assert found["brightness"] == pytest.approx([0.299, 0.2, 0.2 + 0.2 * 0.299])
    assert found["saturation"] == pytest.approx([1, 0, 0.5])
    halves = np.zeros((2, 1, 2, 2), dtype=np.uint8)
    halves[:, :, 0] = 255
    names, rows = quantities(torch.from_numpy(halves))
    assert names == ("mean of grey", "deviation of grey", "brightness")
    assert rows == pytest.approx(np.full((2, 3), 0.5))


def test_welch():
    rng = np.random.default_rng(0)
    made = rng.integers(0, 200, (30, 3, 5, 5), dtype=np.uint8)
    real = rng.integers(20, 256, (50, 3, 5, 5), dtype=np.uint8)
    x, y = made[:, 0].mean((1, 2)) / 255, real[:, 0].mean((1, 2)) / 255
    wanted: Any = ttest_ind(x, y, equal_var=False)
    drift = colour(made, real)[0]
    assert drift.quantity == "mean of red"
    assert (drift.real, drift.made) == pytest.approx((y.mean(), x.mean()))
    assert drift.errors == pytest.approx(wanted.statistic)
    ends = wanted.confidence_interval(0.95)
    assert drift.difference == pytest.approx((x.mean() - y.mean(), ends.low, ends.high))


def test_no_drift_no_alarm():
    misses = 0
    for seed in range(200):
        pictures = np.random.default_rng(seed).integers(0, 256, (60, 1, 2, 2), dtype=np.uint8)
        misses += not colour(pictures[:40], pictures[40:])[0].difference.holds(0)
    assert 2 <= misses <= 21  # of 200; 10 are expected


def test_sets_without_spread_and_too_few():
    same, other = np.stack([flat(10)] * 3), np.stack([flat(20)] * 3)
    assert colour(same, same)[0].errors == 0
    assert colour(other, same)[0].errors == np.inf
    with pytest.raises(ValueError, match="1 pictures: colour drift needs at least 2"):
        colour(same[:1], other)
