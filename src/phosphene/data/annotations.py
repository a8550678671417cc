"""What people write about pictures: metadata files, and files beside a picture with its name.

A metadata file (metadata.jsonl, .csv or .parquet) names pictures relative to its own folder: `file_name`,
and a caption, a class or both. Beside a picture: .txt or .caption, a caption a line (tags too, as they are:
"1girl, red hat"); .json, a caption, a list of them, or an object with the fields of a metadata file; .cls,
a class.

Captions are in the first of the fields `text`, `caption`, `captions`, `tags` that is there: a string, or a
list of several captions (of tags, which make one); a class is in `label`. `Columns` names others. Rules
where several speak: a metadata file nearer to the picture beats one further up, rows of one file for one
picture add their captions, metadata beats what is beside, .txt beats .caption beats .json.

Where pairs are asked for, a row further names the picture that its own was made from, in the first of the
fields `source`, `before`, `edit_of`, `input_image`; its own may then be in `edited_image` too, and what was
asked for comes first of all from `instruction` or `edit_prompt`.
"""

import csv
import io
import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
BESIDE = ("txt", "caption", "json", "cls")
CAPTIONS = ("text", "caption", "captions", "tags")
INSTRUCTIONS = ("instruction", "edit_prompt")
BEFORE = ("source", "before", "edit_of", "input_image")
AFTER = ("file_name", "edited_image")


class Columns(NamedTuple):
    """The fields that hold captions and classes; None: the usual ones.

    pairs: whether pictures are told that others were made from, and before: the field that names those.
    image: the field that names the pictures themselves.
    """

    text: str | None = None
    label: str | None = None
    pairs: bool = False
    before: str | None = None
    image: str | None = None

    @property
    def captions(self) -> tuple[str, ...]:
        """The fields that may hold captions, the first that is there does."""
        if self.text is not None:
            return (self.text,)
        return (*INSTRUCTIONS, *CAPTIONS) if self.pairs else CAPTIONS

    @property
    def befores(self) -> tuple[str, ...]:
        """The fields that may name the picture before."""
        if not self.pairs:
            return ()
        return BEFORE if self.before is None else (self.before,)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that may name the picture itself."""
        if self.image is not None:
            return (self.image,)
        return AFTER if self.pairs else AFTER[:1]


USUAL = Columns()


class Said(NamedTuple):
    """What one place says of one picture. captions: None where there is none, () where it is blank.

    made_from: the name of the picture that it was made from, where pairs are asked for.
    """

    captions: tuple[str, ...] | None = None
    label: str | None = None
    made_from: str | None = None

    def before(self, other: "Said") -> "Said":
        """This, and what the other says where this says nothing."""
        blank = () if self.captions == () and other.captions is None else other.captions
        return Said(
            self.captions or blank,
            self.label if self.label is not None else other.label,
            self.made_from if self.made_from is not None else other.made_from,
        )

    def joined(self, other: "Said") -> "Said":
        """The captions of both; of the rest, the other's where it has any."""
        both = [captions for captions in (self.captions, other.captions) if captions is not None]
        captions = tuple(dict.fromkeys(chain(*both))) if both else None
        label = self.label if other.label is None else other.label
        made_from = self.made_from if other.made_from is None else other.made_from
        return Said(captions, label, made_from)


NOTHING = Said()


class Row(NamedTuple):
    """One line of a metadata file; the name is relative to the folder of the whole data set."""

    name: str
    said: Said


def read_metadata(name: str, content: bytes, columns: Columns = USUAL) -> list[Row]:
    """The rows of a metadata file `name` (relative to the data set). Raises ValueError with file and line."""
    if name.endswith(".parquet"):
        entries = _parquet(name, content, columns)
    else:
        text = _text(name, content)
        entries = _jsonl(name, text) if name.endswith(".jsonl") else _csv(name, text, columns)
    return [_row(name, line, entry, columns) for line, entry in entries]


def read_beside(name: str, content: bytes, columns: Columns = USUAL) -> Said:
    """What a file beside a picture says; its suffix is one of BESIDE. Raises ValueError of one line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text") from error
    match name.rpartition(".")[2].lower():
        case "json":
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{name} is not JSON") from error
            return said(name, value if isinstance(value, dict) else {"text": value}, columns)
        case "cls":
            return Said(None, text.strip() or None)
        case _:
            return Said(_stripped(text.split("\n")))


def said(where: str, entry: Mapping[str, Any], columns: Columns = USUAL) -> Said:
    """What the fields of an object or a row say. Raises ValueError for values of other kinds."""
    name = _first(entry, columns.captions)
    captions = None if name is None else _captions(where, name, entry[name])
    field = columns.label or "label"
    label = entry.get(field)
    if isinstance(label, bool) or not isinstance(label, str | int | None):
        raise ValueError(f"{where}: {field} {label!r} is neither a string nor an integer")
    return Said(captions, None if label is None else str(label).strip() or None)


def _first(entry: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first of these fields that is there."""
    return next((name for name in names if entry.get(name) is not None), None)


def _captions(where: str, name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        _refuse_halves(where, name, [value])
        return _stripped([value])
    texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(texts) < len(value):
        raise ValueError(f"{where}: {name} {value!r:.60} is not a string or a list of strings")
    _refuse_halves(where, name, texts)
    return _stripped([", ".join(texts)] if name == "tags" else texts)


def _refuse_halves(where: str, name: str, texts: Iterable[str]) -> None:
    """JSON can say half of a character (a lone surrogate), which is no text."""
    for text in texts:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"{where}: {name} {text!r:.60} holds half of a character: a cut-off text?")


def _stripped(texts: list[str]) -> tuple[str, ...]:
    """Each caption once, without the blank ones."""
    return tuple(dict.fromkeys(words for text in texts if (words := text.strip())))


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name} line {line}: not UTF-8 text") from error


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


def _csv(name: str, text: str, columns: Columns) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if not {*columns.names} & {*(reader.fieldnames or ())}:
            raise ValueError(
                f"{name} line 1: no column {columns.names[0]}, expected {columns.names[0]} and text or label"
            )
        for entry in reader:
            if None in entry:
                raise ValueError(f"{name} line {reader.line_num}: more fields than columns")
            # An empty field of a table is an absent one.
            yield reader.line_num, {column: value or None for column, value in entry.items()}
    except csv.Error as error:
        raise ValueError(f"{name} line {reader.line_num + 1}: not CSV ({error})") from error


def _parquet(name: str, content: bytes, columns: Columns) -> Iterator[tuple[int, dict[str, object]]]:
    try:
        import pyarrow as arrow  # large, and only this needs it
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError(f"{name}: reading it needs pyarrow: pip install 'phosphene[hub]'") from error
    try:
        table = parquet.read_table(arrow.BufferReader(content))
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{name} line 1: not Parquet ({reason:.80})") from error
    if not {*columns.names} & {*table.column_names}:
        raise ValueError(
            f"{name} line 1: no column {columns.names[0]}, expected {columns.names[0]} and text or label"
        )
    yield from enumerate(table.to_pylist(), 1)


def _row(name: str, line: int, entry: dict[str, object], columns: Columns) -> Row:
    where = f"{name} line {line}"
    picture = _picture(name, line, entry, _first(entry, columns.names) or columns.names[0])
    before = _first(entry, columns.befores)
    made_from = None if before is None else _picture(name, line, entry, before)
    return Row(picture, said(where, entry, columns)._replace(made_from=made_from))


def _picture(name: str, line: int, entry: dict[str, object], field: str) -> str:
    """The picture that a field names."""
    file_name = entry.get(field)
    if not isinstance(file_name, str) or not file_name:
        raise ValueError(f"{name} line {line}: {field} {file_name!r} is not the name of a picture")
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), file_name))
