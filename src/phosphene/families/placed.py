"""A square of a picture, made anew at a model's size and put back where the picture was missing.

A model makes pictures of one size; a picture and its mask may be of any. What it is shown is a square that
holds all that is missing, brought to its size. Of what it makes only the missing pixels are taken, at the
picture's own size: all others stay what they were, to the last bit.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from phosphene.families import opened
from phosphene.families.sampled import Sampled

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True, eq=False)
class Placed:
    """picture: all of it. missing: where its mask is white. box: the square that is shown."""

    picture: Float[Tensor, "c h w"]
    missing: Bool[Tensor, "1 h w"]
    box: Box

    def known(self, size: int) -> Float[Tensor, "1 s s"]:
        """1 where the square, at a model's size, is known; a pixel is missing if any part of it is."""
        left, top, right, bottom = self.box
        part = self.missing[:, top:bottom, left:right].float()
        return 1 - functional.adaptive_max_pool2d(part, size)

    def put_back(self, made: Sampled) -> Sampled:
        """What was made of the square, in the whole picture."""
        left, top, right, bottom = self.box
        part, side = made.values, right - left
        if part.shape[-1] != side:
            smaller = side < part.shape[-1]
            part = functional.interpolate(part, (side, side), mode="bicubic", antialias=smaller)
        values = self.picture.repeat(len(part), 1, 1, 1)
        square = values[..., top:bottom, left:right]
        square[:] = torch.where(self.missing[:, top:bottom, left:right], part, square)
        seen = (self.picture * ~self.missing).expand_as(values)
        return replace(made, values=values, seen=seen)


def placed(image: Image.Image, drawn: Image.Image, crop: int | None) -> Placed:
    """image, drawn: a picture in the model's mode and its mask, of one size. crop: see `square`.

    Raises ValueError for a mask that is black, or too wide for a square.
    """
    missing = np.array(drawn) >= 128
    if not missing.any():
        raise ValueError("mask: it is black everywhere, so nothing is made anew; paint that part white")
    return Placed(opened.values(image), torch.from_numpy(missing)[None], square(missing, crop))


def square(missing: Bool[np.ndarray, "h w"], crop: int | None) -> Box:
    """The square of a picture that is shown. crop: so many pixels around what is missing, as far as the
    picture goes; None for the largest square, as near to the middle as holds all that is missing.

    Raises ValueError for what no square holds, and for a crop below 0.
    """
    if crop is not None and crop < 0:
        raise ValueError(f"crop {crop}: give pixels around what is missing, 0 or more")
    ends = [np.flatnonzero(missing.any(axis)) for axis in (0, 1)]  # of x, of y
    spans = [(int(places[0]), int(places[-1]) + 1) for places in ends]
    longest, short = max(end - start for start, end in spans), min(missing.shape)
    if longest > short:
        wide, high = (end - start for start, end in spans)
        raise ValueError(
            f"mask: its white spans {wide}x{high} pixels, which no square of the picture's "
            f"{missing.shape[1]}x{missing.shape[0]} holds; make it anew in parts"
        )
    side = short if crop is None else min(short, longest + 2 * crop)
    corner = []
    for (start, end), whole in zip(spans, missing.shape[::-1], strict=True):
        middle = whole // 2 if crop is None else (start + end) // 2
        corner.append(min(max(middle - side // 2, end - side, 0), start, whole - side))
    return corner[0], corner[1], corner[0] + side, corner[1] + side
