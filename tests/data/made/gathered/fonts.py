"""Fonts made here, so that tests need none of the machine's: letters are rectangles, emoji are small PNGs."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import newTable
from fontTools.ttLib.tables.BitmapGlyphMetrics import SmallGlyphMetrics
from fontTools.ttLib.tables.C_B_D_T_ import cbdt_bitmap_format_17
from fontTools.ttLib.tables.E_B_L_C_ import BitmapSizeTable, SbitLineMetrics, Strike, eblc_index_sub_table_1
from PIL import Image

from phosphene.data.made.gathered.typefaces import CHARACTERS

EM = 1000
Box = tuple[int, int]
Shapes = Mapping[str, Sequence[tuple[int, int, int, int]]]


def box(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """One rectangle on the base line: left, bottom, right, top, in thousandths of the em."""
    return [(50, 0, 50 + width, height)]


def letters(
    width: int = 500, small: int = 400, tall: int = 800
) -> dict[str, list[tuple[int, int, int, int]]]:
    """All of A-Z, a-z, 0-9 as rectangles: small letters lower, the rest taller."""
    return {letter: box(width, small if letter.islower() else tall) for letter in CHARACTERS}


def write_font(
    path: Path, shapes: Shapes, family: str, style: str = "Regular", names: str = "g{0:05}"
) -> Path:
    """A TrueType font of rectangles by character. names: of the glyphs, by code point."""
    glyphs = {names.format(ord(letter)): rectangles for letter, rectangles in shapes.items()}
    builder = _builder([".notdef", *glyphs], {ord(a): names.format(ord(a)) for a in shapes}, family, style)
    outlines = {".notdef": TTGlyphPen(None).glyph()}
    for name, rectangles in glyphs.items():
        pen = TTGlyphPen(None)
        for left, bottom, right, top in rectangles:
            pen.moveTo((left, bottom))
            for corner in ((left, top), (right, top), (right, bottom)):
                pen.lineTo(corner)
            pen.closePath()
        outlines[name] = pen.glyph()
    builder.setupGlyf(outlines)
    _finish(builder, path)
    return path


def write_colour_font(
    path: Path, pictures: Mapping[tuple[int, ...], Image.Image], family: str = "Colours"
) -> Path:
    """A font with a PNG (table CBDT) for each character or, through ligatures, sequence of characters."""
    points = sorted({point for sequence in pictures for point in sequence})
    names = {point: f"u{point:X}" for point in points}
    joined = {sequence: "_".join(names[point] for point in sequence) for sequence in pictures}
    order = [".notdef", *names.values(), *(joined[s] for s in pictures if len(s) > 1)]
    builder = _builder(order, names, family, "Regular")
    builder.setupGlyf({name: TTGlyphPen(None).glyph() for name in order})
    rules = [
        f"sub {' '.join(names[point] for point in sequence)} by {joined[sequence]};"
        for sequence in pictures
        if len(sequence) > 1
    ]
    if rules:
        addOpenTypeFeaturesFromString(builder.font, f"feature ccmp {{ {' '.join(rules)} }} ccmp;")
    strike = {joined[sequence]: _bitmap(image) for sequence, image in pictures.items()}
    ordered = {name: strike[name] for name in order if name in strike}
    builder.font["CBDT"], builder.font["CBLC"] = newTable("CBDT"), newTable("CBLC")
    builder.font["CBDT"].version = builder.font["CBLC"].version = 3.0
    builder.font["CBDT"].strikeData = [ordered]
    builder.font["CBLC"].strikes = [_strike(list(ordered))]
    _finish(builder, path)
    return path


def _builder(order: list[str], characters: Mapping[int, str], family: str, style: str) -> FontBuilder:
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(dict(characters))
    builder.setupHorizontalMetrics(dict.fromkeys(order, (EM, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    about = {"familyName": family, "styleName": style, "fullName": f"{family} {style}"}
    builder.setupNameTable({**about, "copyright": "nobody", "licenseDescription": "CC0-1.0"})
    return builder


def _finish(builder: FontBuilder, path: Path) -> None:
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def _bitmap(image: Image.Image) -> cbdt_bitmap_format_17:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    bitmap = cbdt_bitmap_format_17(b"", None)
    bitmap.metrics = SmallGlyphMetrics()
    sides = {"width": image.width, "height": image.height}
    vars(bitmap.metrics).update(sides, BearingX=0, BearingY=image.height, Advance=image.width)
    bitmap.imageData = stream.getvalue()
    return bitmap


def _strike(names: list[str]) -> Strike:
    strike = Strike()
    table = strike.bitmapSizeTable = BitmapSizeTable()
    vars(table).update(colorRef=0, flags=1, bitDepth=32, ppemX=16, ppemY=16)
    for side in ("hori", "vert"):
        metrics = SbitLineMetrics()
        for field in (
            "ascender",
            "descender",
            "widthMax",
            "caretSlopeNumerator",
            "caretSlopeDenominator",
            "caretOffset",
            "minOriginSB",
            "minAdvanceSB",
            "maxBeforeBL",
            "minAfterBL",
            "pad1",
            "pad2",
        ):
            setattr(metrics, field, 0)
        setattr(table, side, metrics)
    index = eblc_index_sub_table_1(b"", None)
    vars(index).update(indexFormat=1, imageFormat=17, names=names)
    strike.indexSubTables = [index]
    return strike
