"""Pictures that are decoded when they are asked for, again each time: nothing is kept, on disk or in memory.

A picture can be read by its number, so a batch is a function of (seed, step) here too, and the same one as
from the cache: no buffer is shuffled. Threads decode, because Pillow does that outside Python's lock.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from phosphene.data.decoding import Settings, decode
from phosphene.data.source import Source

TRIED = 10_000  # pictures in place of unreadable ones, before a set counts as unreadable


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
        return self.take(everything, np.atleast_1d(numbers))[0].reshape(*np.shape(numbers), *self.shape[1:])

    def __array__(self, dtype: object = None, copy: bool | None = None) -> UInt8[np.ndarray, "n c h w"]:
        """All of them, in memory."""
        return self[:]

    def take(
        self, numbers: Int64[np.ndarray, " n"], order: Int64[np.ndarray, " b"]
    ) -> tuple[UInt8[np.ndarray, "b c h w"], Int64[np.ndarray, " b"]]:
        """The pictures numbers[order], and the order with the next readable place for each unreadable one.

        Raises ValueError if TRIED pictures in turn are unreadable.
        """
        order = order.copy()
        pixels, good = self.decoded(numbers[order])
        for _ in range(min(len(numbers), TRIED)):
            if good.all():
                return pixels, order
            bad = np.flatnonzero(~good)
            order[bad] = (order[bad] + 1) % len(numbers)
            pixels[bad], good[bad] = self.decoded(numbers[order[bad]])
        number, reason = next(iter(self.unreadable.items()))
        name = self.source.names[number]
        raise ValueError(f"too many pictures of {self.source.name} cannot be read: {name}: {reason}")

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
