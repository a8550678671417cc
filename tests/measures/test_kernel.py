"""Kernel distances: closed forms, the reference implementation, coverage of the interval."""

import numpy as np
import pytest
import torch

from phosphene.measures.kernel import (
    bootstrap,
    cmmd,
    cubic,
    gaussian,
    kernel_distance,
    paired_distance,
    subset_values,
)
from tests.measures import fidelity


def plain(x, y, kernel):
    """Unbiased MMD^2 by its definition."""
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = len(x), len(y)
    return (
        (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()
    )


def test_all_pairs_by_definition_across_blocks():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1500, 3)), rng.normal(size=(1030, 3)) + 0.1
    assert kernel_distance(x, y, draws=2).value == pytest.approx(plain(x, y, cubic), rel=1e-10)
    assert bootstrap(x, y, gaussian(2.0), 0, 2).value == pytest.approx(plain(x, y, gaussian(2.0)), rel=1e-9)


def test_subsets_as_torch_fidelity():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(300, 64)), rng.normal(size=(200, 64)) + 0.05
    theirs = fidelity.kid.kid_features_to_metric(
        torch.from_numpy(a),
        torch.from_numpy(b),
        kid_subsets=20,
        kid_subset_size=100,
        rng_seed=2020,
        verbose=False,
    )
    assert kernel_distance(a, b, 20, 100).value == pytest.approx(
        theirs[fidelity.kid.KEY_METRIC_KID_MEAN], rel=1e-9
    )
    found = subset_values(a, b, 20, 100, 2020).std()
    assert found == pytest.approx(theirs[fidelity.kid.KEY_METRIC_KID_STD], rel=1e-9)


def test_few_subsets_widen_the_interval_by_their_own_noise():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(300, 8)), rng.normal(size=(200, 8)) + 0.05
    whole, part = kernel_distance(a, b), kernel_distance(a, b, 4, 100)
    noise = 1.96 * subset_values(a, b, 4, 100, 2020).std() / 2
    assert part.high - part.value == pytest.approx(np.hypot(whole.high - whole.value, noise), rel=1e-12)
    assert part.value - part.low == pytest.approx(np.hypot(whole.value - whole.low, noise), rel=1e-12)


def test_the_interval_covers_shifted_gaussians():
    # Between N(0, 1) and N(m, 1), E k = (1 + 2 / w^2)^(-1/2) exp(-m^2 / (2 (w^2 + 2))).
    for shift in (0.0, 0.2, 1.0):
        wanted = 2 * (1 - np.exp(-(shift**2) / 12)) / np.sqrt(1 + 2 / 4)
        hits, values = 0, []
        for seed in range(120):
            rng = np.random.default_rng(seed)
            x, y = rng.normal(size=(80, 1)), rng.normal(shift, 1, (60, 1))
            interval = bootstrap(x, y, gaussian(2.0), seed, 100)
            hits += interval.holds(wanted)
            values.append(interval.value)
        assert np.mean(values) == pytest.approx(wanted, abs=4 * np.std(values) / np.sqrt(120))
        assert hits >= 106, shift  # of 120; 114 are expected


def test_the_interval_is_as_wide_as_the_spread_of_repetitions():
    # At distance 0 it may be up to 3^(1/2) times wider, but never narrower.
    for shift, widest in ((0.0, 2.0), (0.5, 1.25), (1.5, 1.25)):
        values, widths = [], []
        for seed in range(100):
            rng = np.random.default_rng(seed)
            x, y = rng.normal(size=(100, 4)), rng.normal(shift, 1, (100, 4))
            interval = bootstrap(x, y, cubic, seed, 100)
            values.append(interval.value)
            widths.append(interval.high - interval.low)
        low, high = np.quantile(values, [0.025, 0.975])
        assert 0.8 < np.median(widths) / (high - low) < widest


def test_draws_are_weighted_statistics():
    # Each draw by the definition: multiplicities as weights, K centred, pairs of one with itself left out.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(9, 2)) + 1
    interval = bootstrap(x, y, cubic, 5, 40)
    rng = np.random.default_rng(5)
    us = rng.multinomial(12, np.full(12, 1 / 12), 40) - 1.0
    vs = rng.multinomial(9, np.full(9, 1 / 9), 40) - 1.0

    def within(rows, w):
        n, k = len(rows), cubic(rows, rows)
        k = np.where(np.eye(n, dtype=bool), 0, k)
        means = k.sum(1) / (n - 1)
        centred = k - means[:, None] - means[None] + means.mean()
        centred[np.arange(n), np.arange(n)] = 0
        return (2 * w @ k.sum(1)) / (n * (n - 1)) + w @ centred @ w / (n * (n - 1))

    k, draws = cubic(x, y), []
    for u, v in zip(us, vs, strict=True):
        across = (u @ k.sum(1) + v @ k.sum(0) + u @ k @ v) / (12 * 9)
        draws.append(interval.value + within(x, u) + within(y, v) - 2 * across)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=1e-12)


def test_cmmd_by_the_papers_formula():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 16)), rng.normal(size=(50, 16)) + 0.3
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))

    def mean(p, q):
        return np.exp(-((p[:, None] - q[None]) ** 2).sum(2) / 200).mean()

    wanted = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    found = cmmd(a, b)
    assert found.value == pytest.approx(wanted, rel=1e-9)
    assert found.low < wanted < found.high


def test_a_subset_larger_than_a_set():
    with pytest.raises(ValueError, match="size 100: a set has 50 pictures"):
        kernel_distance(np.zeros((50, 2)), np.zeros((200, 2)), 5, 100)


def test_the_interval_holds_where_the_kernel_hardly_varies():
    # CMMD's kernel between unit vectors is between 0.98 and 1. Repetitions say how wide is wide enough.
    for shift, widest in ((0.0, 2.0), (0.5, 1.4)):
        found = []
        for seed in range(80):
            rng = np.random.default_rng(seed)
            found.append(cmmd(rng.normal(size=(60, 8)), rng.normal(shift, 1, (60, 8)), seed, 100))
        low, high = np.quantile([interval.value for interval in found], [0.025, 0.975])
        width = np.median([interval.high - interval.low for interval in found])
        assert 0.8 < width / (high - low) < widest


def paired(seed: int, shift: float, noise: float, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Features of pictures, with other noise on them, and shifted ones of the same pictures."""
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(count, 6))
    one, other = (content + noise * rng.normal(size=content.shape) for _ in range(2))
    return one + shift, other


def test_pairs_by_definition():
    a, b = paired(0, 0.2, 0.1, 24)
    terms = [
        cubic(a[i : i + 1], a[j : j + 1])
        + cubic(b[i : i + 1], b[j : j + 1])
        - 2 * cubic(a[i : i + 1], b[j : j + 1])
        for i in range(24)
        for j in range(24)
        if i != j
    ]
    np.testing.assert_allclose(paired_distance(a, b).value, np.mean(terms), rtol=1e-9)


def test_a_set_is_at_no_distance_from_itself():
    a, _ = paired(1, 0.0, 0.1)
    np.testing.assert_allclose(paired_distance(a, a), 0.0, atol=1e-12)


def shifted(shift: float, noise: float) -> float:
    """MMD^2 of N(m, s^2 I) and N(0, s^2 I) in 6 dimensions, from the moments of x . y up to the third."""
    d, s2 = 6, 1 + noise**2
    m = d * shift**2
    return 3 * m / d + 3 * m**2 / d**2 + (m**3 + 6 * s2 * m**2 + s2**2 * m * (3 * d + 6)) / d**3


def test_pairs_estimate_what_independent_sets_do_much_more_surely():
    a, b = paired(5, 0.3, 0.1, 2000)
    np.testing.assert_allclose(paired_distance(a, b).value, shifted(0.3, 0.1), rtol=0.05)
    repetitions = [(paired(seed, 0.3, 0.1), paired(100 + seed, 0.0, 0.1)[1]) for seed in range(40)]
    by_pairs = [paired_distance(a, b).value for (a, b), _ in repetitions]
    apart = [kernel_distance(a, other, draws=2).value for (a, _), other in repetitions]
    for found in (by_pairs, apart):
        assert abs(np.mean(found) - shifted(0.3, 0.1)) < 4 * np.std(found) / np.sqrt(40)
    assert np.std(by_pairs) < np.std(apart) / 3


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_interval_of_pairs_covers(shift):
    """In 95 of 100; more than 12 misses happen in 1 of 1,000 such tests."""
    truth = shifted(shift, 0.1)
    found = [paired_distance(*paired(seed, shift, 0.1)) for seed in range(100)]
    assert sum(not one.holds(truth) for one in found) <= 12
    # Student's t of nine degrees of freedom: 4.5 deviations, were the deviation known; at no distance 6.6.
    width = np.mean([one.high - one.low for one in found])
    assert width < 8 * np.std([one.value for one in found])
