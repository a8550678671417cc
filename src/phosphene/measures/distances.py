"""Fréchet distance between Gaussians fitted to two sets of features, as measured and without its bias.

With mean m and covariance C = R^T R of each set (Dowson and Landau 1982),

    FD = |m_a - m_b|^2 + tr C_a + tr C_b - 2 |R_a R_b^T|_*

where |.|_* sums singular values: tr (C_a C_b)^(1/2) without the root of a product of covariances, whose
rounding is of the order of 1e-8 where they lack rank. R is the triangle of a QR decomposition of the centred
rows, or the centred rows themselves where there are fewer than dimensions.

Its bias falls with 1/N (Chong and Forsyth 2020): FD_N = FD_infinity + c/N + O(1/N^2).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from phosphene.measures.interval import Interval, jackknife
from phosphene.measures.rows import Array, to_rows


class Moments(NamedTuple):
    """Mean and a root of the covariance: root^T root = covariance, with the divisor n - 1."""

    mean: Float64[np.ndarray, " d"]
    root: Float64[np.ndarray, "r d"]


def moments(rows: Float64[np.ndarray, "n d"]) -> Moments:
    """Of at least 2 rows."""
    mean = rows.mean(0)
    centred = (rows - mean) / np.sqrt(len(rows) - 1)
    if len(rows) > rows.shape[1]:
        centred = np.asarray(np.linalg.qr(centred, mode="r"))
    return Moments(mean, centred)


def between(a: Moments, b: Moments) -> float:
    """The distance of two Gaussians, >= 0 but for rounding."""
    shared = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    return float(((a.mean - b.mean) ** 2).sum() + (a.root**2).sum() + (b.root**2).sum() - 2 * shared)


def frechet(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> float:
    """FD of two sets as they are: compare only at equal counts, beside `floor`.

    Raises ValueError below 2 rows.
    """
    return between(moments(to_rows(a)), moments(to_rows(b)))


PARTS = (1, 2, 3, 4)
"""Both sets are cut into so many parts, each beside its twin, for distances at N, N/2, N/3, N/4."""


def frechet_infinity(
    a: Float[Array, "n d"], b: Float[Array, "m d"], seed: int = 0, groups: int = 10
) -> Interval:
    """FD of endless sets: the line through FD_N over 1/N, at 0, with a delete-a-group jackknife interval.

    May be negative, as an estimate without bias of 0 must be. Costs 4 (groups + 1) sizes of FD. Rows are
    shuffled by the seed, so that parts are alike. Raises ValueError below 32 rows, or two a group.
    """
    least = max(8 * len(PARTS), 2 * groups)
    rng = np.random.default_rng(seed)
    sets = [rng.permutation(to_rows(rows, least)) for rows in (a, b)]
    count = min(map(len, sets))
    return jackknife(_intercept, [rows[:count] for rows in sets], groups, seed)


def _intercept(a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "n d"]) -> float:
    """Least squares over the sizes, each weighed by its deviation: of k parts of N/k, sqrt(k)."""
    inverse, distances = [], []
    for parts in PARTS:
        size = len(a) // parts
        cuts = [slice(i * size, (i + 1) * size) for i in range(parts)]
        inverse.append(1 / size)
        distances.append(np.mean([between(moments(a[cut]), moments(b[cut])) for cut in cuts]))
    weight = 1 / np.sqrt(np.array(PARTS))
    line = np.stack([np.ones(len(PARTS)), np.array(inverse)], 1)
    return float(np.linalg.lstsq(line * weight[:, None], np.array(distances) * weight)[0][0])
