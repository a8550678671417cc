from html.parser import HTMLParser

import pytest
from PIL import Image

from phosphene.data.doctor.examine import examine
from phosphene.data.doctor.report import report
from phosphene.data.doctor.wording import clean, duration
from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import changed
from tests.data.doctor.planted import CROPS, png, source

EVIL = "<script>alert(1)</script>&\"'<img src=x onerror=alert(2)>\u202e\n.png"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_hostile_names_are_text():
    files = {
        EVIL: png(CROPS[0]),
        "b" + EVIL: png(CROPS[0].resize((60, 60))),
        "c" + EVIL: b"broken",
        "d" + EVIL: png(CROPS[1].resize((96, 24))),
        "e\udcff.png": png(Image.new("RGB", (40, 40), (9, 9, 9))),
    }
    hostile = source(files, labels=(0, 1, 0, 0, 1), classes=(EVIL, "$x$"), captions=((EVIL,),) * 5)
    text = report(examine(hostile, changed(FLOW, {"data.size": 16})), hostile)
    page = Page()
    page.feed(text)
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert any(clean(EVIL) in words for words in page.words)
    assert "<script>" not in text
    assert text.encode().decode() == text  # no surrogates are left
    for title in ("Findings", "Pictures", "Copies", "Unlike the rest", "Cropping", "Labels and captions"):
        assert any(title in words for words in page.words), title
    assert not any(value and value.startswith(("http", "//")) for _, value in page.attributes)


def test_names_as_they_are_shown():
    assert clean("a\udcffb\n\u202ec.png") == "a\ufffdb  c.png"
    assert clean("näh 猫.png") == "näh 猫.png"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "12 ms"),
        (1.4, "1400 ms"),
        (1.5, "1.5 s"),
        (89.0, "89 s"),
        (90.0, "1.5 min"),
        (5400.0, "1.5 h"),
    ],
)
def test_spans_of_time_in_units_of_people(seconds, words):
    assert duration(seconds) == words
