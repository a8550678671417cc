"""Pictures that are decoded when they are asked for, again each time: nothing is kept, on disk or in memory.

A picture can be read by its number, so a batch is a function of (seed, step) here too, and the same one as
from the cache: no buffer is shuffled. Threads decode, because Pillow does that outside Python's lock.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from phosphene.data.decoding import Settings, decode
from phosphene.data.source import Source

TRIED = 10_000  # pictures in place of unreadable ones, before a set counts as unreadable


class Taken(NamedTuple):
    """Pictures, those that they were made from if pairs were asked for, and their places."""

    pixels: UInt8[np.ndarray, "b c h w"]
    first: UInt8[np.ndarray, "b c h w"] | None
    order: Int64[np.ndarray, " b"]


class Streamed:
    """The pictures of a source, indexed like an array (n c h w) of bytes.

    settings: with channels that are decided. threads: as many as cores by default. unreadable: what was met
    so far, reasons by number.
    """

    def __init__(self, source: Source, settings: Settings, threads: int | None = None) -> None:
        assert settings.channels != "keep"
        self.source, self.settings = source, settings
        self.threads = threads or os.cpu_count() or 1
        self.unreadable: dict[int, str] = {}
        self._pool = ThreadPoolExecutor(self.threads, "decoding")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        size = self.settings.size
        return (len(self), len(self.settings.channels), size, size)

    def __len__(self) -> int:
        return len(self.source.names)

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "*b c h w"]:
        """In place of an unreadable picture stands the next one that is readable."""
        numbers = np.arange(len(self), dtype=np.int64)[which]
        everything = np.arange(len(self), dtype=np.int64)
        taken = self.take(everything, np.atleast_1d(numbers))
        return taken.pixels.reshape(*np.shape(numbers), *self.shape[1:])

    def __array__(self, dtype: object = None, copy: bool | None = None) -> UInt8[np.ndarray, "n c h w"]:
        """All of them, in memory."""
        return self[:]

    def take(
        self,
        numbers: Int64[np.ndarray, " n"],
        order: Int64[np.ndarray, " b"],
        before: Int64[np.ndarray, " m"] | None = None,
    ) -> Taken:
        """The pictures numbers[order], and the order with the next readable place for each unreadable one.

        before: of every picture of the source the one that it was made from; a pair of which either cannot be
        read is unreadable. Raises ValueError if TRIED pictures in turn are unreadable.
        """
        order = order.copy()
        pixels, first, good = self._decoded(numbers[order], before)
        for _ in range(min(len(numbers), TRIED)):
            if good.all():
                return Taken(pixels, first, order)
            bad = np.flatnonzero(~good)
            order[bad] = (order[bad] + 1) % len(numbers)
            pixels[bad], more, good[bad] = self._decoded(numbers[order[bad]], before)
            if first is not None:
                first[bad] = more
        number, reason = next(iter(self.unreadable.items()))
        name = self.source.names[number]
        raise ValueError(f"too many pictures of {self.source.name} cannot be read: {name}: {reason}")

    def _decoded(
        self, numbers: Int64[np.ndarray, " b"], before: Int64[np.ndarray, " m"] | None
    ) -> tuple[UInt8[np.ndarray, "b c h w"], UInt8[np.ndarray, "b c h w"] | None, Bool[np.ndarray, " b"]]:
        """The same with the pictures that they were made from."""
        pixels, good = self.decoded(numbers)
        if before is None:
            return pixels, None, good
        first, readable = self.decoded(before[numbers])
        return pixels, first, good & readable

    def decoded(
        self, numbers: Int64[np.ndarray, " b"]
    ) -> tuple[UInt8[np.ndarray, "b c h w"], Bool[np.ndarray, " b"]]:
        """These pictures, and which of them could be read; the others are zeros."""
        pixels = np.zeros((len(numbers), *self.shape[1:]), np.uint8)
        good = np.ones(len(numbers), bool)

        def one(row: int) -> None:
            number = int(numbers[row])
            picture = self.unreadable.get(number) or decode(self.source.read(number), self.settings)
            if isinstance(picture, str):
                self.unreadable[number], good[row] = picture, False
            else:
                pixels[row] = np.atleast_3d(picture.pixels).transpose(2, 0, 1)

        list(self._pool.map(one, range(len(numbers))))
        return pixels, good

    def close(self) -> None:
        """Ends the threads; they begin again when pictures are asked for."""
        self._pool.shutdown()
        self._pool = ThreadPoolExecutor(self.threads, "decoding")
