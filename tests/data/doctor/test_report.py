from html.parser import HTMLParser

import pytest
from PIL import Image

from phosphene.data.doctor.examine import examine
from phosphene.data.doctor.report import of_each_kind, report
from phosphene.data.doctor.result import Oddity, Outlier
from phosphene.data.doctor.wording import clean, duration
from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import changed
from tests.browser import sound
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


def test_in_a_browser(browser, tmp_path):
    """Copies, odd, unreadable and cut pictures, labels and captions, with long names and short ones."""
    long = "a" * 200
    crops = [png(crop) for crop in CROPS]
    files = {f"{i:03}.png": crop for i, crop in enumerate(crops)}
    files |= {f"{long}.png": crops[0], "small.png": png(CROPS[1].resize((60, 60))), "no.png": b"broken"}
    files |= {
        "long.png": png(CROPS[2].resize((900, 12))),
        "white.png": png(Image.new("RGB", (40, 40), "white")),
    }
    count = len(files)
    labels = tuple(i % 2 for i in range(count))
    dirty = source(files, labels=labels, classes=(long, "b"), captions=((long,),) * count)
    path = tmp_path / "doctor.html"
    path.write_text(report(examine(dirty, changed(FLOW, {"data.size": 16})), dirty))
    seen = sound(browser, path)
    assert seen.pictures >= 10
    assert seen.charts == 3


def test_some_of_each_kind_of_odd_picture_are_shown():
    counts: dict[Oddity, int] = {"blank": 9, "colour": 2, "dark": 5}
    odd = [Outlier(f"{kind}{i}", kind, "", None) for kind, count in counts.items() for i in range(count)]
    shown = [one.name for one in of_each_kind(odd, 8)]
    assert shown == ["blank0", "blank1", "blank2", "colour0", "colour1", "dark0", "dark1", "dark2"]
    assert of_each_kind(odd, 100) == odd
    assert of_each_kind([], 3) == []
