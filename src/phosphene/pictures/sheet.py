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
CHECK = (204, 255)
GROUND = (255, 255, 255)
INK = (60, 60, 60)
TITLE_SIZE = 14
TITLE_WIDTH = 240


def sheet(
    images: Sequence[Image.Image],
    columns: int,
    *,
    enlarge: int | None = None,
    gap: int = 4,
    row_titles: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
) -> Image.Image:
    """An RGB picture of all images (L, LA, RGB, RGBA), row by row, each cell as large as the largest.

    enlarge: pixels per pixel; None takes what makes the largest side at least 64. Titles that do not fit
    (240 pixels beside a row, a cell's width above a column) end in "...".
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
    beside = [_shortened(title, font, TITLE_WIDTH) for title in row_titles or ()]
    above = [_shortened(title, font, width) for title in column_titles or ()]
    left = math.ceil(max(map(font.getlength, beside))) + 2 * gap if beside else gap
    top = TITLE_SIZE + 6 + gap if above else gap
    page = Image.new("RGB", (left + columns * (width + gap), top + rows * (height + gap)), GROUND)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        page.paste(tile, (left + column * (width + gap), top + row * (height + gap)))
    draw = ImageDraw.Draw(page)
    for row, title in enumerate(beside):
        middle = top + row * (height + gap) + height // 2
        draw.text((gap, middle), title, fill=INK, font=font, anchor="lm")
    for column, title in enumerate(above):
        middle = left + column * (width + gap) + width // 2
        draw.text((middle, top // 2), title, fill=INK, font=font, anchor="mm")
    return page


def readable(images: Sequence[Image.Image]) -> int:
    """How many times to enlarge so that the largest side of all is at least 64."""
    return math.ceil(READABLE / max(max(image.size) for image in images))


def shown(image: Image.Image, enlarge: int) -> Image.Image:
    """The picture as a person should see it: L or RGB, enlarged, transparency over a checkerboard."""
    width, height = image.width * enlarge, image.height * enlarge
    larger = image.resize((width, height), Resampling.NEAREST)
    if image.mode not in ("LA", "RGBA"):
        return larger
    row, column = np.indices((height, width)) // 8
    checks = Image.fromarray(np.array(CHECK, np.uint8)[(row + column) % 2]).convert("RGBA")
    return Image.alpha_composite(checks, larger.convert("RGBA")).convert("RGB")


def _shortened(title: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    line = " ".join(title.split())
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "...") > width:
        line = line[:-1]
    return line + "..."
