"""Data sets of the Hugging Face hub, through its library `datasets`: hub:OWNER/NAME, and folders that it
wrote.

    hub:OWNER/NAME[:[CONFIGURATION:]SPLIT]      hub:./FOLDER[:...]

The prefix asks for the network; a folder needs none. Tables are downloaded whole and read from a memory
map, so that pictures can be read in any order. Only formats of plain data are taken: no script of a data
set ever runs, and no format that holds pickles is opened.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene.data.annotations import Columns, Said, said
from phosphene.data.source import Source, annotated

if TYPE_CHECKING:
    from datasets import Dataset

PREFIX = "hub:"
PLAIN = ("parquet", "arrow", "imagefolder", "webdataset", "csv", "json")
SPLIT = "train"


def hub(source: str, columns: Columns) -> Source:
    """The pictures of a data set, their captions and classes.

    Pictures: the column of that feature, or the one that is named; where pairs are asked for, the other one
    beside `input_image` (or another of its names), which holds those that they were made from. Captions: the
    column that is named, or the first of `text`, `caption`, ... that is there. Classes: the column that is
    named, or one of that feature, or `label`.
    Raises ValueError for what is not there, is not plain data, or does not say which column is meant.
    """
    name, configuration, split = parsed(source)
    try:
        import datasets
        from datasets import config
    except ImportError as error:
        raise ValueError(f"{source}: it needs the package datasets: pip install 'phosphene[hub]'") from error
    try:
        table = _loaded(name, configuration, split)
    except ValueError as error:
        raise ValueError(f"{source}: {_line(error)}") from error
    except Exception as error:  # the library promises no types, and a network has its own
        raise ValueError(f"{source} cannot be loaded: {_line(error)}") from error
    features: Mapping[str, Any] = table.features
    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    before = next((key for key in columns.befores if key in images), None)
    image = _image(source, columns.image, [key for key in images if key != before])
    classes = {key: kind for key, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
    for column in filter(None, (image, before)):
        table = table.cast_column(column, datasets.Image(decode=False))
    root = Path(name) if Path(name).is_dir() else Path(config.HF_CACHE_HOME)

    def read(number: int) -> Path | bytes:
        row, column = (number, image) if number < len(table) else (number - len(table), before)
        picture = table[row][column] or {}
        return picture["bytes"] if picture.get("bytes") is not None else _inside(root, picture.get("path"))

    names = [f"{number:0{len(str(len(table)))}}" for number in range(len(table))]
    rows = _said(source, table, columns, classes)
    if before is not None:
        firsts = [f"{name} {before}" for name in names]
        rows = [said._replace(made_from=first) for said, first in zip(rows, firsts, strict=True)]
        names, rows = names + firsts, rows + [Said()] * len(table)
    return annotated(source, names, read, rows, pairs=columns.pairs)


def parsed(source: str) -> tuple[str, str | None, str]:
    """Name, configuration and split. Raises ValueError for another form."""
    name, *rest = source.removeprefix(PREFIX).split(":")
    if len(rest) > 2 or not all([name, *rest]) or not (Path(name).is_dir() or name.count("/") == 1):
        raise ValueError(f"{source}: give hub:OWNER/NAME or hub:FOLDER, and after it :SPLIT or :CONFIG:SPLIT")
    return name, rest[0] if len(rest) == 2 else None, rest[-1] if rest else SPLIT


def everywhere(source: str) -> str:
    """The same, with a folder by its absolute path."""
    name, colon, rest = source.removeprefix(PREFIX).partition(":")
    return f"{PREFIX}{os.path.abspath(name)}{colon}{rest}" if Path(name).is_dir() else source  # noqa: PTH100 (links stay)


def _loaded(name: str, config: str | None, split: str) -> "Dataset":
    import datasets

    if any((Path(name) / file).is_file() for file in ("state.json", "dataset_dict.json")):
        found = datasets.load_from_disk(name)
        if isinstance(found, datasets.Dataset):
            return found
    else:
        builder = datasets.load_dataset_builder(name, config)
        if builder.name not in PLAIN:
            raise ValueError(f"its format is {builder.name}; accepted are {', '.join(PLAIN)}")
        builder.download_and_prepare()
        found = builder.as_dataset()
        assert isinstance(found, datasets.DatasetDict)
    if split not in found:
        raise ValueError(f"no split {split!r}; there are {', '.join(map(str, found))}: {PREFIX}{name}:SPLIT")
    return found[split]


def _image(source: str, wanted: str | None, columns: list[str]) -> str:
    if wanted is not None:
        if wanted not in columns:
            there = ", ".join(columns) or "none"
            raise ValueError(f"data.image_column {wanted!r}: no pictures of {source}; there are {there}")
        return wanted
    if len(columns) == 1:
        return columns[0]
    if "image" in columns:
        return "image"
    there = (
        f"several of them ({', '.join(columns)}) and none called image; data.image_column says which"
        if columns
        else "none"
    )
    raise ValueError(f"{source}: of the columns, one must hold pictures; there are {there}")


def _said(source: str, table: "Dataset", columns: Columns, classes: Mapping[str, Any]) -> list[Said]:
    """What each row says."""
    for setting, column in (("text_column", columns.text), ("label_column", columns.label)):
        if column is not None and column not in table.column_names:
            there = ", ".join(table.column_names)
            raise ValueError(f"data.{setting} {column!r}: no such column of {source}; there are {there}")
    text = next((name for name in columns.captions if name in table.column_names), None)
    label = columns.label or ("label" if "label" in table.column_names else next(iter(classes), None))
    wanted = Columns(text, label)
    kept = table.select_columns([name for name in (text, label) if name is not None])
    result = []
    for number in range(len(table)) if text is not None or label is not None else ():
        row = dict(kept[number])
        if label is not None and label in classes:
            # -1 and None: no class, as the library has it.
            row[label] = None if row[label] is None or row[label] < 0 else classes[label].int2str(row[label])
        result.append(said(f"{source} row {number}", row, wanted))
    return result or [Said()] * len(table)


def _inside(root: Path, path: str | None) -> Path | bytes:
    """A file of the data set; nothing where a row has none, or names one elsewhere."""
    if path is None or not (resolved := Path(path).resolve()).is_relative_to(root.resolve()):
        return b""
    return resolved


def _line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 300 else f"{words[:300]}..."
