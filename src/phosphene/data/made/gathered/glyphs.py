"""Letters and digits in many typefaces: 62 classes, white on black, antialiased.

A typeface is scaled so that the largest of its 62 glyphs takes INK of the picture, and every glyph's ink is
centred. One scale a typeface keeps small letters small: c and C, o and O differ by it alone.

Held out are whole designs (`designs.py`): a family together with its copies under other names.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from phosphene.data.made.folder import HELD_OUT, TRAIN, Making, Order, Picture
from phosphene.data.made.gathered.credits import Credit, link
from phosphene.data.made.gathered.designs import SHAPED, designs, shape
from phosphene.data.made.gathered.origin import Found, Origin, credited, gather, held_out_groups, shuffled
from phosphene.data.made.gathered.typefaces import CHARACTERS, Typeface, typeface

PACKAGES = (
    "fonts-dejavu-core",
    "fonts-dejavu-extra",
    "fonts-lato",
    "fonts-liberation2|fonts-liberation",
    "fonts-noto-core",
    "fonts-roboto-unhinted",
    "fonts-texgyre",
    "fonts-urw-base35",
)
SUFFIXES = (".ttf", ".otf")
INK = 0.88
MEASURED = 100.0  # pixels an em at which extents are measured
STREAM = 0x676C7970

WORDS = """Letters and digits, white on black, each in the middle of its picture.

{classes} classes (`label`) in {faces} typefaces of {families} families. Fields: `text` (a caption), `label`,
`family`, `style`, `design`. A typeface has one scale, so c and C, o and O differ by their size.

Held out are whole designs: a family together with those that are its copies under other names (most of their
letters have the same shapes) or its further widths. Held out here: {held_out}.

## Attribution

{table}

{origin}"""


class Face(NamedTuple):
    """A typeface that was found, and the design that it belongs to."""

    typeface: Typeface
    found: Found
    design: str


def glyphs(order: Order) -> Making:
    """The letters and digits of the fonts in eight of Debian's packages, or in the user's folders.

    Raises ValueError if no font has all 62.
    """
    origin = gather(order.sources, PACKAGES)
    order.sources.say("reading fonts")
    faces = _faces(origin)
    if not faces:
        raise ValueError(f"glyphs from {origin.named}: no font (.ttf, .otf) has all of A-Z, a-z and 0-9")
    everything = [(face, letter) for face in faces for letter in CHARACTERS]
    out = held_out_groups(Counter(face.design for face, _ in everything), order.held_out)
    chosen = [everything[i] for i in shuffled(len(everything), order.seed, STREAM)[: order.count]]
    families = {face.typeface.family for face in faces}
    words = WORDS.format(
        classes=len(CHARACTERS),
        faces=len(faces),
        families=len(families),
        held_out=", ".join(sorted({f.typeface.family for f in faces if f.design in out})) or "none",
        table=_table(faces),
        origin=origin.words,
    )
    settings = {**origin.settings, "typefaces": len(faces), "families": len(families)}
    return Making(len(chosen), _pictures(chosen, out, order.size), words, settings)


def scaled(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """The font at the scale at which the largest glyph's ink takes INK of `size` pixels."""
    measured = _font(path, MEASURED)
    extent = max(max(_ink(measured, letter).size) for letter in CHARACTERS)
    return _font(path, MEASURED * size * INK / extent)


def picture(font: ImageFont.FreeTypeFont, letter: str, size: int) -> UInt8[np.ndarray, "h w"]:
    """A letter, white on black, its ink in the middle to the pixel; an odd pixel is left right and below."""
    ink = _ink(font, letter)
    image = Image.new("L", (size, size))
    image.paste(ink, ((size - ink.width) // 2, (size - ink.height) // 2))
    return np.asarray(image)


def _ink(font: ImageFont.FreeTypeFont, letter: str) -> Image.Image:
    """A letter without the space around it, which Pillow's own box leaves where the font has it; 1 x 1 and
    black if there is nothing else."""
    left, top, right, bottom = map(int, font.getbbox(letter))
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), letter, fill=255, font=font)
    return image.crop(image.getbbox() or (0, 0, 1, 1))


def _faces(origin: Origin) -> list[Face]:
    """Typefaces with ink in all 62 places, in which capitals are not the small letters."""
    known, shapes = [], []
    for found in origin.files(*SUFFIXES):
        face = typeface(found.path)
        if face is None:
            continue
        font = scaled(face.path, SHAPED)
        rows = np.stack([picture(font, letter, SHAPED) for letter in CHARACTERS])
        if rows.any(axis=(1, 2)).all() and (rows[0] != rows[CHARACTERS.index("a")]).any():
            known.append((face, found))
            shapes.append(np.stack([shape(row) for row in rows]))
    if not known:
        return []
    named = designs([face.family for face, _ in known], np.stack(shapes))
    return [Face(face, found, design) for (face, found), design in zip(known, named, strict=True)]


def _pictures(chosen: Sequence[tuple[Face, str]], out: frozenset[str], size: int) -> Iterator[Picture]:
    fonts = lru_cache(maxsize=None)(scaled)
    for face, letter in chosen:
        family, style = face.typeface.family, face.typeface.style
        fields = {
            "text": f"{_kind(letter)} {letter} in {family} {style}",
            "label": letter,
            "family": family,
            "style": style,
            "design": face.design,
        }
        pixels = picture(fonts(face.typeface.path, size), letter, size)
        yield Picture(pixels, fields, HELD_OUT if face.design in out else TRAIN)


def _kind(letter: str) -> str:
    return "digit" if letter.isdigit() else "capital" if letter.isupper() else "small"


def _font(path: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _table(faces: Sequence[Face]) -> str:
    lines = ["| family | typefaces | design | by | licence |", "|---|---|---|---|---|"]
    counts = Counter(face.typeface.family for face in faces)
    first = {face.typeface.family: face for face in reversed(faces)}
    for family in sorted(counts):
        face = first[family]
        said = credited(face.found) or Credit(face.typeface.holders, "unknown")
        shown = f"[{said.licence}]({link(said.licence)})" if link(said.licence) else said.licence
        cells = (family, str(counts[family]), face.design, said.holders.replace("|", "/"), shown)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
