"""A square of a picture, made anew at a model's size and put back where the picture was missing.

A model makes pictures of one size; a picture and its mask may be of any. What it is shown is a square that
holds all that is missing, brought to its size. Where no square of the picture does, the square goes beyond
it, and what is there is missing too. Of what the model makes only the picture's missing pixels are taken, at
its own size: all others stay what they were, to the last bit.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from phosphene.families import opened
from phosphene.families.sampled import Sampled
from phosphene.pictures.opening import MAX_PIXELS

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Overlap(NamedTuple):
    """Of what a picture and a square share, along one side: where it is in each."""

    of_picture: slice
    of_square: slice


def overlap(start: int, end: int, length: int) -> Overlap:
    """start, end: of the square. length: of the picture."""
    first, last = max(start, 0), min(end, length)
    return Overlap(slice(first, last), slice(first - start, last - start))


@dataclass(frozen=True, eq=False)
class Placed:
    """picture: all of it. missing: where its mask is white. box: the square that is shown, which may begin
    before the picture and end behind it."""

    picture: Float[Tensor, "c h w"]
    missing: Bool[Tensor, "1 h w"]
    box: Box

    def known(self, size: int) -> Float[Tensor, "1 s s"]:
        """1 where the square, at a model's size, is known; a pixel is missing if any part of it is."""
        rows, columns = self.within
        part = torch.ones(1, self.side, self.side)
        part[:, rows.of_square, columns.of_square] = self.missing[
            :, rows.of_picture, columns.of_picture
        ].float()
        return 1 - functional.adaptive_max_pool2d(part, size)

    @property
    def side(self) -> int:
        """Of the square, in pixels of the picture."""
        return self.box[2] - self.box[0]

    @property
    def within(self) -> tuple[Overlap, Overlap]:
        """What picture and square share, of rows and of columns."""
        left, top, right, bottom = self.box
        height, width = self.missing.shape[1:]
        return overlap(top, bottom, height), overlap(left, right, width)

    def shown(self, image: Image.Image) -> Image.Image:
        """The square of the picture; beyond it the pixels at its edge go on, so that none of its own darkens
        when the square is made smaller."""
        rows, columns = self.within
        part = np.asarray(image)[rows.of_picture, columns.of_picture]
        beyond = [(one.of_square.start, self.side - one.of_square.stop) for one in (rows, columns)]
        return Image.fromarray(np.pad(part, [*beyond, (0, 0)][: part.ndim], "edge"))

    def put_back(self, made: Sampled) -> Sampled:
        """What was made of the square, in the whole picture."""
        (rows, columns), side = self.within, self.side
        values = self.picture.repeat(len(made), 1, 1, 1)
        missing = self.missing[:, rows.of_picture, columns.of_picture]
        for whole, part in zip(values, made.values.split(1), strict=True):
            if part.shape[-1] != side:
                smaller = side < part.shape[-1]
                part = functional.interpolate(part, (side, side), mode="bicubic", antialias=smaller)
            shared = whole[:, rows.of_picture, columns.of_picture]
            shared[:] = torch.where(missing, part[0, :, rows.of_square, columns.of_square], shared)
        seen = (self.picture * ~self.missing).expand_as(values)
        return replace(made, values=values, seen=seen)


def placed(image: Image.Image, drawn: Image.Image, crop: int | None) -> Placed:
    """image, drawn: a picture in the model's mode and its mask, of one size. crop: see `square`.

    Raises ValueError for a mask that is black, and as `square` does.
    """
    missing = np.array(drawn) >= 128
    if not missing.any():
        raise ValueError("mask: it is black everywhere, so nothing is made anew; paint that part white")
    return Placed(opened.values(image), torch.from_numpy(missing)[None], square(missing, crop))


def square(missing: Bool[np.ndarray, "h w"], crop: int | None) -> Box:
    """The square of a picture that is shown. crop: so many pixels around what is missing, as far as the
    picture goes; None for the largest square, as near to the middle as holds all that is missing. Where no
    square of the picture holds it, the square is of the longer side of what is missing, or with a crop of so
    many pixels more, and goes beyond the picture above and below, or left and right.

    Raises ValueError for a crop below 0, and for a square of more pixels than a picture may have.
    """
    if crop is not None and crop < 0:
        raise ValueError(f"crop {crop}: give pixels around what is missing, 0 or more")
    ends = [np.flatnonzero(missing.any(axis)) for axis in (0, 1)]  # of x, of y
    spans = [(int(places[0]), int(places[-1]) + 1) for places in ends]
    longest, short = max(end - start for start, end in spans), min(missing.shape)
    room = short if longest <= short else max(missing.shape)
    side = max(longest, short) if crop is None else min(room, longest + 2 * crop)
    if side**2 > MAX_PIXELS:
        raise ValueError(
            f"mask: its white spans {longest} pixels, and a square of so many has more than {MAX_PIXELS:,}; "
            "make it anew in parts"
        )
    corner = []
    for (start, end), whole in zip(spans, missing.shape[::-1], strict=True):
        middle = whole // 2 if crop is None else (start + end) // 2
        near = min(max(middle - side // 2, end - side, 0), start, whole - side)
        corner.append(near if side <= whole else -((side - whole) // 2))
    return corner[0], corner[1], corner[0] + side, corner[1] + side
