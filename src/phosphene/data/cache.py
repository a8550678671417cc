"""Pictures decoded once: a memory-mapped array under a key of content and settings.

    <root>/<key>/pictures.npy    uint8, n c h w
    <root>/<key>/meta.json       what was read, what could not be, notes

The key is a hash of every file's name and content and of size, fit and channels, so a change of any of them
is a new entry. Labels and captions are not in the cache: they are small, and editing a caption should not
decode 100,000 pictures again. An entry is written under another name and renamed when whole.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from phosphene import files
from phosphene.data.dataset import Dataset, Report, fingerprint, paired
from phosphene.data.decoding import Channels, Settings, decode, own_size
from phosphene.data.source import Source
from phosphene.pictures import fitting

VERSION = 1
WINDOW = 256
STALE = 24 * 3600.0  # seconds without a write, after which nobody is decoding there

Progress = Callable[[int, int], None]
T = TypeVar("T")


def prepare(
    source: Source,
    size: int | None = None,
    fit: fitting.Fit = "crop",
    channels: Channels = "keep",
    on_progress: Progress | None = None,
) -> Dataset:
    """The source's pictures as a data set, decoded now or taken from the cache.

    size: None takes the largest of 64, 48, 32, 24, 16, 8 that the median short side reaches, and notes it.
    on_progress(done, total) is called while decoding. Raises ValueError if no picture can be read; OSError
    (a full disk) passes through and leaves no entry. The cache is $PHOSPHENE_CACHE or ~/.cache/phosphene.
    """
    chosen, why = own_size(source, size)
    settings = Settings(chosen, fit, channels)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        digests = list(_mapped(pool, lambda number: _digest(source.read(number)), len(source.names)))
        key = _key(source.names, digests, settings)
        entry = files.cache() / key
        if not entry.is_dir():
            _write(entry, source, settings, pool, on_progress or (lambda _done, _total: None))
    return _load(entry, source, len(digests) - len(set(digests)), why)


def _mapped(pool: ThreadPoolExecutor, function: Callable[[int], T], count: int) -> Iterator[T]:
    """function(0), function(1), ... in order, no more than a window ahead of who takes them."""
    for start in range(0, count, WINDOW):
        yield from pool.map(function, range(start, min(start + WINDOW, count)))


def _digest(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    try:
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{content}: {error.strerror}"


def _key(names: tuple[str, ...], digests: list[str], settings: Settings) -> str:
    key = hashlib.sha256(f"{VERSION} {settings}\n".encode())
    for name, digest in zip(names, digests, strict=True):
        key.update(f"{name}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return key.hexdigest()


def _write(
    entry: Path, source: Source, settings: Settings, pool: ThreadPoolExecutor, on_progress: Progress
) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    _sweep(entry.parent)
    part = entry.with_name(f".{entry.name[:16]}.{secrets.token_hex(4)}.part")
    part.mkdir()
    try:
        used, unreadable, modes, notes = [], [], set(), Counter()
        with (part / "stage").open("w+b") as stage:
            count = len(source.names)
            decoded = _mapped(pool, lambda number: decode(source.read(number), settings), count)
            for number, result in enumerate(decoded):
                if isinstance(result, str):
                    unreadable.append((source.names[number], result))
                else:
                    used.append(number)
                    modes.add(result.mode)
                    notes.update(result.notes)
                    stage.write(result.pixels.tobytes())
                on_progress(number + 1, count)
            if not used:
                name, reason = unreadable[0]
                raise ValueError(
                    f"none of the {count} pictures of {source.name} can be read: {name}: {reason}"
                )
            mode = fitting.common_mode(modes) if settings.channels == "keep" else settings.channels
            _pack(stage, part / "pictures.npy", len(used), settings, len(mode))
        (part / "stage").unlink()
        meta = {"used": used, "unreadable": unreadable, "notes": dict(sorted(notes.items()))}
        with (part / "meta.json").open("w", encoding="ascii") as file:
            json.dump(meta, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            part.replace(entry)
        except OSError:
            # Another process may have been faster; its entry holds the same.
            if not entry.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Removes what killed processes were decoding. One that is alive writes more than once a day."""
    for part in root.glob(".*.part"):
        # Another process may be removing it, or be done with it, right now.
        with suppress(FileNotFoundError):
            if time.time() - max(path.stat().st_mtime for path in (part, *part.iterdir())) > STALE:
                shutil.rmtree(part)


def _pack(stage: BinaryIO, path: Path, count: int, settings: Settings, channels: int) -> None:
    """Staged rows (h w c) to an array (n c h w) of the first channels: the others repeat grey or are opaque.

    Plain writes, because a full disk is an error there and a crash in a memory map.
    """
    size, staged = settings.size, len(settings.staged)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, channels, size, size)}
        np.lib.format.write_array_header_1_0(file, header)
        stage.seek(0)
        while chunk := stage.read(WINDOW * size * size * staged):
            rows = np.frombuffer(chunk, np.uint8).reshape(-1, size, size, staged)
            file.write(rows[..., :channels].transpose(0, 3, 1, 2).tobytes())
        file.flush()
        os.fsync(file.fileno())


def _load(entry: Path, source: Source, duplicates: int, why: dict[str, int]) -> Dataset:
    meta = json.loads((entry / "meta.json").read_text("ascii"))
    used = meta["used"]
    labels = None if source.labels is None else np.array([source.labels[i] for i in used], np.int64)
    captions = None if source.captions is None else tuple(source.captions[i] for i in used)
    return Dataset(
        pictures=np.load(entry / "pictures.npy", mmap_mode="r", allow_pickle=False),
        labels=labels,
        classes=source.classes,
        captions=captions,
        names=tuple(source.names[i] for i in used),
        before=paired(source, used),
        fingerprint=fingerprint(entry.name, source),
        report=Report(
            found=len(source.names),
            used=len(used),
            unreadable=tuple((name, reason) for name, reason in meta["unreadable"]),
            duplicates=duplicates,
            ignored=source.ignored,
            notes={**why, **meta["notes"]},
            problems=source.problems,
        ),
    )
