"""Diversity: how far made pictures are from each other, beside how far real ones are.

Spread: the mean distance of two pictures. Vendi score (Friedman and Dieng 2023): exp of the entropy of the
eigenvalues of K / n, K_ij the cosine of features i and j after the mean of the real ones is taken off: the
number of effectively different pictures. At equal counts: the Vendi score grows with n.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.linalg import eigvalsh

from phosphene.measures.interval import Interval, jackknife
from phosphene.measures.rows import Array, blocks, squared_distances, to_rows


@dataclass(frozen=True)
class Diversity:
    """Of made over of real: 1 is as diverse as real pictures. count: pictures on each side for Vendi."""

    spread: Interval
    vendi: Interval
    vendi_made: float
    vendi_real: float
    count: int


def diversity(
    made: Float[Array, "n d"], real: Float[Array, "m d"], seed: int = 0, most: int = 2000
) -> Diversity:
    """Both at equal counts, `most` at most. Raises ValueError below 20 pictures."""
    x, y = to_rows(made, 20), to_rows(real, 20)
    count = min(len(x), len(y), most)
    rng = np.random.default_rng(seed)
    x, y = rng.permutation(x)[:count], rng.permutation(y)[:count]
    centre = y.mean(0)
    ratio = jackknife(lambda a, b: vendi(a - centre) / vendi(b - centre), (x, y), 10, seed)
    spreads = jackknife(lambda a, b: spread(a) / spread(b), (x, y), 10, seed)
    return Diversity(spreads, ratio, vendi(x - centre), vendi(y - centre), count)


def spread(rows: Float64[np.ndarray, "n d"]) -> float:
    """The mean distance between two different rows."""
    total = sum(float(np.sqrt(squared_distances(rows[block], rows)).sum()) for block in blocks(len(rows)))
    return total / (len(rows) * (len(rows) - 1))


def vendi(rows: Float64[np.ndarray, "n d"]) -> float:
    """Between 1, all rows along one line, and n, all at right angles. Rows of zeros count as no direction."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(length > 0, length, 1)
    # K or, of fewer dimensions than rows, what has the same eigenvalues but for zeros.
    values = eigvalsh(unit @ unit.T if len(rows) < rows.shape[1] else unit.T @ unit)
    values = values[values > 0] / values.sum()
    return float(np.exp(-(values * np.log(values)).sum()))
