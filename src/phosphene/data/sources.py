"""Where pictures come from: a folder of files, shards, the hub, or a set that is bundled with a library.

A folder is read to any depth, in an order that depends on names alone. What is a picture is decided by its
content: a known suffix makes a file a candidate, any other file is one if its header is a picture's.
Labels and captions follow the conventions of ImageFolder, of metadata files and of files beside pictures.
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from phosphene.data import hub, shards
from phosphene.data.annotations import (
    BESIDE,
    METADATA,
    NOTHING,
    USUAL,
    Columns,
    Said,
    read_beside,
    read_metadata,
)
from phosphene.data.source import ALONE, Source, annotated, natural
from phosphene.pictures.opening import SUFFIXES, measure

SIDE = "train"  # of a set that was made
OTHERS = re.compile(r"\.(txt|caption|cls|jsonl?|csv|tsv|md|xml|ya?ml|toml|html|py|ini|db|log)")


def find(source: str | Path, columns: Columns = USUAL) -> Source:
    """The pictures of a folder, of shards (a folder of .tar files, one of them, or a pattern such as
    shards/{000..031}.tar), of a data set of the Hugging Face hub (hub:OWNER/NAME), or of a bundled set.

    Classes: those of metadata or beside a picture where given, else the first folder level when every picture
    lies in a folder and there are at least two. Raises ValueError for a missing or empty folder, for broken
    metadata, for named columns that no picture has, and where pairs are asked for and there are none.
    """
    found = _find(source, columns)
    if columns.pairs and not any(one != ALONE for one in found.before or ()):
        fields = ", ".join(columns.befores)
        raise ValueError(
            f"data.pairs: no picture of {source} says which other it was made from, in a field of "
            f"metadata.jsonl, or in shards by its name, 0007.{columns.befores[0]}.jpg: {fields}"
        )
    for setting, field, none in (
        ("text_column", columns.text, found.captions is None and not found.blank),
        ("label_column", columns.label, found.labels is None),
    ):
        if field is not None and none:
            raise ValueError(f"data.{setting} {field!r}: no picture of {source} has such a field")
    return found


def _find(source: str | Path, columns: Columns) -> Source:
    path, name = Path(source), str(source)
    if path.is_dir():
        return _folder(path, columns)
    if name.startswith(hub.PREFIX):
        return hub.hub(name, columns)
    if columns.image is not None and not path.is_dir():
        raise ValueError(
            f"data.image_column {columns.image!r}: it names pictures in metadata or on the hub; {source} has "
            "neither, leave it out"
        )
    if shards.are_shards(name):
        return shards.shards(name, shards.expanded(name), columns)
    if path.exists():
        raise ValueError(f"{source} is a file: give the folder that holds it")
    if name in BUNDLED:
        return BUNDLED[name]()
    near = difflib.get_close_matches(name, BUNDLED, 1)
    hint = f"did you mean the bundled set {near[0]!r}?" if near else f"bundled sets are: {', '.join(BUNDLED)}"
    raise ValueError(f"no folder {name!r}: {hint}")


def there(source: str) -> bool:
    """Whether something can be found under that name, as far as can be told without looking into it."""
    if source.startswith(hub.PREFIX) or source in BUNDLED or Path(source).is_dir():
        return True
    return shards.are_shards(source) and all(Path(path).is_file() for path in shards.expanded(source))


def everywhere(source: str) -> str:
    """The same source, named so that it is found from any working folder: a folder by its absolute path."""
    if source.startswith(hub.PREFIX):
        return hub.everywhere(source)
    return os.path.abspath(source) if Path(source).is_dir() or shards.are_shards(source) else source  # noqa: PTH100 (a pattern is no path)


def short(source: str) -> str:
    """What a run on this source is called."""
    if source.startswith(hub.PREFIX):
        return Path(source.removeprefix(hub.PREFIX).split(":")[0]).name
    path = Path(source).resolve()
    if "{" in path.name or (path.name == SIDE and path.parent.name):
        return path.parent.name
    return path.name.removesuffix(".tar")


def _folder(root: Path, columns: Columns) -> Source:
    problems: list[str] = []
    files = sorted(_files(root, problems))
    if not files:
        raise ValueError(f"folder {root} is empty: give a folder of pictures")
    names, ignored = [], Counter()
    for name in files:
        suffix = Path(name).suffix.lower()
        if OTHERS.fullmatch(suffix) or Path(name).name in METADATA:
            continue
        if SUFFIXES.fullmatch(suffix) or measure(root / name) is not None:
            names.append(name)
        else:
            ignored[suffix or "no suffix"] += 1
    if columns.image is not None and not any(Path(name).name in METADATA for name in files):
        raise ValueError(
            f"data.image_column {columns.image!r}: {root} has no metadata whose rows could name pictures; "
            "leave it out"
        )
    tars = [str(root / name) for name in files if name.lower().endswith(".tar")]
    if not names and tars:
        return shards.shards(str(root), sorted(tars, key=natural), columns, problems)
    if tars:
        problems.append(f"{len(tars)} .tar files beside pictures: give shards a folder of their own")
    if not names:
        kinds = ", ".join(sorted({Path(name).suffix.lower() or "no suffix" for name in files})[:8])
        raise ValueError(f"folder {root} holds no picture, only {len(files)} other files ({kinds})")
    rows, mismatched = _metadata(root, files, set(names), columns)
    beside, unread = _beside(root, names, set(files), columns)
    paths = tuple(root / name for name in names)
    return annotated(
        str(root),
        names,
        paths.__getitem__,
        [
            rows.get(name, NOTHING).before(near).before(folder)
            for name, near, folder in zip(names, beside, _classes(names), strict=True)
        ],
        ignored=ignored,
        problems=(*problems, *mismatched, *unread),
        pairs=columns.pairs,
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


def _metadata(
    root: Path, files: list[str], pictures: set[str], columns: Columns
) -> tuple[dict[str, Said], list[str]]:
    """What rows say by picture, and problems: rows that name no picture."""
    everything: dict[str, Said] = {}
    problems = []
    listed = [name for name in files if Path(name).name in METADATA]
    for name in sorted(listed, key=lambda name: (name.count("/"), name)):
        found = read_metadata(name, (root / name).read_bytes(), columns)
        missing = [row.name for row in found if row.name not in pictures]
        if missing:
            problems.append(f"{name}: {len(missing)} rows name no picture here, the first {missing[0]}")
        here: dict[str, Said] = {}
        for row in found:
            if row.name in pictures:
                here[row.name] = here.get(row.name, NOTHING).joined(row.said)
        for picture, said in here.items():
            everything[picture] = said.before(everything.get(picture, NOTHING))
    return everything, problems


def _beside(root: Path, names: list[str], files: set[str], columns: Columns) -> tuple[list[Said], list[str]]:
    """What the files beside each picture say, and problems."""
    result, problems = [], []
    for name in names:
        said = NOTHING
        for suffix in BESIDE:
            beside = Path(name).with_suffix(f".{suffix}").as_posix()
            if beside in files:
                try:
                    said = said.before(read_beside(beside, (root / beside).read_bytes(), columns))
                except ValueError as error:
                    problems.append(str(error))
        result.append(said)
    return result, problems


def _classes(names: list[str]) -> list[Said]:
    """The class that each picture's folder says."""
    folders = [name.split("/")[0] if "/" in name else None for name in names]
    if None in folders or len(set(folders)) < 2:
        return [NOTHING] * len(names)
    return [Said(None, folder) for folder in folders]


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
