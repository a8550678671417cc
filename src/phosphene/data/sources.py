"""Where pictures come from: a folder of files, or a set that is bundled with a library.

A folder is read to any depth, in an order that depends on names alone. What is a picture is decided by its
content: a known suffix makes a file a candidate, any other file is one if its header is a picture's.
Labels and captions follow the conventions of ImageFolder and of metadata files.
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phosphene.data.annotations import METADATA, Row, read_metadata
from phosphene.diffusion.condition import NO_LABEL
from phosphene.pictures.opening import measure

PICTURE = re.compile(r"\.(a?png|jpe?g|jpe|jfif|webp|gif|bmp|dib|tiff?|p[pgbnf]m|qoi)")
BESIDE = re.compile(r"\.(txt|jsonl?|csv|tsv|md|xml|ya?ml|toml|html|py|ini|db|log)")


@dataclass(frozen=True)
class Source:
    """Pictures that are named but not yet opened, with what is known about them.

    names: unique, sorted. read: the content of picture i, a file or its bytes. labels: indices into classes,
    -1 where there is none; None if no picture has one. captions: None if no picture has one.
    ignored: other files that were met, by suffix. problems: one line each. blank: pictures whose caption is
    written down and empty.
    """

    name: str
    names: tuple[str, ...]
    read: Callable[[int], Path | bytes]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]
    captions: tuple[str | None, ...] | None
    ignored: Mapping[str, int]
    problems: tuple[str, ...]
    blank: tuple[str, ...] = ()


def find(source: str | Path) -> Source:
    """The pictures of a folder, or of a bundled set of that name where there is no such folder.

    Classes: metadata labels where given, else the first folder level when every picture lies in a folder and
    there are at least two. Raises ValueError for a missing or empty folder and for broken metadata.
    """
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if path.exists():
        raise ValueError(f"{source} is a file: give the folder that holds it")
    name = str(source)
    if name in BUNDLED:
        return BUNDLED[name]()
    near = difflib.get_close_matches(name, BUNDLED, 1)
    hint = f"did you mean the bundled set {near[0]!r}?" if near else f"bundled sets are: {', '.join(BUNDLED)}"
    raise ValueError(f"no folder {name!r}: {hint}")


def everywhere(source: str) -> str:
    """The same source, named so that it is found from any working folder: a folder by its absolute path."""
    return str(Path(source).resolve()) if Path(source).is_dir() else source


def natural(name: str) -> tuple[list[str | int], str]:
    """Sorts names as people do: class2 before class10."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if odd % 2 else part for odd, part in enumerate(parts)], name


def _folder(root: Path) -> Source:
    problems: list[str] = []
    files = sorted(_files(root, problems))
    if not files:
        raise ValueError(f"folder {root} is empty: give a folder of pictures")
    names, ignored = [], Counter()
    for name in files:
        suffix = Path(name).suffix.lower()
        if BESIDE.fullmatch(suffix):
            continue
        if PICTURE.fullmatch(suffix) or measure(root / name) is not None:
            names.append(name)
        else:
            ignored[suffix or "no suffix"] += 1
    if not names:
        kinds = ", ".join(sorted({Path(name).suffix.lower() or "no suffix" for name in files})[:8])
        raise ValueError(f"folder {root} holds no picture, only {len(files)} other files ({kinds})")
    rows, mismatched = _metadata(root, files, set(names))
    labels, classes = _labels(names, rows)
    captions, blank, unread = _captions(root, names, set(files), rows)
    paths = tuple(root / name for name in names)
    return Source(
        name=str(root),
        names=tuple(names),
        read=paths.__getitem__,
        labels=labels,
        classes=classes,
        captions=captions,
        ignored=dict(sorted(ignored.items())),
        problems=(*problems, *mismatched, *unread),
        blank=tuple(blank),
    )


def _files(root: Path, problems: list[str]) -> Iterator[str]:
    """Relative names of all regular files but hidden ones; each folder is met once, whatever links to it."""
    met: set[tuple[int, int]] = set()

    def closed(error: OSError) -> None:
        problems.append(f"folder {error.filename} cannot be read: {error.strerror}")

    for folder, folders, files in os.walk(root, followlinks=True, onerror=closed):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in met:
            folders.clear()
            continue
        met.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(root).as_posix()


def _metadata(root: Path, files: list[str], pictures: set[str]) -> tuple[dict[str, Row], list[str]]:
    """Rows by picture, and problems: rows that name no picture."""
    rows, problems = {}, []
    listed = [name for name in files if Path(name).name in METADATA]
    for name in sorted(listed, key=lambda name: (name.count("/"), name)):
        found = read_metadata(name, (root / name).read_bytes())
        missing = [row.name for row in found if row.name not in pictures]
        if missing:
            problems.append(f"{name}: {len(missing)} rows name no picture here, the first {missing[0]}")
        repeated = len(found) - len({row.name for row in found})
        if repeated:
            problems.append(f"{name}: {repeated} rows name a picture again; the last row counts")
        rows |= {row.name: row for row in found if row.name in pictures}
    return rows, problems


def _labels(names: list[str], rows: dict[str, Row]) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    folders = [name.split("/")[0] if "/" in name else None for name in names]
    if None in folders or len(set(folders)) < 2:
        folders = [None] * len(names)
    given = [rows[name].label if name in rows else None for name in names]
    words = [label or folder for label, folder in zip(given, folders, strict=True)]
    classes = tuple(sorted({word for word in words if word is not None}, key=natural))
    if not classes:
        return None, ()
    number = {word: index for index, word in enumerate(classes)}
    return tuple(NO_LABEL if word is None else number[word] for word in words), classes


def _captions(
    root: Path, names: list[str], files: set[str], rows: dict[str, Row]
) -> tuple[tuple[str | None, ...] | None, list[str], list[str]]:
    """A caption or None for each picture, the pictures whose caption is blank, and problems."""
    captions: list[str | None] = []
    blank, problems = [], []
    for name in names:
        caption = rows[name].text if name in rows else None
        beside = Path(name).with_suffix(".txt").as_posix()
        if not caption and beside in files:
            try:
                caption = (root / beside).read_text("utf-8-sig").strip()
            except UnicodeDecodeError:
                problems.append(f"{beside} is not UTF-8 text")
        if caption == "":
            blank.append(name)
        captions.append(caption or None)
    return (tuple(captions) if any(captions) else None), blank, problems


def _digits() -> Source:
    """1,797 handwritten digits of 8x8 grey pixels (UCI optical recognition), 0..16 scaled to 0..255."""
    from sklearn.datasets import load_digits  # slow to import, and only this needs it

    numbers, labels = load_digits(return_X_y=True)
    pixels = np.floor(numbers * (255 / 16) + 0.5).astype(np.uint8)
    return Source(
        name="digits",
        names=tuple(f"{number:04}.pgm" for number in range(len(pixels))),
        read=lambda number: b"P5 8 8 255\n" + pixels[number].tobytes(),
        labels=tuple(int(label) for label in labels),
        classes=tuple("0123456789"),
        captions=None,
        ignored={},
        problems=(),
    )


BUNDLED: Mapping[str, Callable[[], Source]] = {"digits": _digits}
