"""Memorisation: are made pictures copies of training pictures?

Of each made picture, d_1 <= d_2 <= ... are the distances to its nearest training pictures, of itself or of
its mirror image, whichever is nearer. It counts as a copy where

    d_1 / d_2 < 1/3                                       ratio (Yoon 2023), or
    d_1 / mean(d_1 .. d_50) < q                           calibrated distance (after Carlini 2023)

with q the lowest hundredth of held-out real pictures, which cannot be copies. Those are judged in the same
way: what is flagged among them is the null, and memorisation is what exceeds it. On normalised pixels
(features/fixed.py) a copy is one however much lighter, darker or flatter it was made.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from scipy.special import gammaln
from torch import Tensor

from phosphene.measures.interval import Interval, share
from phosphene.measures.rows import Array, blocks, on_host, squared_distances, to_rows

RATIO = 1 / 3
NEAREST = 50
QUANTILE = 0.01
LEVEL = 0.01


class Views(NamedTuple):
    """Features of pictures, and of their mirror images."""

    plain: Float[Array, "n d"]
    mirrored: Float[Array, "n d"]


class Neighbours(NamedTuple):
    """Of each query: its nearest training picture, if mirrored, d_1, d_1 / d_2, d_1 / mean(d_1 .. d_50)."""

    nearest: Int64[np.ndarray, " n"]
    mirrored: Bool[np.ndarray, " n"]
    distance: Float64[np.ndarray, " n"]
    ratio: Float64[np.ndarray, " n"]
    calibrated: Float64[np.ndarray, " n"]


class Memorised(NamedTuple):
    """share: of made pictures that count as copies; null: of held-out ones that do.

    memorising: share exceeds null, tested at 1%; copies: which made pictures count; made, held_out: their
    neighbours.
    """

    share: Interval
    null: Interval
    memorising: bool
    copies: Bool[np.ndarray, " n"]
    made: Neighbours
    held_out: Neighbours


def views(
    pictures: UInt8[np.ndarray | Tensor, "n c h w"], encoder: Callable[..., Float[Array, "n d"]]
) -> Views:
    """Features of pictures and of their mirror images."""
    rows = pictures if isinstance(pictures, Tensor) else torch.from_numpy(pictures)
    return Views(encoder(rows), encoder(rows.flip(-1)))


def memorisation(made: Views, training: Float[Array, "m d"], held_out: Views) -> Memorised:
    """Raises ValueError below 3 training or 20 held-out pictures."""
    seen, null = neighbours(made, training), neighbours(held_out, training)
    if len(null.ratio) < 20:
        raise ValueError(f"{len(null.ratio)} held-out pictures: memorisation needs at least 20")
    limit = float(np.quantile(null.calibrated, QUANTILE))
    copies, wrong = ((n.ratio < RATIO) | (n.calibrated < limit) for n in (seen, null))
    test = (int(copies.sum()), len(copies), int(wrong.sum()), len(wrong))
    return Memorised(share(*test[:2]), share(*test[2:]), exceeds(*test) < LEVEL, copies, seen, null)


def neighbours(queries: Views, training: Float[Array, "m d"]) -> Neighbours:
    """Of at least 3 training pictures.

    Memory: blocks of 1,024 queries by 1,024 training pictures, whose features stay as they are.
    """
    known = on_host(training, 3)
    views_ = [to_rows(view, 1) for view in queries]
    parts = [_nearest([view[block] for view in views_], known) for block in blocks(len(views_[0]))]
    return Neighbours(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _nearest(queries: list[Float64[np.ndarray, "b d"]], training: Float[np.ndarray, "m d"]) -> Neighbours:
    count = min(NEAREST, len(training))
    best = np.full((len(queries[0]), count), np.inf)
    index, flip = np.zeros(best.shape, dtype=np.int64), np.zeros(best.shape, dtype=bool)
    for block in blocks(len(training)):
        known = to_rows(training[block], 1)
        plain, mirrored = (squared_distances(view, known) for view in queries)
        columns = np.broadcast_to(np.arange(block.start, block.stop), plain.shape)
        square = np.concatenate([best, np.minimum(plain, mirrored)], 1)
        keep = np.argpartition(square, count - 1, axis=1)[:, :count]
        best = np.take_along_axis(square, keep, 1)
        index = np.take_along_axis(np.concatenate([index, columns], 1), keep, 1)
        flip = np.take_along_axis(np.concatenate([flip, mirrored < plain], 1), keep, 1)
    order = np.argsort(best, axis=1)
    best, index, flip = (np.take_along_axis(found, order, 1) for found in (best, index, flip))
    # The two nearest once more by differences: a product's rounding is as large as the distance of a copy.
    view = np.where(flip[:, :2, None], queries[1][:, None], queries[0][:, None])
    exact = np.sort(np.linalg.norm(view - training[index[:, :2]], axis=2), axis=1)
    far = np.sqrt(best)
    far[:, :2] = exact
    first, second, mean = far[:, 0], far[:, 1], far.mean(1)
    ratio = np.divide(first, second, out=np.ones_like(first), where=second > 0)
    calibrated = np.divide(first, mean, out=np.zeros_like(first), where=mean > 0)
    return Neighbours(index[:, 0], flip[:, 0], first, ratio, calibrated)


def exceeds(hits: int, total: int, null_hits: int, null_total: int) -> float:
    """Fisher's exact test, one-sided: the probability of so many hits or more where both shares are one."""
    every, drawn = total + null_total, hits + null_hits
    k = np.arange(hits, min(drawn, total) + 1)
    log = _log_choose(total, k) + _log_choose(null_total, drawn - k) - _log_choose(every, np.array(drawn))
    return float(np.exp(log).sum())


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    inside = (k >= 0) & (k <= n)
    safe = np.where(inside, k, 0)
    return np.where(inside, gammaln(n + 1) - gammaln(safe + 1) - gammaln(n - safe + 1), -np.inf)
