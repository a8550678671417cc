"""Pictures inside a colour font: PNG files in its table CBDT, one a glyph.

A character, or a sequence of them (skin tones, flags, families), names a glyph: characters go through the
table cmap, sequences through the ligatures of GSUB. Variation selector 16 asks for colour and names nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fontTools.ttLib import TTFont

from phosphene.data.made.gathered.origin import Found, Origin
from phosphene.data.made.gathered.typefaces import opened

SUFFIXES = (".ttf", ".otf")
VARIATION = 0xFE0F
LIGATURES, EXTENSION = 4, 7
OTHER_COLOURS = ("COLR", "SVG ", "sbix")
SIGNATURE = b"\x89PNG"


class ColourFont(NamedTuple):
    """Glyphs by character, glyphs by sequence of glyphs, and the largest PNG of each glyph."""

    name: str
    holders: str
    licence: str
    characters: Mapping[int, str]
    sequences: Mapping[tuple[str, ...], str]
    pngs: Mapping[str, bytes]

    def png(self, points: Sequence[int]) -> bytes | None:
        """The picture of a character or of a sequence; None if the font has none."""
        names = tuple(self.characters.get(point, "") for point in points if point != VARIATION)
        glyph = names[0] if len(names) == 1 else self.sequences.get(names)
        return None if glyph is None else self.pngs.get(glyph)


def colour_font(origin: Origin) -> tuple[ColourFont, Found]:
    """The font with the most pictures. Raises ValueError if none has PNG pictures, saying what they have."""
    best: tuple[ColourFont, Found] | None = None
    others = []
    for found in origin.files(*SUFFIXES):
        font = opened(found.path)
        if font is None:
            continue
        with font:
            if "CBDT" in font and "CBLC" in font:
                read = read_font(font)
                if best is None or len(read.pngs) > len(best[0].pngs):
                    best = read, found
            elif has := [table for table in OTHER_COLOURS if table in font]:
                others.append(f"{found.path.name} has {has[0].strip()}")
    if best is None or not best[0].pngs:
        seen = f" ({', '.join(others)})" if others else ""
        raise ValueError(
            f"emoji from {origin.named}: no font with PNG pictures (table CBDT){seen}; "
            "Debian's fonts-noto-color-emoji has one"
        )
    return best


def read_font(font: TTFont) -> ColourFont:
    """What a font with the table CBDT has to show."""
    pngs: dict[str, bytes] = {}
    strikes = zip(font["CBLC"].strikes, font["CBDT"].strikeData, strict=True)
    for _, strike in sorted(strikes, key=lambda both: both[0].bitmapSizeTable.ppemY):
        for glyph, bitmap in strike.items():
            data = getattr(bitmap, "imageData", b"")
            if data.startswith(SIGNATURE):
                pngs[glyph] = data
    names = font["name"]
    return ColourFont(
        name=names.getDebugName(4) or "a font without a name",
        holders=names.getDebugName(0) or "unknown",
        licence=names.getDebugName(13) or "unknown",
        characters=font.getBestCmap() or {},
        sequences=_ligatures(font),
        pngs=pngs,
    )


def _ligatures(font: TTFont) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    if "GSUB" not in font or font["GSUB"].table.LookupList is None:
        return found
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            inner = table.ExtSubTable if lookup.LookupType == EXTENSION else table
            if inner.LookupType != LIGATURES:
                continue
            for first, ligatures in inner.ligatures.items():
                for ligature in ligatures:
                    found.setdefault((first, *ligature.Component), ligature.LigGlyph)
    return found
