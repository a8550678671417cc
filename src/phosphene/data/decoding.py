"""From the content of a file to the pixels that are trained on: opened, brought to one size and one mode."""

from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from phosphene.data.source import Source
from phosphene.pictures import fitting
from phosphene.pictures.opening import PictureError, measure, open_picture

SIZES = (64, 48, 32, 24, 16, 8)
MEASURED = 1000

Channels = Literal["keep", "L", "RGB", "RGBA"]


class Settings(NamedTuple):
    """What pictures are brought to. keep: the smallest mode that loses nothing of any picture."""

    size: int
    fit: fitting.Fit
    channels: Channels

    @property
    def staged(self) -> fitting.Mode:
        return "RGBA" if self.channels == "keep" else self.channels


class Decoded(NamedTuple):
    """Pixels in the staged mode, the picture's own mode, and what was done to it, in short plain words."""

    pixels: UInt8[np.ndarray, "h w *c"]
    mode: str
    notes: tuple[str, ...]


def decode(content: Path | bytes, settings: Settings) -> Decoded | str:
    """The picture, or the reason why there is none."""
    try:
        opened = open_picture(content)
    except PictureError as error:
        return str(error)
    fitted, notes = fitting.fit(opened.image, settings.size, settings.fit)
    pixels = np.asarray(fitting.to_mode(fitted, settings.staged))
    return Decoded(pixels, fitted.mode, opened.notes + notes)


def own_size(source: Source, wanted: int | None = None) -> tuple[int, dict[str, int]]:
    """The size that the pictures are brought to: the wanted one or, where there is none, the largest of SIZES
    that the median short side reaches; and a note if that changes them. Raises ValueError for a size below 1.
    """
    if wanted is not None:
        if wanted < 1:
            raise ValueError(f"size {wanted}: give at least 1 pixel")
        return wanted, {}
    step = -(-len(source.names) // MEASURED)
    sizes = [measure(source.read(number)) for number in range(0, len(source.names), step)]
    sides = [min(size) for size in sizes if size is not None]
    middle = median(sides) if sides else SIZES[0]
    size = next((size for size in SIZES if size <= middle), SIZES[-1])
    note = f"brought to {size}x{size}, for a median short side of {middle:g}"
    return size, {} if size == middle else {note: len(source.names)}
