"""Pictures that do not look like the rest, each with the reason.

Some limits are plain: nearly blank, tiny, very long. The others are robust z-scores of cheap features,
z = (x - median) / (1.4826 MAD), which a few odd pictures cannot move: brightness, colour, and the distance to
the FIFTH nearest of a sample of the set in layout (the picture as 4x4 blocks of colour). A feature by which
more than COMMON of the pictures would be odd has two kinds of pictures or a long tail, and says nothing.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from phosphene.data.doctor.result import Oddity, Outlier
from phosphene.data.doctor.survey import COARSE, Survey

BLANK = 3.0  # grey levels of deviation, and levels of each channel
LONG = 3.0  # long side / short side
ODD = 6.0  # robust z
FAR = 6.0  # robust z of the logarithm of the distance
COMMON = 0.02
FEW = 30  # pictures, below which the rest is not known well enough
FIFTH = 5
SAMPLE = 2048
ROWS = 1024


def outliers(rows: Survey, names: tuple[str, ...], size: int) -> tuple[Outlier, ...]:
    """size: what pictures will be brought to. Every picture is named once at most, for its first reason."""
    found: dict[int, Outlier] = {}
    for row, outlier in (*_plain(rows, names, size), *_odd(rows, names)):
        found.setdefault(row, outlier)
    return tuple(found.values())


def _plain(rows: Survey, names: tuple[str, ...], size: int) -> Iterator[tuple[int, Outlier]]:
    flat = rows.colour.std(axis=(1, 2), dtype=np.float32).max(axis=1)
    for row in np.flatnonzero((rows.spread < BLANK) & (flat < BLANK)):
        red, green, blue = (int(c) for c in np.rint(rows.colour[row].mean(axis=(0, 1))))
        why = f"nearly blank: #{red:02x}{green:02x}{blue:02x} everywhere"
        yield int(row), Outlier(names[row], "blank", why, None)
    shorter, longer = np.minimum(rows.width, rows.height), np.maximum(rows.width, rows.height)
    for row in np.flatnonzero(shorter * 2 <= size):
        why = f"tiny: {rows.width[row]}x{rows.height[row]}, enlarged {size / shorter[row]:.1f} times"
        yield int(row), Outlier(names[row], "tiny", why, None)
    ratio = longer / shorter
    score = robust(np.log(rows.width / rows.height), floor=0.05)
    for row in np.flatnonzero((ratio >= LONG) & (np.abs(score) > ODD)):
        why = f"very long: {rows.width[row]}x{rows.height[row]}, {ratio[row]:.1f} to 1"
        yield int(row), Outlier(names[row], "shape", why, round(float(score[row]), 1))


def _odd(rows: Survey, names: tuple[str, ...]) -> Iterator[tuple[int, Outlier]]:
    if len(names) < FEW:
        return
    bright = robust(rows.level.astype(np.float64), floor=4.0)
    yield from _worth(names, "dark", "much darker than the rest", -bright, ODD)
    yield from _worth(names, "bright", "much brighter than the rest", bright, ODD)
    red, green, blue = rows.colour.reshape(len(names), -1, 3).mean(axis=1, dtype=np.float64).T
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    for low, high, difference in (("yellow", "blue", blue - grey), ("green", "red", red - grey)):
        score = robust(difference, floor=3.0)
        yield from _worth(names, "colour", f"far more {high} than the rest", score, ODD)
        yield from _worth(names, "colour", f"far more {low} than the rest", -score, ODD)
    yield from _worth(
        names, "isolated", "unlike every other picture in layout and colour", _isolation(rows), FAR
    )


def _worth(
    names: tuple[str, ...], kind: Oddity, why: str, score: np.ndarray, limit: float
) -> Iterator[tuple[int, Outlier]]:
    some = np.flatnonzero(score > limit)
    if len(some) <= max(1, COMMON * len(names)):
        for row in some[np.argsort(-score[some])]:
            yield (
                int(row),
                Outlier(names[row], kind, f"{why} (z {score[row]:.1f})", round(float(score[row]), 1)),
            )


def robust(values: Float[np.ndarray, " n"], floor: float) -> Float[np.ndarray, " n"]:
    """Robust z-scores. floor: the least deviation that is taken for one, in the units of the values."""
    away = values - np.median(values)
    return away / max(1.4826 * float(np.median(np.abs(away))), floor)


def _isolation(rows: Survey) -> Float[np.ndarray, " n"]:
    """How far the fifth nearest of a sample is, as a robust z-score of its logarithm."""
    count, half = len(rows.number), COARSE // 2
    layout = rows.colour.reshape(count, half, 2, half, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    layout = layout.reshape(count, -1)
    chosen = np.random.default_rng(0).permutation(count)[:SAMPLE]
    sample = layout[chosen]
    square = (sample**2).sum(axis=1)
    distance = np.empty(count)
    for start in range(0, count, ROWS):
        part = layout[start : start + ROWS]
        away = (part**2).sum(axis=1, keepdims=True) - 2 * part @ sample.T + square
        # A picture of the sample is its own nearest.
        own = np.isin(np.arange(start, start + len(part)), chosen)
        near = np.partition(away, (FIFTH - 1, FIFTH), axis=1)
        distance[start : start + ROWS] = np.where(own, near[:, FIFTH], near[:, FIFTH - 1])
    return robust(0.5 * np.log(np.maximum(distance, 1.0)), floor=0.1)
