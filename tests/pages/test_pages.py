"""Pages: nothing from elsewhere, hostile text harmless, pictures exact, numbers as written."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape
from PIL import Image

from phosphene.pages import blocks, charts
from phosphene.pages.page import TEMPLATES, Section, page

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> & $x_1$ {{ 7 * 7 }} </svg></title>"


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def everything(words: str) -> str:
    """A page of all blocks, each with the words wherever words go."""
    image = Image.new("L", (8, 8), 3)
    line = charts.Series(words, [1, 2], [3, 4], [2, 3], [4, 5])
    return page(
        words,
        [
            Section(
                words,
                [
                    words,
                    blocks.text(words),
                    blocks.heading(words),
                    blocks.note(words, "bad", words),
                    blocks.code(words, words),
                    blocks.details(words, words),
                    blocks.grid(words, words),
                    blocks.facts({words: words}),
                    blocks.table([words], [[words]], words),
                    blocks.picture(image, words, caption=words),
                    blocks.gallery([image], [words], caption=words, alt=words),
                    blocks.strip([image], [words], caption=words, alt=words),
                    charts.lines(words, [line, line], x=words, y=words, caption=words),
                    charts.bars(words, [words], [1.0], x=words, caption=words),
                    charts.histogram(words, {words: [1.0, 2.0]}, x=words, lines={words: 1.5}, caption=words),
                    charts.intervals(words, [charts.Dot(words, 1, 0, 2, 0.5)], x=words, mark=words),
                ],
            )
        ],
        under=words,
        foot=words,
    )


def test_hostile_words_stay_words():
    html, calm = everything(HOSTILE), everything("calm")
    assert [tag for tag, _ in Seen(html).tags if tag in ("script", "iframe", "object", "link", "base")] == []
    assert [tag for tag, _ in Seen(html).tags if tag == "img"] == ["img"] * 3
    assert not any(name.startswith("on") for _, attrs in Seen(html).tags for name in attrs)
    assert "<script" not in html
    assert "{{ 7 * 7 }}" in Seen(html).text  # no template within a template
    assert html.count(str(escape(HOSTILE))) >= calm.count("calm") - 20  # charts shorten long names


@given(st.text(st.characters(exclude_characters="\r", codec="utf-8"), max_size=40))
def test_any_words_stay_words(words):
    for block in (blocks.text(words), blocks.facts({"a": words}), blocks.table(["a"], [[words]])):
        seen = Seen(block)
        assert {tag for tag, _ in seen.tags} <= {"p", "dl", "dt", "dd", "figure", "div", "table"} | {
            "thead",
            "tr",
            "th",
            "tbody",
            "td",
        }
        assert words in seen.text


def test_nothing_is_fetched_and_nothing_runs():
    html = everything("calm")
    assert not re.search(r"https?:|//|@import|url\((?!#)", html.replace("text/xml", ""))
    for tag, attrs in Seen(html).tags:
        assert tag != "script"
        for name in ("src", "href", "srcset", "action", "data"):
            value = attrs.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")), (tag, name, value)
    assert "default-src 'none'" in html


def test_a_page_is_the_same_each_time():
    assert everything("calm") == everything("calm")


def test_markup_is_taken_as_it_is():
    assert "<p><b>bold</b></p>" in blocks.text(Markup("<b>bold</b>"))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_picture_keeps_its_pixels_and_is_enlarged_by_whole_numbers(mode):
    rng = np.random.default_rng(0)
    shape = (5, 8) if mode == "L" else (5, 8, len(mode))
    image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode)
    (attrs,) = [attrs for tag, attrs in Seen(blocks.picture(image, "a")).tags if tag == "img"]
    source = attrs["src"]
    assert source is not None
    back = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image))
    assert (attrs["width"], attrs["height"]) == ("64", "40")
    assert attrs.get("class") == ("alpha" if mode == "RGBA" else None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.01235"),
        (1.5, "1.500"),
        (-0.000123456, "-0.0001235"),
        (12345.678, "12,346"),
        (0.0, "0"),
        (1.2e-9, "1.200e-09"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert blocks.number(value) == text


def test_an_interval_has_the_decimals_of_its_value():
    assert blocks.interval(0.012345, 0.0011119, 0.11) == "0.01235 (0.00111 to 0.11000)"
    assert blocks.interval(3.0, float("nan"), 4.0) == "3.000"


def test_numbers_are_aligned_right_and_words_left():
    rows = [["KD", 1.5, "0.1 (0.0 to 0.2)", 3, "-"], ["FD", None, "2", 4, "word"]]
    cells = [attrs.get("class") for tag, attrs in Seen(blocks.table("abcde", rows)).tags if tag == "td"]
    assert cells == [None, "n", "n", "n", None] * 2


def test_charts_take_all_colours_from_the_page():
    html = everything("calm")
    charted = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.S))
    assert not re.search(r"#[0-9a-f]{6}\b", charted)
    style = (TEMPLATES / "style.css").read_text()
    for name in set(re.findall(r"var\(--(\w+)\)", charted)):
        assert style.count(f"--{name}: ") == 2, f"{name} has a light and a dark value"


def test_the_values_of_a_line_are_drawn_where_they_are():
    """The points of the path, brought back by the axes' limits, are the data."""
    html = charts.lines("t", [charts.Series("s", [0, 1, 2], [0.0, 4.0, 2.0])], x="x", y="y")
    path = re.search(r'<path d="([^"]*)"[^>]*stroke: var\(--s0\)', html)
    assert path is not None
    points = np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", path[1]), float)
    np.testing.assert_allclose(
        (points[:, 1] - points[0, 1]) / (points[1, 1] - points[0, 1]), [0, 1, 0.5], atol=1e-5
    )
    np.testing.assert_allclose(np.diff(points[:, 0]), np.diff(points[:, 0])[0], atol=1e-4)


def test_templates_are_beside_the_code():
    """hatchling packs what lies in the package and git does not ignore."""
    assert {path.name for path in TEMPLATES.iterdir()} == {"page.html", "blocks.html", "style.css"}
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().split()
    assert not any(pattern in ("*.html", "*.css", "templates/") for pattern in ignored)
