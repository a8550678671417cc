"""A figure with the interval that holds its true value in 95 of 100 repetitions.

Share k/n (Clopper and Pearson 1934): the exact interval of a binomial share.
Jackknife (Tukey 1958; by groups, Kott 2001): with theta_g the figure without group g of every set,

    s^2 = (G - 1) / G sum_g (theta_g - mean theta)^2,    theta -+ t_{G-1} s
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import betaincinv, stdtrit

from phosphene.measures.rows import Array, to_rows

LEVEL = 0.95


class Interval(NamedTuple):
    """A figure and the ends of its interval of 95%."""

    value: float
    low: float
    high: float

    def holds(self, truth: float | int) -> bool:
        """Whether a number lies in the interval, ends included."""
        return bool(self.low <= truth <= self.high)

    def scaled(self, factor: float | int) -> "Interval":
        """The same figure in other units, factor > 0."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


def share(hits: float | int, total: float | int) -> Interval:
    """hits of total >= 1 as a share; both may be effective counts, which need not be whole."""
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, total - hits + 1, tail))
    high = 1.0 if hits == total else float(betaincinv(hits + 1, total - hits, 1 - tail))
    return Interval(hits / total, low, high)


def around(value: float, deviation: float, freedom: float | int) -> Interval:
    """value -+ t deviation, with Student's t of so many degrees of freedom."""
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * deviation
    return Interval(value, value - reach, value + reach)


def jackknife(
    figure: Callable[..., float], sets: Sequence[Float[Array, "_ _"]], groups: int = 10, seed: int = 0
) -> Interval:
    """figure(*sets) with the interval of a delete-a-group jackknife: groups further calls.

    The groups are random and leave out the same part of every set. Raises ValueError below two rows a group.
    """
    features = [to_rows(rows, 2 * groups) for rows in sets]
    value = figure(*features)
    parts = [_groups(len(rows), groups, seed + i) for i, rows in enumerate(features)]
    without = [
        figure(*(rows[part != g] for rows, part in zip(features, parts, strict=True))) for g in range(groups)
    ]
    deviation = float(np.sqrt((groups - 1) * np.var(without)))
    return around(value, deviation, groups - 1)


def _groups(count: int, groups: int, seed: int) -> np.ndarray:
    """The group of each row: equal sizes, in random order."""
    return np.random.default_rng(seed).permutation(count) % groups
