"""What people write beside pictures: metadata.jsonl, metadata.csv and .txt files.

A metadata file names pictures relative to its own folder: `file_name`, and `text` (a caption, or a list of
several), `label` (a class) or both. A .txt file with a picture's stem holds its caption, or several, a line
each. Rules where several speak: a metadata
file nearer to the picture beats one further up, later rows beat earlier ones, metadata beats .txt.
"""

import csv
import io
import json
import posixpath
from collections.abc import Iterator
from typing import NamedTuple

METADATA = ("metadata.jsonl", "metadata.csv")


class Row(NamedTuple):
    """One line of a metadata file; the name is relative to the folder of the whole data set.

    text: None where there is none, "" where what is written is blank; of several captions a line each.
    """

    name: str
    text: str | None
    label: str | None


def read_metadata(name: str, content: bytes) -> list[Row]:
    """The rows of a metadata file `name` (relative to the data set). Raises ValueError with file and line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name} line {line}: not UTF-8 text") from error
    entries = _jsonl(name, text) if name.endswith(".jsonl") else _csv(name, text)
    return [_row(name, line, entry) for line, entry in entries]


def _jsonl(name: str, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    # Not splitlines: JSON strings may hold other line separators (U+2028) as they are.
    for line, entry in enumerate(text.split("\n"), 1):
        if not entry.strip():
            continue
        try:
            value = json.loads(entry)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name} line {line}: not JSON") from error
        if not isinstance(value, dict):
            raise ValueError(
                f'{name} line {line}: not a JSON object, expected {{"file_name": ..., "text": ...}}'
            )
        yield line, value


def _csv(name: str, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if "file_name" not in (reader.fieldnames or ()):
            raise ValueError(f"{name} line 1: no column file_name, expected file_name and text or label")
        for entry in reader:
            if None in entry:
                raise ValueError(f"{name} line {reader.line_num}: more fields than columns")
            # An empty field of a table is an absent one.
            yield reader.line_num, {column: value or None for column, value in entry.items()}
    except csv.Error as error:
        raise ValueError(f"{name} line {reader.line_num + 1}: not CSV ({error})") from error


def _row(name: str, line: int, entry: dict[str, object]) -> Row:
    file_name, text, label = (entry.get(key) for key in ("file_name", "text", "label"))
    if not isinstance(file_name, str) or not file_name:
        raise ValueError(f"{name} line {line}: file_name {file_name!r} is not the name of a picture")
    if isinstance(text, list) and all(isinstance(one, str) for one in text):
        text = "\n".join(" ".join(one.split()) for one in text)
    if not isinstance(text, str | None):
        raise ValueError(f"{name} line {line}: text {text!r} is neither a string nor a list of strings")
    if isinstance(label, bool) or not isinstance(label, str | int | None):
        raise ValueError(f"{name} line {line}: label {label!r} is neither a string nor an integer")
    picture = posixpath.normpath(posixpath.join(posixpath.dirname(name), file_name))
    return Row(
        picture, None if text is None else text.strip(), None if label is None else str(label).strip() or None
    )
