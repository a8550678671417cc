"""Precision, recall, density and coverage by nearest neighbours (Kynkäänniemi 2019; Naeem 2020).

With B(x) the ball around x that reaches its k-th nearest neighbour in its own set:

    precision  share of fakes in some B(real)      density   mean number of B(real) that hold a fake, over k
    recall     share of reals in some B(fake)      coverage  share of B(real) that hold a fake
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from phosphene.measures.rows import Array, blocks, squared_distances, to_rows


class Manifold(NamedTuple):
    """Shares in [0, 1]; density may exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Float[Array, "n d"], fake: Float[Array, "m d"], k: int = 5) -> Manifold:
    """As the package prdc has them. Raises ValueError where a set has no k neighbours."""
    real, fake = to_rows(real, k + 1), to_rows(fake, k + 1)
    around_real, around_fake = radii(real, k), radii(fake, k)
    held = np.zeros(len(fake), dtype=np.int64)
    recalled, covered = 0, 0
    for block in blocks(len(real)):
        square = squared_distances(real[block], fake)
        inside = square < around_real[block, None]
        held += inside.sum(0)
        recalled += int((square < around_fake).any(1).sum())
        covered += int(inside.any(1).sum())
    n = len(real)
    return Manifold(float((held > 0).mean()), recalled / n, float(held.mean() / k), covered / n)


def radii(rows: Float64[np.ndarray, "n d"], k: int) -> Float64[np.ndarray, " n"]:
    """Squared distance to the k-th nearest of the others."""
    found = np.empty(len(rows))
    for block in blocks(len(rows)):
        square = squared_distances(rows[block], rows)
        square[np.arange(len(square)), np.arange(block.start, block.stop)] = 0
        found[block] = np.partition(square, k, axis=1)[:, k]
    return found
