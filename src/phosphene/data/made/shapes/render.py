"""Draws scenes: each pixel's coverage by a shape is the share of its 8x8 points inside, colours mix linearly.

A shape is a function inside(u, v) of coordinates in units of its half width: u to the right, v down, all
shapes within [-1, 1]^2.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from phosphene.data.made.shapes.scene import BACKGROUNDS, COLOURS, SIZES, Scene

POINTS = 8
Points = Float32[np.ndarray, "#h #w"]
Inside = Callable[[Points, Points], Bool[np.ndarray, "h w"]]


class Patch(NamedTuple):
    """Coverage in [0, 1] of the pixels from (top, left) on."""

    top: int
    left: int
    coverage: Float[np.ndarray, "h w"]


def _circle(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    return u * u + v * v <= 1


def _square(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    return (abs(u) <= 0.88) & (abs(v) <= 0.88)


def _triangle(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    """Corners (0, -1), (-1, 0.85), (1, 0.85)."""
    return (1.85 * abs(u) - v <= 1) & (v <= 0.85)


def _diamond(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    return abs(u) + abs(v) <= 1


def _star(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    """A pentagram: beyond at most one of the five lines, each cos 72 degrees away towards a tip."""
    beyond = np.zeros(np.broadcast_shapes(u.shape, v.shape), np.int8)
    for tip in range(5):
        angle = math.tau * tip / 5
        beyond += u * math.sin(angle) - v * math.cos(angle) > math.cos(math.tau / 5)
    return beyond <= 1


def _cross(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    thin_u, thin_v = abs(u) <= 0.32, abs(v) <= 0.32
    return (thin_u & (abs(v) <= 1)) | (thin_v & (abs(u) <= 1))


def _ring(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    squared = u * u + v * v
    return (squared <= 1) & (squared >= 0.5**2)


def _heart(u: Points, v: Points) -> Bool[np.ndarray, "h w"]:
    """(x^2 + y^2 - 1)^3 <= x^2 y^3, y up, fitted to the square."""
    x, y = 1.14 * u, 0.12 - 1.1 * v
    lobes = x * x + y * y - 1
    return lobes * lobes * lobes <= (x * x) * (y * y * y)


INSIDE: Mapping[str, Inside] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "heart": _heart,
}


def cover(shape: str, radius: float, x: float, y: float) -> Patch:
    """Coverage by a shape of half width `radius` with its centre at (x, y), all in pixels; pixel j spans
    [j, j + 1)."""
    left, top = math.floor(x - radius), math.floor(y - radius)
    width, height = math.ceil(x + radius) - left, math.ceil(y + radius) - top
    u = _points(width, left - x, radius)[None, :]
    v = _points(height, top - y, radius)[:, None]
    points = INSIDE[shape](u, v).view(np.uint8)
    # Rows first: sums of bytes along contiguous memory are quick.
    rows = points.reshape(height, POINTS, width * POINTS).sum(axis=1, dtype=np.uint8)
    counts = rows.reshape(height, width, POINTS).sum(axis=2, dtype=np.float32)
    return Patch(top, left, counts / POINTS**2)


def render(scene: Scene, size: int) -> UInt8[np.ndarray, "h w 3"]:
    """The scene as RGB of size x size pixels."""
    ground = np.array(BACKGROUNDS[scene.background], np.float32)
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = ground
    for thing in scene.things:
        patch = cover(thing.shape, size * SIZES[thing.size], size * thing.x, size * thing.y)
        height, width = patch.coverage.shape
        part = picture[patch.top : patch.top + height, patch.left : patch.left + width]
        part += patch.coverage[..., None] * (np.array(COLOURS[thing.colour], np.float32) - part)
    return np.floor(picture + 0.5).astype(np.uint8)


def _points(count: int, start: float, radius: float) -> Float32[np.ndarray, " n"]:
    """Coordinates of the points of `count` pixels from `start` on, in units of the radius."""
    return ((np.arange(count * POINTS, dtype=np.float32) + 0.5) / POINTS + start) / np.float32(radius)
