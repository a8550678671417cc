"""Features as figures take them: rows of float64 NumPy, and distances between rows block by block."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

Array = np.ndarray | Tensor
BLOCK = 1024


def on_host(features: Float[Array, "n d"], least: int = 2) -> Float[np.ndarray, "n d"]:
    """As they are, without a copy where none is needed. Raises ValueError below `least` rows."""
    if len(features) < least:
        raise ValueError(f"{len(features)} pictures: this figure needs at least {least}")
    return features.detach().cpu().numpy() if isinstance(features, Tensor) else features


def to_rows(features: Float[Array, "n d"], least: int = 2) -> Float64[np.ndarray, "n d"]:
    """float64 on the host. Raises ValueError below `least` rows, or where values are not finite."""
    rows = np.ascontiguousarray(on_host(features, least), dtype=np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("features: some are NaN or infinite, accepted are finite numbers")
    return rows


def blocks(count: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of at most `size` that cover `count` rows in order."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def squared_distances(
    a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "m d"]
) -> Float64[np.ndarray, "n m"]:
    """|a_i - b_j|^2 by one matrix product: rounding of some 1e-16 (|a|^2 + |b|^2), never negative."""
    square = (a**2).sum(1)[:, None] - 2 * (a @ b.T) + (b**2).sum(1)[None]
    return np.maximum(square, 0, out=square)
