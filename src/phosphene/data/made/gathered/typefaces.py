"""Fonts as files: which of them can write the letters and digits, and what they are called."""

import string
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from fontTools import agl
from fontTools.ttLib import TTFont

CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits


class Typeface(NamedTuple):
    """A font that writes all of CHARACTERS, by its family and style."""

    path: Path
    family: str
    style: str
    holders: str


def opened(path: Path) -> TTFont | None:
    """A font whose tables are read when asked for; None if the file is damaged or no font."""
    try:
        font = TTFont(BytesIO(path.read_bytes()), lazy=True)
        font.getBestCmap()
        font["name"].getDebugName(1)
    except Exception:  # fontTools raises whatever the damage leads to
        return None
    return font


def typeface(path: Path) -> Typeface | None:
    """The font, if it has a glyph of that name for each of CHARACTERS. Symbol fonts put other things on the
    places of letters, and their glyphs' names (alpha, a10 of the dingbats) say so."""
    font = opened(path)
    if font is None:
        return None
    with font:
        glyphs = font.getBestCmap() or {}
        if not all(ord(letter) in glyphs and _is(letter, glyphs[ord(letter)]) for letter in CHARACTERS):
            return None
        names = font["name"]
        family = names.getDebugName(16) or names.getDebugName(1)
        style = names.getDebugName(17) or names.getDebugName(2)
        holders = " ".join((names.getDebugName(0) or "unknown").split())
        return Typeface(path, family or path.stem, style or "Regular", holders)


def _is(letter: str, glyph: str) -> bool:
    """Whether a glyph's name names the letter, or nothing at all (glyph00036)."""
    return agl.toUnicode(glyph, isZapfDingbats=True) in ("", letter)
