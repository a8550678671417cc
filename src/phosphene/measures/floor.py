"""What a figure says of two sets of real pictures: what a perfect generator would get at equal counts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phosphene.measures.interval import Interval
from phosphene.measures.rows import Array, to_rows


@dataclass(frozen=True)
class Floor:
    """Mean, lowest and highest over the splits; count: pictures of each of the two sets."""

    interval: Interval
    count: int


def floor(
    real: Float[Array, "n d"],
    count: int,
    figure: Callable[..., float],
    seed: int = 0,
    splits: int = 5,
) -> Floor:
    """figure(a, b) of disjoint random sets of `count` real pictures, or of halves where there are not so
    many.

    Where Floor.count is below `count`, compare with the figure of as many made pictures. Raises ValueError
    below 4 pictures.
    """
    rows = to_rows(real, 4)
    count = min(count, len(rows) // 2)
    values = []
    for split in range(splits):
        order = np.random.default_rng([seed, split]).permutation(len(rows))
        values.append(figure(rows[order[:count]], rows[order[count : 2 * count]]))
    return Floor(Interval(float(np.mean(values)), float(np.min(values)), float(np.max(values))), count)
