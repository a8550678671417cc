"""Glyphs of fonts made of rectangles: sizes and places are known to the pixel."""

import json

import numpy as np
import pytest

from phosphene.data.made.folder import read_made
from phosphene.data.made.gathered.designs import ALIKE, designs, differences, shape
from phosphene.data.made.gathered.glyphs import INK, picture, scaled
from phosphene.data.made.gathered.typefaces import CHARACTERS, typeface
from phosphene.data.made.sets import make_set
from phosphene.data.sources import find
from tests.data.made.gathered.fonts import letters, write_font

SIDES = ("train", "held-out")


def ink(pixels):
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)


@pytest.mark.parametrize("size", [25, 50, 100])
def test_the_tallest_letter_takes_its_share_and_small_ones_theirs(tmp_path, size):
    font = scaled(write_font(tmp_path / "a.ttf", letters(width=400, small=400, tall=800), "A"), size)
    side = round(INK * size)
    for letter, height in (("A", side), ("7", side), ("a", side / 2)):
        pixels = picture(font, letter, size)
        assert pixels.shape == (size, size)
        assert pixels.sum() == 255 * height * side / 2, "the area is exact"
        top, bottom, left, right = ink(pixels)
        assert bottom - top == height
        assert right - left == side / 2
        assert (top, left) == ((size - (bottom - top)) // 2, (size - (right - left)) // 2), "in the middle"


def test_an_odd_pixel_is_left_right_and_below(tmp_path):
    pixels = picture(scaled(write_font(tmp_path / "a.ttf", letters(width=800, tall=800), "A"), 25), "A", 25)
    assert ink(pixels) == (1, 23, 1, 23)


def test_half_a_pixel_is_half_as_bright(tmp_path):
    pixels = picture(scaled(write_font(tmp_path / "a.ttf", letters(width=500), "A"), 50), "A", 50)
    assert sorted(np.unique(pixels[25])) == [0, 128, 255], "44 * 5 / 8 = 27.5 pixels wide"
    assert (pixels[25] == 255).sum() == 27


def test_fonts_that_do_not_write_every_letter_are_left_out(tmp_path):
    full = letters()
    assert typeface(write_font(tmp_path / "full.ttf", full, "Full", "Bold")) == (
        tmp_path / "full.ttf",
        "Full",
        "Bold",
        "nobody",
    )
    missing = {letter: shapes for letter, shapes in full.items() if letter != "q"}
    assert typeface(write_font(tmp_path / "missing.ttf", missing, "Missing")) is None
    assert typeface(write_font(tmp_path / "named.ttf", full, "Named", names="uni{0:04X}")) is not None
    (tmp_path / "broken.ttf").write_bytes((tmp_path / "full.ttf").read_bytes()[:700])
    assert typeface(tmp_path / "broken.ttf") is None
    assert typeface(tmp_path / "absent.ttf") is None


def test_a_symbol_font_gives_itself_away_by_its_glyphs_names(tmp_path):
    assert typeface(write_font(tmp_path / "zapf.ttf", letters(), "Zapf", names="a{0}")) is None
    assert typeface(write_font(tmp_path / "shifted.ttf", letters(), "Greek", names="uni03{0:02X}")) is None


def test_a_shape_has_no_size_and_no_place():
    pixels = np.zeros((64, 64), np.uint8)
    pixels[10:42, 20:36] = 255
    pixels[10:26, 20:28] = 0  # a quarter is cut out
    expected = np.full((16, 16), 255)
    expected[:8, :8] = 0
    assert (shape(pixels) == expected).all()
    smaller = np.zeros((64, 64), np.uint8)
    smaller[3:19, 40:56] = pixels[10:42:2, 20:36]
    assert (shape(smaller) == expected).all()


def test_differences_by_hand():
    a, b = np.zeros((3, 2, 2), np.uint8), np.zeros((3, 2, 2), np.uint8)
    a[:, 0] = 255  # energy 2 a letter
    b[0, 0] = 255
    b[1, 0, 0] = 255  # energy 1, and 1 apart
    b[2] = 255  # energy 4, and 2 apart
    apart = differences(np.stack([a, b]))
    assert apart == pytest.approx(np.array([[0, 1], [1, 0]])), "the median of 0 / 2, 1 / 1 and 2 / 2"


def test_designs_are_copies_and_widths_along_a_chain():
    noise = np.random.default_rng(0).integers(0, 256, (3, 62, 16, 16)).astype(np.uint8)
    twin = noise[0].copy()
    twin[:20] = 255  # fewer than half of the letters differ
    families = ["Heros", "Other", "Roboto Condensed", "Nimbus", "Nimbus Mono", "Roboto", "Nimbusesque"]
    shapes = np.stack([noise[0], noise[1], noise[2], twin, noise[1] // 2, noise[2] // 3, 255 - noise[1]])
    assert differences(shapes)[0, 1] > ALIKE
    assert designs(families, shapes) == [
        "Heros",
        "Other",
        "Roboto",
        "Heros",
        "Heros",
        "Roboto",
        "Nimbusesque",
    ]


def test_a_thinner_copy_is_known_by_name():
    shapes = np.random.default_rng(0).integers(0, 256, (2, 62, 16, 16)).astype(np.uint8)
    assert designs(["DejaVu Serif", "DejaVu Math TeX Gyre"], shapes) == ["DejaVu Math TeX Gyre"] * 2
    assert designs(["DejaVu Serif", "Other"], shapes) == ["DejaVu Serif", "Other"]


def test_the_set_holds_out_whole_designs(tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    square = letters(width=700, small=350, tall=700)
    write_font(given / "one.ttf", square, "One")
    write_font(given / "copy.ttf", square, "Copy")
    for count in (3, 5):  # bars of different number are different designs
        bars = {
            letter: [(50, 700 * step // count, 650, 350 * (2 * step + 1) // count) for step in range(count)]
            for letter in CHARACTERS
        }
        write_font(given / f"bars{count}.ttf", bars | {"a": [(0, 0, 300, 300)]}, f"Bars{count}")
    write_font(given / "capitals.ttf", {letter: [(0, 0, 500, 500)] for letter in CHARACTERS}, "Capitals")
    write_font(given / "empty.ttf", {letter: [] for letter in CHARACTERS}, "Empty")
    out = make_set("glyphs", out=tmp_path / "out", count=120, folders=[given], held_out=0.3)
    made = read_made(out)
    assert made is not None
    assert (made["typefaces"], made["families"]) == (4, 4), "not those of capitals alone, or without ink"
    sides = [
        [json.loads(line) for line in (out / side / "metadata.jsonl").read_text().splitlines()]
        for side in SIDES
    ]
    train, held = ({row["design"] for row in rows} for rows in sides)
    assert train | held == {"Bars3", "Bars5", "Copy"}
    assert not train & held
    for row in (*sides[0], *sides[1]):
        kind = "digit" if row["label"] in "0123456789" else "capital" if row["label"].isupper() else "small"
        assert row["text"] == f"{kind} {row['label']} in {row['family']} Regular"
        assert row["design"] == {"One": "Copy"}.get(row["family"], row["family"])
    assert set(find(out / "train").classes) == {row["label"] for row in sides[0]}
    with pytest.raises(ValueError, match=r"no font \(.ttf, .otf\) has all of A-Z, a-z and 0-9$"):
        make_set("glyphs", out=tmp_path / "none", folders=[tmp_path / "out"])
