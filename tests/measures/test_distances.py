"""Fréchet distance: closed forms, the reference implementation, no bias at infinity."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import binomtest

from phosphene.measures.distances import Moments, between, frechet, frechet_infinity, moments
from phosphene.measures.floor import floor
from tests.measures import fidelity


def exactly(mean: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Rows whose mean and covariance root^T root are exact: +- the rows of a scaled root around the mean."""
    d = len(root)
    spread = root * np.sqrt((2 * d - 1) / 2)
    return np.concatenate([mean + spread, mean - spread])


def test_gaussians_on_one_basis_have_a_closed_form():
    a, b = np.array([1.0, 2.0, 0.5]), np.array([2.0, 0.3, 0.5])
    mean = np.array([1.0, -2.0, 0.0])
    wanted = (mean**2).sum() + ((a - b) ** 2).sum()
    assert frechet(exactly(np.zeros(3), np.diag(a)), exactly(mean, np.diag(b))) == pytest.approx(
        wanted, rel=1e-12
    )


def test_general_gaussians_have_the_trace_of_the_root_of_the_product():
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(2, 6, 6))
    wanted = np.trace(p.T @ p + q.T @ q - 2 * np.real(sqrtm(p.T @ p @ q.T @ q)))
    assert frechet(exactly(np.zeros(6), p), exactly(np.zeros(6), q)) == pytest.approx(wanted, rel=1e-9)


def test_covariances_without_rank_are_exact():
    # Two lines in 40 dimensions at an angle: tr (C_a C_b)^(1/2) = s t |cos|.
    u, v = np.zeros(40), np.zeros(40)
    u[0], v[0], v[1] = 1, 0.6, 0.8
    wanted = 4 + 9 - 2 * 2 * 3 * 0.6
    assert frechet(exactly(np.zeros(40), 2 * u[None]), exactly(np.zeros(40), 3 * v[None])) == pytest.approx(
        wanted, rel=1e-14
    )
    few = np.random.default_rng(0).normal(size=(20, 40))
    assert abs(frechet(few, few)) < 1e-12 * (few**2).sum()


def test_rows_above_and_below_the_dimensions_have_the_same_moments():
    rows = np.random.default_rng(0).normal(size=(50, 49))
    many, few = moments(rows), moments(np.concatenate([rows, np.zeros((50, 60))], 1))
    assert many.root.T @ many.root == pytest.approx(np.cov(rows.T))
    assert few.root.T @ few.root == pytest.approx(np.cov(np.concatenate([rows, np.zeros((50, 60))], 1).T))
    assert between(many, Moments(many.mean, many.root * 3)) == pytest.approx(4 * np.trace(np.cov(rows.T)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_torch_fidelity(dtype):
    rng = np.random.default_rng(1)
    a = (rng.normal(size=(700, 64)) @ rng.normal(size=(64, 64))).astype(dtype)
    b = (rng.normal(size=(900, 64)) @ rng.normal(size=(64, 64)) + 0.1).astype(dtype)
    one, other = (
        fidelity.fid.fid_features_to_statistics(torch.from_numpy(rows.astype(np.float64))) for rows in (a, b)
    )
    theirs = fidelity.fid.fid_statistics_to_metric(one, other, False)[fidelity.fid.KEY_METRIC_FID]
    assert frechet(torch.from_numpy(a), b) == pytest.approx(theirs, rel=1e-9)


def test_two_halves_of_one_set_are_0_at_infinity():
    hits = 0
    spectrum = 1 / np.sqrt(np.arange(1, 17))
    for seed in range(40):
        rows = np.random.default_rng(seed).standard_t(8, size=(400, 16)) * spectrum
        interval = frechet_infinity(rows[:200], rows[200:], seed)
        hits += interval.holds(0)
        assert frechet(rows[:200], rows[200:]) > interval.value
    assert hits >= 34  # of 40; 38 are expected


def test_the_true_distance_is_found_at_infinity():
    # N(0, I) against N(m, s^2 I): |m|^2 + d (1 - s)^2.
    hits, values, wanted = 0, [], 0.5**2 * 8 + 8 * 0.3**2
    for seed in range(40):
        rng = np.random.default_rng(seed)
        interval = frechet_infinity(rng.normal(size=(300, 8)), 0.5 + 1.3 * rng.normal(size=(300, 8)), seed)
        hits += interval.holds(wanted)
        values.append(interval.value)
    assert np.mean(values) == pytest.approx(wanted, abs=4 * np.std(values) / np.sqrt(40))
    assert binomtest(hits, 40, 0.95).pvalue > 1e-3


def test_infinity_is_where_a_weighted_line_through_the_means_of_all_parts_ends():
    """NumPy's own fit: a mean of k parts of N/k has sqrt(k) times the deviation of the whole."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(96, 5)), 1.2 * rng.normal(size=(96, 5))
    shuffled = np.random.default_rng(7)
    p, q = shuffled.permutation(a), shuffled.permutation(b)
    means = [
        np.mean([frechet(*pair) for pair in zip(np.split(p, parts), np.split(q, parts), strict=True)])
        for parts in (1, 2, 3, 4)
    ]
    wanted = np.polyfit(np.array([1, 2, 3, 4]) / 96, means, 1, w=1 / np.sqrt([1, 2, 3, 4]))[1]
    assert frechet_infinity(a, b, 7).value == pytest.approx(wanted, rel=1e-9)


def test_too_few_rows():
    with pytest.raises(ValueError, match="1 pictures: this figure needs at least 2"):
        frechet(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="31 pictures: this figure needs at least 32"):
        frechet_infinity(np.zeros((31, 3)), np.zeros((50, 3)))


def test_the_floor_is_the_bias_between_equal_sets():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(2000, 8))
    fresh = [frechet(rng.normal(size=(250, 8)), rng.normal(size=(250, 8))) for _ in range(20)]
    found = floor(real, 250, frechet, seed=0, splits=20)
    assert found.count == 250
    assert found.interval.value == pytest.approx(np.mean(fresh), rel=0.15)
    assert found.interval.low < found.interval.value < found.interval.high
    assert floor(real, 5000, frechet).count == 1000
