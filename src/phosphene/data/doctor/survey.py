"""Every picture of a source opened once, and what the other parts need of it kept in 1.4 kB.

A picture is opened as training opens it (pictures.opening), so both agree on what is readable; a JPEG is
decoded no larger than needed. Threads do it, because Pillow decodes outside Python's lock.
"""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8
from PIL import Image
from PIL.Image import Resampling

from phosphene.data.source import Source
from phosphene.pictures.fitting import to_mode
from phosphene.pictures.opening import PictureError, open_picture

SIDE = 32  # of the grey thumbnail
COARSE = 8  # of the coloured one
LEAST = 64  # pixels that a reduced JPEG keeps of its shorter side
PART = 32  # pictures a task
MODES = ("L", "LA", "RGB", "RGBA")

Progress = Callable[[int, int], None]


class Survey(NamedTuple):
    """The readable pictures, a row each, in the order of the source.

    number: of the picture in source.names. width, height: of the upright picture. mode: index into MODES.
    length: of the file, in bytes. content: 16 bytes that stand for the file's. grey: the whole picture,
    squashed to a square, over white. colour: the same, smaller, in RGB. level, spread: mean and standard
    deviation of its grey values, 0..255. coloured: the largest difference of two channels in a 32nd of it.
    """

    number: Int64[np.ndarray, " n"]
    width: Int32[np.ndarray, " n"]
    height: Int32[np.ndarray, " n"]
    mode: UInt8[np.ndarray, " n"]
    length: Int64[np.ndarray, " n"]
    content: UInt8[np.ndarray, "n 16"]
    grey: UInt8[np.ndarray, "n 32 32"]
    colour: UInt8[np.ndarray, "n 8 8 3"]
    level: Float32[np.ndarray, " n"]
    spread: Float32[np.ndarray, " n"]
    coloured: UInt8[np.ndarray, " n"]


class Surveyed(NamedTuple):
    """rows: the readable ones. unreadable: (name, reason). formats, notes: how many pictures of each."""

    rows: Survey
    unreadable: tuple[tuple[str, str], ...]
    formats: Mapping[str, int]
    notes: Mapping[str, int]


class _Seen(NamedTuple):
    size: tuple[int, int]
    mode: str
    length: int
    content: bytes
    small: np.ndarray
    level: float
    spread: float
    format: str
    notes: tuple[str, ...]


def survey(source: Source, threads: int | None = None, on_progress: Progress | None = None) -> Surveyed:
    """Opens every picture. on_progress(done, total) is called now and then.

    threads: as many as cores by default. Memory: 1.4 kB a picture and what `threads` pictures take.
    """
    count = len(source.names)
    rows = _empty(count)
    unreadable: list[tuple[str, str]] = []
    formats, notes = Counter[str](), Counter[str]()
    filled = 0
    for start, part in _parts(source, threads or os.cpu_count() or 1):
        good = [(start + i, seen) for i, seen in enumerate(part) if not isinstance(seen, str)]
        unreadable += [
            (source.names[start + i], seen) for i, seen in enumerate(part) if isinstance(seen, str)
        ]
        _fill(rows, slice(filled, filled + len(good)), good)
        filled += len(good)
        for _, seen in good:
            formats[seen.format] += 1
            notes.update(seen.notes)
        if on_progress is not None:
            on_progress(start + len(part), count)
    return Surveyed(
        Survey(*(array[:filled] for array in rows)),
        tuple(unreadable),
        dict(formats.most_common()),
        dict(sorted(notes.items())),
    )


def _parts(source: Source, threads: int) -> Iterator[tuple[int, list[_Seen | str]]]:
    """Parts in order, each with the number of its first picture; never many ahead of who takes them."""

    def look(start: int) -> list[_Seen | str]:
        return [_look(source.read(i)) for i in range(start, min(start + PART, len(source.names)))]

    pool = ThreadPoolExecutor(threads, "doctor")
    coming: deque[tuple[int, Future[list[_Seen | str]]]] = deque()
    try:
        for start in range(0, len(source.names), PART):
            coming.append((start, pool.submit(look, start)))
            if len(coming) > 3 * threads:
                first, part = coming.popleft()
                yield first, part.result()
        for first, part in coming:
            yield first, part.result()
    finally:
        # Ctrl-C waits for the parts that are being read now, and for no others.
        pool.shutdown(cancel_futures=True)


def _look(source: Path | bytes) -> _Seen | str:
    """What is kept of one picture, or the reason why there is none."""
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    try:
        opened = open_picture(content, least=LEAST)
    except PictureError as error:
        return str(error)
    seen = to_mode(opened.image, "L" if opened.image.mode in ("L", "LA") else "RGB")
    levels = np.asarray(seen.convert("L").histogram(), np.float64)
    levels /= levels.sum()
    level = float(levels @ np.arange(256))
    spread = float(levels @ (np.arange(256) - level) ** 2) ** 0.5
    return _Seen(
        opened.size,
        opened.image.mode,
        len(content),
        hashlib.blake2b(content, digest_size=16).digest(),
        np.asarray(small(seen).convert("RGB")),
        level,
        spread,
        opened.format,
        opened.notes,
    )


def small(image: Image.Image) -> Image.Image:
    """The whole picture as a square of 32 pixels, the same for all sizes of a picture as nearly as can be."""
    # Measured: with other filters copies of 24 to 60 pixels differ more from their originals.
    how = Resampling.BILINEAR if min(image.size) >= SIDE else Resampling.BICUBIC
    return image.resize((SIDE, SIDE), how, reducing_gap=3.0)


def _empty(count: int) -> Survey:
    return Survey(
        number=np.empty(count, np.int64),
        width=np.empty(count, np.int32),
        height=np.empty(count, np.int32),
        mode=np.empty(count, np.uint8),
        length=np.empty(count, np.int64),
        content=np.empty((count, 16), np.uint8),
        grey=np.empty((count, SIDE, SIDE), np.uint8),
        colour=np.empty((count, COARSE, COARSE, 3), np.uint8),
        level=np.empty(count, np.float32),
        spread=np.empty(count, np.float32),
        coloured=np.empty(count, np.uint8),
    )


def _fill(rows: Survey, place: slice, part: list[tuple[int, _Seen]]) -> None:
    if not part:
        return
    every = [seen for _, seen in part]
    rows.number[place] = [number for number, _ in part]
    rows.width[place], rows.height[place] = zip(*(seen.size for seen in every), strict=True)
    rows.mode[place] = [MODES.index(seen.mode) for seen in every]
    rows.length[place] = [seen.length for seen in every]
    rows.content[place] = [np.frombuffer(seen.content, np.uint8) for seen in every]
    rows.level[place] = [seen.level for seen in every]
    rows.spread[place] = [seen.spread for seen in every]
    thumbs = np.stack([seen.small for seen in every])
    # Rec. 601, as Pillow and JPEG have it.
    rows.grey[place] = np.rint(thumbs @ np.array([0.299, 0.587, 0.114]))
    side = SIDE // COARSE
    blocks = thumbs.reshape(-1, COARSE, side, COARSE, side, 3).mean(axis=(2, 4))
    rows.colour[place] = np.rint(blocks)
    rows.coloured[place] = (thumbs.max(axis=-1) - thumbs.min(axis=-1)).max(axis=(1, 2))
