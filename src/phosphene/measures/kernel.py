"""Kernel distances: unbiased MMD^2 with an interval that holds near zero too.

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j)

(Gretton 2012). KID (Binkowski 2018): k(x, y) = (x . y / d + 1)^3. CMMD (Jayasumana 2024): 1000 times that of
k(x, y) = exp(-|x - y|^2 / (2 10^2)), the mean over i = j included.

Interval: a bootstrap in closed form. With g_i the mean over others of k(x_i, x_j) - k(x_i, y_j), h_i the
same for y, and multiplicities 1 + u_i, 1 + v_i of a draw with replacement, a draw is MMD^2 and

    2 mean u g + 2 mean v h + (u^T K_xx u + v^T K_yy v - 2 u^T K_xy v) / n^2

where K has its row and column means and then its diagonal taken off, so that the mean over draws is MMD^2.
Where both sets are of one distribution g is nothing but noise, and the interval up to 1.7 times too wide
(Arcones and Gine 1992). It stays so: an interval without that noise misses small distances in 3 of 10 cases.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from phosphene.measures.interval import LEVEL, Interval, jackknife
from phosphene.measures.rows import Array, blocks, squared_distances, to_rows

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Rows (n, d) and (m, d) to the matrix (n, m)."""


def cubic(x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]) -> Float64[np.ndarray, "n m"]:
    """(x . y / d + 1)^3."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def gaussian(width: float) -> Kernel:
    """exp(-|x - y|^2 / (2 width^2))."""
    return lambda x, y: np.exp(-squared_distances(x, y) / (2 * width**2))


def kernel_distance(
    a: Float[Array, "n d"],
    b: Float[Array, "m d"],
    subsets: int | None = None,
    size: int = 1000,
    seed: int = 2020,
    draws: int = 1000,
) -> Interval:
    """KID of two sets of features, with a bootstrap interval of `draws` draws.

    subsets None: every pair takes part. A number: the mean over so many random subsets of `size` rows of
    each set, drawn as torch-fidelity draws them with the same seed (its defaults are 100, 1000 and 2020):
    the same expectation, more noise. Raises ValueError where a set has fewer than 4 rows, or fewer than
    `size` for subsets.
    """
    x, y = to_rows(a, 4), to_rows(b, 4)
    whole = bootstrap(x, y, cubic, seed, draws)
    if subsets is None:
        return whole
    values = subset_values(x, y, subsets, size, seed)
    return _moved(whole, float(values.mean()), float(values.std() / np.sqrt(subsets)))


def paired_distance(a: Float[Array, "n d"], b: Float[Array, "n d"]) -> Interval:
    """KID of two sets where a_i was made from b_i, such as restored pictures and their originals.

    mean_{i != j} of k(a_i, a_j) + k(b_i, b_j) - 2 k(a_i, b_j): a pair never meets itself, so that what it
    estimates is MMD^2 between the two distributions, without bias. What pictures are of is the same on both
    sides and drops out of its noise. Interval: a jackknife by groups of pairs. ValueError below 20 of them.
    """
    x, y = to_rows(a, 20), to_rows(b, 20)
    width = x.shape[1]

    def figure(pairs: np.ndarray) -> float:
        p, q = pairs[:, :width], pairs[:, width:]
        return _off_diagonal(cubic(p, p)) + _off_diagonal(cubic(q, q)) - 2 * _off_diagonal(cubic(p, q))

    return jackknife(figure, [np.hstack([x, y])])


def subset_values(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"], subsets: int, size: int, seed: int
) -> Float64[np.ndarray, " subsets"]:
    """KID of each random subset: their mean and std are what torch-fidelity reports."""
    for rows in (x, y):
        if len(rows) < size:
            raise ValueError(f"size {size}: a set has {len(rows)} pictures, give at most as many")
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        p = x[rng.choice(len(x), size, replace=False)]
        q = y[rng.choice(len(y), size, replace=False)]
        values.append(_off_diagonal(cubic(p, p)) + _off_diagonal(cubic(q, q)) - 2 * cubic(p, q).mean())
    return np.array(values)


def cmmd(a: Float[Array, "n d"], b: Float[Array, "m d"], seed: int = 0, draws: int = 1000) -> Interval:
    """CMMD of two sets of CLIP embeddings, which it scales to unit length; interval by bootstrap.

    As in the paper the value has a bias that falls with 1/N: compare at equal counts.
    """
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (to_rows(a, 4), to_rows(b, 4)))
    kernel = gaussian(10.0)
    free = bootstrap(x, y, kernel, seed, draws)
    means = [_mean(x, x, kernel), _mean(y, y, kernel), _mean(x, y, kernel)]
    return _moved(free, float(means[0] + means[1] - 2 * means[2]), 0.0).scaled(1000)


def _off_diagonal(matrix: np.ndarray) -> float:
    count = len(matrix)
    return float(matrix.sum() - np.trace(matrix)) / (count * (count - 1))


def _mean(x: np.ndarray, y: np.ndarray, kernel: Kernel) -> float:
    return sum(kernel(x[block], y).sum() for block in blocks(len(x))) / (len(x) * len(y))


def _moved(interval: Interval, value: float, deviation: float) -> Interval:
    """The same interval around another estimate of the same number, widened by that one's own noise."""
    below = np.hypot(interval.value - interval.low, 1.96 * deviation)
    above = np.hypot(interval.high - interval.value, 1.96 * deviation)
    return Interval(value, value - float(below), value + float(above))


class Pass(NamedTuple):
    """What one pass over a kernel matrix leaves: sums of its rows and columns, and a quadratic form."""

    by_row: np.ndarray
    by_column: np.ndarray
    form: np.ndarray


def _pass(
    x: np.ndarray, y: np.ndarray, kernel: Kernel, left: np.ndarray, right: np.ndarray, same: bool
) -> Pass:
    """By blocks over K (n, m), without its diagonal if `same`; form: left_r^T K right_r of each draw r."""
    by_row, by_column, form = np.zeros(len(x)), np.zeros(len(y)), np.zeros(left.shape[1])
    for block in blocks(len(x)):
        part = kernel(x[block], y)
        if same:
            part[np.arange(len(part)), np.arange(block.start, block.stop)] = 0
        by_row[block] = part.sum(1)
        by_column += part.sum(0)
        form += (left[block] * (part @ right)).sum(0)
    return Pass(by_row, by_column, form)


def bootstrap(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"], kernel: Kernel, seed: int, draws: int
) -> Interval:
    """Unbiased MMD^2 over all pairs, with the quantiles of draws as its interval."""
    n, m = len(x), len(y)
    rng = np.random.default_rng(seed)
    u = rng.multinomial(n, np.full(n, 1 / n), draws).T - 1.0
    v = rng.multinomial(m, np.full(m, 1 / m), draws).T - 1.0
    xx, yy = _pass(x, x, kernel, u, u, True), _pass(y, y, kernel, v, v, True)
    xy = _pass(x, y, kernel, u, v, False)
    value = float(xx.by_row.mean() / (n - 1) + yy.by_row.mean() / (m - 1) - 2 * xy.by_row.mean() / m)
    g, h = xx.by_row / (n - 1) - xy.by_row / m, yy.by_row / (m - 1) - xy.by_column / n
    # u and v have sum 0, so that means of g and h need not be taken off.
    linear = 2 * (u.T @ g / n + v.T @ h / m)
    square = _form(xx, u) / (n * (n - 1)) + _form(yy, v) / (m * (m - 1)) - 2 * xy.form / (n * m)
    low, high = np.quantile(linear + square, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, value + float(low), value + float(high))


def _form(over: Pass, draws: np.ndarray) -> np.ndarray:
    """u^T K u off the diagonal with K centred by rows and columns, for u of sum 0."""
    means = over.by_row / (len(over.by_row) - 1)
    return over.form + (draws**2).T @ (2 * means - means.mean())
