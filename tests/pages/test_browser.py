"""All blocks in a real browser; and that the looking itself sees what is wrong."""

from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from phosphene.pages import blocks, charts
from phosphene.pages.page import Section, page
from tests.browser import PHONE, look, opened, sound
from tests.pages.test_pages import everything


def written(folder: Path, html: str) -> Path:
    path = folder / "page.html"
    path.write_text(html)
    return path


def test_all_blocks(browser, tmp_path):
    seen = sound(browser, written(tmp_path, everything("calm")))
    assert (seen.pictures, seen.charts) == (3, 4)


def test_long_words_many_pictures_and_wide_tables(browser, tmp_path):
    word, rng = "x" * 300, np.random.default_rng(0)
    images = [
        Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8))
        for w, h in ((2000, 9), (9, 500), *[(64, 64)] * 40)
    ]
    names = [f"{word[:40]} a name of words {i}" for i in range(len(images))]
    parts = [
        word,
        blocks.text(word),
        blocks.note(word, "bad", word),
        blocks.code(word),
        blocks.facts({word: word}),
        blocks.table([word] * 9, [[word] * 9]),
        blocks.gallery(images, names, caption=word),
        blocks.strip(images, names, caption=word),
        blocks.pairs([blocks.strip(images[2:8], names[2:8])] * 7),
        blocks.details(word, blocks.table(["a"], [[word]])),
        charts.lines(word, [charts.Series(word, [1e-9, 2e9], [3e-9, 4e9])], x=word, y=word),
        charts.intervals(
            "sliced-Wasserstein-random-conv-af969db9",
            [charts.Dot(f"runs/demo/evaluation.json {i}", 7e-5, -4e-4, 9e-4, 2e-4) for i in range(3)],
            x="value and interval of 95%",
        ),
        charts.bars("t", names[:9], [1.0] * 9, x="pictures"),
    ]
    sections = [Section(f"{word} {i}", parts) for i in range(3)]
    sound(browser, written(tmp_path, page(word, sections, under=word, foot=word)))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ('<div style="width: 500px">wide</div>', "beyond"),
        ('<img src="data:image/png;base64,AAAA" alt="no picture">', "broken"),
        ('<p style="font-size: 7px">small</p>', "small"),
        ('<svg viewBox="0 0 50 20"><text x="30" y="15">too long for it</text></svg>', "clipped"),
        ('<svg viewBox="0 0 90 40"><text y="20">one</text><text y="24">two</text></svg>', "crowded"),
    ],
)
def test_what_is_wrong_is_seen(browser, tmp_path, bad, field):
    path = written(tmp_path, page("t", [Section("s", [Markup(bad)])]))
    with opened(browser, path, PHONE) as (open_page, _):
        assert getattr(look(open_page), field)
    with pytest.raises(AssertionError):
        sound(browser, path)


def test_what_is_asked_of_others_is_refused_and_seen(browser, tmp_path):
    path = written(
        tmp_path, page("t", [Section("s", [Markup('<img src="https://example.org/a.png" alt="a">')])])
    )
    with opened(browser, path, PHONE) as (_, said):
        assert any("Content Security Policy" in words for words in said)


def test_a_wide_picture_with_titles_scrolls_on_a_phone_and_is_large_enough_to_read(browser, tmp_path):
    image = Image.new("RGB", (900, 300), (9, 9, 9))
    path = written(tmp_path, page("t", [Section("s", [blocks.picture(image, "a", titled=True)])]))
    with opened(browser, path, PHONE) as (open_page, _):
        size = open_page.evaluate("() => { const i = document.images[0]; return [i.width, i.height]; }")
        assert size == [704, 235]
        assert not look(open_page).beyond


def test_a_wide_picture_is_as_wide_as_the_phone_and_keeps_its_shape(browser, tmp_path):
    image = Image.new("RGB", (800, 400), (9, 9, 9))
    path = written(tmp_path, page("t", [Section("s", [blocks.picture(image, "a")])]))
    with opened(browser, path, PHONE) as (open_page, _):
        box = open_page.locator("img").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (PHONE - 24, (PHONE - 24) / 2)  # 0.75 rem on both sides
