"""Contact sheets: many small pictures on one that a person can read.

Tiles are enlarged by whole numbers with nearest neighbour, so that every pixel stays what it is.
Transparent pictures lie on a checkerboard.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling

READABLE = 64
CELL = 112  # of a sheet whose titles are to be read
CHECK = (204, 255)
GROUND = (255, 255, 255)
INK = (60, 60, 60)
TITLE_SIZE = 14
LINE = 18
GAP = 4
TITLE_WIDTH = 240


def sheet(
    images: Sequence[Image.Image],
    columns: int,
    *,
    enlarge: int | None = None,
    gap: int = GAP,
    row_titles: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
    lines: int = 1,
) -> Image.Image:
    """An RGB picture of all images (L, LA, RGB, RGBA), row by row, each cell as large as the largest.

    enlarge: pixels per pixel; None takes what makes the largest side at least 64. Titles take so many lines
    at most; what does not fit (240 pixels beside a row, a cell's width above a column) ends in "...".
    """
    if not images:
        raise ValueError("a sheet of no images: give at least one")
    if columns < 1:
        raise ValueError(f"columns {columns}: give at least 1")
    rows = math.ceil(len(images) / columns)
    for name, titles, count in (("row", row_titles, rows), ("column", column_titles, columns)):
        if titles is not None and len(titles) != count:
            raise ValueError(f"{len(titles)} {name} titles for {count} {name}s: give one for each")
    tiles = [shown(image, enlarge or readable(images)) for image in images]
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    font = ImageFont.load_default(TITLE_SIZE)
    beside = [wrapped(title, TITLE_WIDTH, lines) for title in row_titles or ()]
    above = [wrapped(title, width, lines) for title in column_titles or ()]
    left = math.ceil(max(font.getlength(line) for title in beside for line in title)) if beside else 0
    left += 2 * gap if beside else gap
    top = LINE * max(map(len, above)) + 2 + gap if above else gap
    page = Image.new("RGB", (left + columns * (width + gap), top + rows * (height + gap)), GROUND)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        page.paste(tile, (left + column * (width + gap), top + row * (height + gap)))
    draw = ImageDraw.Draw(page)
    for row, title in enumerate(beside):
        middle = top + row * (height + gap) + height // 2
        for place, line in _around(middle, title):
            draw.text((gap, place), line, fill=INK, font=font, anchor="lm")
    for column, title in enumerate(above):
        middle = left + column * (width + gap) + width // 2
        for place, line in _around(top // 2, title):
            draw.text((middle, place), line, fill=INK, font=font, anchor="mm")
    return page


def headed(page: Image.Image, heading: str, lines: int = 3) -> Image.Image:
    """The page under a heading, which takes as many lines as it needs, so many at most."""
    said = wrapped(heading, max(page.width, TITLE_WIDTH) - 2 * GAP, lines)
    band = LINE * len(said) + 2 * GAP
    whole = Image.new("RGB", (max(page.width, TITLE_WIDTH), page.height + band), GROUND)
    whole.paste(page, (0, band))
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(said):
        place = (GAP, GAP + LINE * number + LINE // 2)
        draw.text(place, line, fill=INK, font=ImageFont.load_default(TITLE_SIZE), anchor="lm")
    return whole


def below(pages: Sequence[Image.Image]) -> Image.Image:
    """RGB pages below each other."""
    whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), GROUND)
    top = 0
    for page in pages:
        whole.paste(page, (0, top))
        top += page.height
    return whole


def readable(images: Sequence[Image.Image], side: int = READABLE) -> int:
    """How many times to enlarge so that the largest side of all is at least so many pixels."""
    return math.ceil(side / max(max(image.size) for image in images))


def shown(image: Image.Image, enlarge: int) -> Image.Image:
    """The picture as a person should see it: L or RGB, enlarged, transparency over a checkerboard."""
    width, height = image.width * enlarge, image.height * enlarge
    larger = image.resize((width, height), Resampling.NEAREST)
    if image.mode not in ("LA", "RGBA"):
        return larger
    row, column = np.indices((height, width)) // 8
    checks = Image.fromarray(np.array(CHECK, np.uint8)[(row + column) % 2]).convert("RGBA")
    return Image.alpha_composite(checks, larger.convert("RGBA")).convert("RGB")


def wrapped(text: str, width: int, lines: int) -> list[str]:
    """A text in so many lines at most, broken between words; what does not fit ends in "..."."""
    font = ImageFont.load_default(TITLE_SIZE)
    words, said = text.split(), [""]
    while words:
        longer = f"{said[-1]} {words[0]}".strip()
        if font.getlength(longer) <= width:
            said[-1] = longer
            del words[0]
        elif said[-1] and len(said) < lines:
            said.append("")
        else:
            rest = " ".join([*said[-1:], *words]).strip()
            while rest and font.getlength(rest + "...") > width:
                rest = rest[:-1]
            return [*said[:-1], rest + "..."]
    return said


def _around(middle: int, lines: Sequence[str]) -> list[tuple[int, str]]:
    """Lines, each with the height of its middle, so that all of them have theirs in one place."""
    first = middle - LINE * (len(lines) - 1) // 2
    return [(first + LINE * number, line) for number, line in enumerate(lines)]
