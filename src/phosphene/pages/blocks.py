"""The parts that pages are built of: each function returns HTML, with all text in it escaped.

Where text is wanted, a `Markup` (what these functions return) is taken as it is.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup
from PIL import Image

from phosphene.pages.page import Block, macro, paragraph

Kind = Literal["plain", "good", "warning", "bad"]
Cell = Block | int | float | None

SIDE = 64  # CSS pixels that the larger side of a small picture is shown at, at least
PHONE = 60  # characters of a row that a phone shows, with some scrolling
LONG = 40  # characters from which a column's text may wrap


def text(words: Block) -> Markup:
    """A paragraph."""
    return macro("text", words)


def heading(words: Block) -> Markup:
    """A title inside a section."""
    return macro("heading", words)


def note(words: Block, kind: Kind = "plain", title: Block = "") -> Markup:
    """Something to be noticed: what is well, a warning, a failure."""
    return macro("note", words, kind, title)


def code(*lines: str) -> Markup:
    """Commands or settings, word for word."""
    return macro("code", lines)


def details(summary: Block, *blocks: Block) -> Markup:
    """What is shown when asked for; on paper it is always shown."""
    return macro("details", summary, list(map(paragraph, blocks)))


def grid(*blocks: Block) -> Markup:
    """Blocks side by side where there is room, below each other on a phone."""
    return macro("grid", list(map(paragraph, blocks)))


def pairs(strips: Sequence[Markup]) -> Markup:
    """Short strips, as many side by side as there is room for."""
    return macro("pairs", strips)


def facts(pairs: Mapping[str, Cell]) -> Markup:
    """Names and values, a line each."""
    return macro("facts", [(name, cell(value)) for name, value in pairs.items()])


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], caption: Block = "") -> Markup:
    """A table that scrolls inside its own box; where it is much wider than a phone, its rows are cards there.
    A column of numbers (int, float, None, or text that begins as a number does) is aligned right; give floats
    as text where their digits matter."""
    kinds = [_column([row[i] for row in rows]) for i in range(len(columns))]
    cells = [[cell(value) for value in row] for row in rows]
    longest = [max(map(_length, column), default=0) for column in zip(columns, *cells, strict=True)]
    return macro("table", columns, cells, kinds, sum(longest) > PHONE, caption)


def figure(body: Markup, caption: Block = "") -> Markup:
    """Anything with a caption."""
    return macro("figure", body, caption, "")


def picture(
    image: Image.Image, alt: str, *, caption: Block = "", side: int = SIDE, titled: bool = False
) -> Markup:
    """A picture inside the page. A small one is enlarged by a whole number until its larger side is at least
    `side` CSS pixels, its pixels kept as squares; a large one is shrunk to fit the page. titled: it may hold
    words, so it is not shrunk to a phone but scrolls there inside its own box."""
    shown = _image(image, alt, side)
    if titled:
        shown = macro("titled", shown)
    return macro("figure", shown, caption, "") if caption else shown


def gallery(
    images: Sequence[Image.Image],
    captions: Sequence[Block] | None = None,
    *,
    caption: Block = "",
    side: int = SIDE,
    alt: str = "",
) -> Markup:
    """Pictures in rows that wrap as the page is wide. captions: one below each."""
    return _tiles(images, captions, caption, side, alt, "gallery")


def strip(
    images: Sequence[Image.Image],
    captions: Sequence[Block] | None = None,
    *,
    caption: Block = "",
    side: int = SIDE,
    alt: str = "",
) -> Markup:
    """Pictures in one row, which scrolls inside its own box where it is too long: things in an order."""
    return _tiles(images, captions, caption, side, alt, "strip")


def _tiles(
    images: Sequence[Image.Image],
    captions: Sequence[Block] | None,
    caption: Block,
    side: int,
    alt: str,
    kind: str,
) -> Markup:
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"captions: {len(captions)} for {len(images)} pictures; give one each")
    shown = [_image(image, f"{alt} {i}".strip(), side) for i, image in enumerate(images)]
    tiles = macro("tiles", shown, captions, kind)
    return macro("figure", tiles, caption, "") if caption else tiles


def _image(image: Image.Image, alt: str, side: int) -> Markup:
    times = max(1, math.ceil(side / max(image.size)))
    transparent = image.mode in ("LA", "RGBA")
    kind = "alpha" if transparent else "smooth" if max(image.size) > 4 * side else ""
    return macro("image", data_uri(image), alt, image.width * times, image.height * times, kind)


def data_uri(image: Image.Image) -> str:
    """The picture as a PNG inside an address."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def cell(value: Cell) -> Block:
    """A value as text: None is empty, integers have commas, floats four significant digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else value


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits, without an exponent where that is readable: 0.0123, 4,321."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -5 <= size < 9:
        return f"{value:,.{max(0, digits - 1 - size)}f}"
    return f"{value:.{digits - 1}e}"


def interval(value: float, low: float, high: float, digits: int = 4) -> str:
    """A value and its interval, all with the decimals of the value: 0.0123 (0.0101 to 0.0150)."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(value, digits)
    return f"{number(value, digits)} ({_alike(low, value, digits)} to {_alike(high, value, digits)})"


def _alike(other: float, value: float, digits: int) -> str:
    if value == 0 or not math.isfinite(value):
        return number(other, digits)
    size = math.floor(math.log10(abs(value)))
    return f"{other:,.{max(0, digits - 1 - size)}f}" if -5 <= size < 9 else f"{other:.{digits - 1}e}"


def _length(words: Block) -> int:
    return len(Markup(words).striptags())


def _column(cells: Sequence[Cell]) -> str:
    """The class of a column: n for numbers, long for text that may wrap."""
    some = [value for value in cells if value not in (None, "")]
    if some and all(_numeric(value) for value in some):
        return "n"
    return (
        "long"
        if any(len(Markup(value).striptags()) > LONG for value in some if isinstance(value, str))
        else ""
    )


def _numeric(value: Cell) -> bool:
    if isinstance(value, str):
        head = value.lstrip("+-\u2212<>~≤≥ ")
        return head[:1].isdigit() or head[:3] in ("inf", "nan")
    return isinstance(value, int | float)
