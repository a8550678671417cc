"""Sliced Wasserstein distance (Bonneel 2015): the mean over directions w of distances in one dimension.

    W_2^2(a, b) = int_0^1 (F_a^{-1}(q) - F_b^{-1}(q))^2 dq,      SW = (mean_w W_2^2(a w, b w))^(1/2)

Exact for sets of any counts. Between Gaussians with covariance s^2 I it is (|m_a - m_b|^2 / d + (s_a -
s_b)^2)^(1/2).
"""

import numpy as np
from jaxtyping import Float, Float64

from phosphene.measures.rows import Array, blocks, to_rows


def sliced_wasserstein(
    a: Float[Array, "n d"], b: Float[Array, "m d"], directions: int = 256, seed: int = 0
) -> float:
    """In the units of the features, >= 0; biased upwards as 1/sqrt(N): compare at equal counts.

    The directions follow from the seed and the number of dimensions alone.
    """
    x, y = to_rows(a, 1), to_rows(b, 1)
    along = unit_directions(x.shape[1], directions, seed)
    total = sum(one_dimension(x @ along[:, cut], y @ along[:, cut]).sum() for cut in blocks(directions, 64))
    return float(np.sqrt(total / directions))


def unit_directions(dimensions: int, count: int, seed: int) -> Float64[np.ndarray, "d w"]:
    """Uniform on the sphere, a column each. RandomState's stream is frozen for good."""
    drawn = np.random.RandomState(seed).standard_normal((dimensions, count))
    return drawn / np.linalg.norm(drawn, axis=0)


def one_dimension(a: Float64[np.ndarray, "n w"], b: Float64[np.ndarray, "m w"]) -> Float64[np.ndarray, " w"]:
    """W_2^2 of each column: both quantile functions are constant between the steps of either."""
    a, b = np.sort(a, 0), np.sort(b, 0)
    steps = np.union1d(np.arange(1, len(a) + 1) * len(b), np.arange(1, len(b) + 1) * len(a))
    length = np.diff(steps, prepend=0) / (len(a) * len(b))
    i, j = (steps - 1) // len(b), (steps - 1) // len(a)
    return ((a[i] - b[j]) ** 2 * length[:, None]).sum(0)
