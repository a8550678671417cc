"""Emoji from a colour font made here: names, tones, what is held out, pictures to the pixel."""

import json
from collections import Counter

import numpy as np
import pytest
from fontTools.ttLib import TTFont, newTable
from PIL import Image

from phosphene.data.made.folder import read_made
from phosphene.data.made.gathered.colour_font import read_font
from phosphene.data.made.gathered.emoji import Emoji, draw, held_out, parse, split
from phosphene.data.made.sets import make_set
from phosphene.pictures.opening import open_picture
from tests.data.made.gathered.fonts import letters, write_colour_font, write_font

WAVE, FACE, MAN, HEART, JOINER, VARIATION = 0x1F44B, 0x1F600, 0x1F468, 0x2764, 0x200D, 0xFE0F
TONES = (0x1F3FB, 0x1F3FC, 0x1F3FD, 0x1F3FE, 0x1F3FF)
TONE_NAMES = ("light", "medium-light", "medium", "medium-dark", "dark")
LIST = """# emoji-test.txt
# group: Smileys & Emotion
# subgroup: face-smiling
1F600                  ; fully-qualified     # x E1.0 grinning face
# subgroup: heart
2764 FE0F              ; fully-qualified     # x E0.6 red heart
2764                   ; unqualified         # x E0.6 red heart
# group: People & Body
# subgroup: hand
1F44B                  ; fully-qualified     # x E0.6 waving hand
1F468 200D 2764        ; fully-qualified     # x E9.9 man: in love
1F9FF                  ; fully-qualified     # x E9.9 not in the font
# group: Component
1F3FB                  ; component           # x E1.0 light skin tone
"""


def toned(name):
    return "".join(
        f"1F44B {tone:X} ; fully-qualified # x E1.0 {name}: {words} skin tone\n"
        for tone, words in zip(TONES, TONE_NAMES, strict=True)
    )


def plain(colour, size=(17, 16)):
    return Image.new("RGBA", size, colour)


@pytest.fixture
def folder(tmp_path):
    """A font with a face, a heart, a couple and a hand in six colours, two of which are the same picture."""
    place = tmp_path / "given"
    place.mkdir()
    colours = [
        (200, 10, 10, 255),
        (10, 200, 10, 255),
        (10, 10, 200, 255),
        (90, 90, 10, 255),
        (200, 10, 10, 255),
    ]
    pictures: dict[tuple[int, ...], Image.Image] = {
        (FACE,): plain((255, 255, 0, 128)),
        (HEART,): plain("red"),
    }
    pictures[(WAVE,)] = plain("orange")
    pictures[MAN, JOINER, HEART] = plain("purple")
    pictures |= {(WAVE, tone): plain(colour) for tone, colour in zip(TONES, colours, strict=True)}
    write_colour_font(place / "colours.ttf", pictures)
    (place / "emoji-test.txt").write_text(
        LIST.replace("# group: Component", toned("waving hand") + "# group: Component")
    )
    return place


@pytest.mark.parametrize(
    ("name", "concept", "tone"),
    [
        ("grinning face", "grinning face", None),
        ("waving hand: medium-dark skin tone", "waving hand", "medium-dark"),
        ("person: light skin tone, beard", "person: beard", "light"),
        ("kiss: woman, man, light skin tone, dark skin tone", "kiss: woman, man", "light, dark"),
        ("family: man, woman, boy", "family: man, woman, boy", None),
        ("flag: Norway", "flag: Norway", None),
    ],
)
def test_a_name_is_a_concept_and_a_skin_tone(name, concept, tone):
    assert split(name) == (concept, tone)


def test_the_list_of_unicode():
    found = parse(LIST)
    assert found[0] == Emoji((FACE,), "grinning face", "Smileys & Emotion", "face-smiling")
    assert found[1] == Emoji((HEART, VARIATION), "red heart", "Smileys & Emotion", "heart")
    assert found[3] == Emoji((MAN, JOINER, HEART), "man: in love", "People & Body", "hand")
    assert len(found) == 5, "unqualified forms and components are no emoji of their own"


def test_characters_and_sequences_find_their_pictures(folder):
    with TTFont(folder / "colours.ttf") as file:
        font = read_font(file)
    drawn, unknown = draw(parse((folder / "emoji-test.txt").read_text()), font)
    assert unknown == 1, "not in the font"
    names = {one.emoji.name: one.same for one in drawn}
    assert len(drawn) == 8
    assert names["waving hand: light skin tone"] == ("waving hand: dark skin tone",), "one picture, once"
    assert sum(map(len, names.values())) == 1
    assert font.png((HEART, VARIATION)) == font.png((HEART,)) is not None
    assert font.png((MAN, JOINER)) is None
    assert font.png((0x41,)) is None
    assert (font.name, font.holders, font.licence) == ("Colours Regular", "nobody", "CC0-1.0")


def test_held_out_are_pairs_whose_halves_stay_in_training():
    hands = [
        Emoji((WAVE, i, j), f"hand {i}: {TONE_NAMES[j]} skin tone", "", "")
        for i in range(20)
        for j in range(5)
    ]
    faces = [Emoji((i,), f"face {i}", "", "") for i in range(50)]
    out = held_out([*hands, *faces], 0.2)
    assert len(out) == 30, "a fifth of all 150"
    assert out < {hand.name for hand in hands}
    left = [hand for hand in hands if hand.name not in out]
    assert min(Counter(hand.concept for hand in left).values()) >= 3
    assert {hand.tone for hand in left} == set(TONE_NAMES)
    assert held_out([*hands, *faces], 0.9) > out
    assert len(held_out([*hands, *faces], 0.9)) == 40, "no more than two tones of each"
    assert held_out([*hands, *faces], 0.0) == frozenset()


def test_the_set_is_the_fonts_pictures_to_the_pixel(folder, tmp_path):
    out = make_set("emoji", out=tmp_path / "out", size=17, folders=[folder], held_out=0.2)
    rows = {}
    for side in ("train", "held-out"):
        for line in (out / side / "metadata.jsonl").read_text().splitlines():
            row = json.loads(line)
            rows[row["text"]] = side, row, np.asarray(open_picture(out / side / row["file_name"]).image)
    assert len(rows) == 8
    side, row, pixels = rows["waving hand: medium skin tone"]
    assert row["concept"] == "waving hand"
    assert row["skin_tone"] == "medium"
    assert (row["group"], row["subgroup"]) == ("People & Body", "hand")
    assert row["emoji"] == chr(WAVE) + chr(TONES[2])
    assert row["same"] == []
    assert pixels.shape == (17, 17, 4)
    assert (pixels[:16] == (10, 10, 200, 255)).all()
    assert (pixels[16] == 0).all(), "16 rows of 17, the rest transparent"
    assert rows["grinning face"][2][0, 0].tolist() == [255, 255, 0, 128]
    assert {text for text, (side, _, _) in rows.items() if side == "held-out"} <= {
        f"waving hand: {tone} skin tone" for tone in TONE_NAMES
    }
    made = read_made(out)
    assert made is not None
    assert made["sides"] == {"train": 6, "held-out": 2}
    assert made["from"] == [str(folder)]
    assert made["names_without_picture"] == 1
    readme = (out / "README.md").read_text()
    assert "nobody. Licence: CC0-1.0" in readme
    assert f"--from {folder}" in readme


def test_a_larger_count_adds_pictures(folder, tmp_path):
    few = make_set("emoji", out=tmp_path / "few", count=3, size=16, folders=[folder], held_out=0.0)
    many = make_set("emoji", out=tmp_path / "many", count=8, size=16, folders=[folder], held_out=0.0)
    other = make_set(
        "emoji", out=tmp_path / "other", count=8, size=16, folders=[folder], held_out=0.0, seed=1
    )
    lines = [(place / "train/metadata.jsonl").read_text().splitlines() for place in (few, many, other)]
    assert lines[0] == lines[1][:3]
    assert sorted(json.loads(line)["text"] for line in lines[1]) == sorted(
        json.loads(x)["text"] for x in lines[2]
    )
    assert lines[1] != lines[2]
    assert (few / "train/000002.png").read_bytes() == (many / "train/000002.png").read_bytes()


def test_fonts_of_other_kinds_are_named(folder, tmp_path):
    with TTFont(write_font(folder / "letters.ttf", letters(), "Letters")) as font:
        font["COLR"] = newTable("COLR")
        font["COLR"].version, font["COLR"].ColorLayers = 0, {}
        font.save(folder / "drawn.ttf")
    (folder / "damaged.ttf").write_bytes(b"\0\1\0\0no font")
    make_set("emoji", out=tmp_path / "fine", size=16, folders=[folder])
    (folder / "colours.ttf").unlink()
    with pytest.raises(
        ValueError, match=r"no font with PNG pictures \(table CBDT\) \(drawn.ttf has COLR\); Debian's"
    ):
        make_set("emoji", out=tmp_path / "out", folders=[folder])
    (folder / "emoji-test.txt").unlink()
    with pytest.raises(ValueError, match=r"no emoji-test.txt, .* with one more --from"):
        make_set("emoji", out=tmp_path / "out", folders=[folder])
    assert not (tmp_path / "out").exists()
