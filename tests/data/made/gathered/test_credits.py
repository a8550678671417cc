"""Copyright files: the paragraph that counts, whatever they hold."""

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.made.gathered.credits import Credit, Notice, credit, link, own_credit, parse

TEXT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: papers

Files: *
Copyright: 2014 All of them
License: GPL-2+

Files: nature/Aqua.jpg
       nature/Wood.jpg
Copyright: 2008, Ann <ann@example.org>
           2009, Bob
License: CC-BY-SA-4.0

Files: 16.04/Stripes-*.png
Copyright: 2018, Eve
License: CC0-1.0
 Some words.

Files: debian/*
Copyright: 2020, Packager
License: Expat

License: CC0-1.0
 The text: of the licence.
 .
 Files: this is no field
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "usr/share/backgrounds/mate/nature/Wood.jpg",
            Credit("2008, Ann <ann@example.org>; 2009, Bob", "CC-BY-SA-4.0"),
        ),
        ("usr/share/backgrounds/Aqua.jpg", Credit("2008, Ann <ann@example.org>; 2009, Bob", "CC-BY-SA-4.0")),
        ("usr/share/backgrounds/Stripes-Dark.png", Credit("2018, Eve", "CC0-1.0")),
        ("usr/share/backgrounds/Other.jpg", Credit("2014 All of them", "GPL-2+")),
    ],
)
def test_the_last_paragraph_that_matches_counts(path, expected):
    assert credit(parse(TEXT), PurePosixPath(path)) == expected


def test_a_paragraph_is_its_patterns_and_its_first_line_of_licence():
    assert parse(TEXT)[1] == Notice(
        ("nature/Aqua.jpg", "nature/Wood.jpg"),
        Credit("2008, Ann <ann@example.org>; 2009, Bob", "CC-BY-SA-4.0"),
    )
    assert [notice.credit.licence for notice in parse(TEXT)] == ["GPL-2+", "CC-BY-SA-4.0", "CC0-1.0", "Expat"]
    assert parse(TEXT.replace("\n", "\r\n")) == parse(TEXT)
    assert parse("This package was made by somebody.\n\nLicence: see elsewhere.") == ()
    assert credit((), PurePosixPath("a")) is None


@given(st.text())
def test_any_text_is_read(text):
    for notice in parse(text):
        assert "\n" not in notice.credit.licence


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(st.lists(words, min_size=1, max_size=3), words, words), max_size=4))
def test_what_is_written_is_read_back(paragraphs):
    text = "\n\n".join(
        f"Files: {' '.join(f)}\nCopyright: {c}\nLicense: {s}\n full text" for f, c, s in paragraphs
    )
    assert parse(text) == tuple(Notice(tuple(f), Credit(c, s)) for f, c, s in paragraphs)


def test_a_wallpaper_of_kde_speaks_for_itself(tmp_path):
    picture = tmp_path / "Path" / "contents" / "images" / "2560x1600.jpg"
    assert own_credit(picture) is None
    picture.parent.mkdir(parents=True)
    (tmp_path / "Path/metadata.desktop").write_text(
        "[Desktop Entry]\nName=Path\nX-KDE-PluginInfo-Author=Risto\nX-KDE-PluginInfo-License=LGPLv3\n"
    )
    assert own_credit(picture) == Credit("Risto", "LGPLv3")
    plugin = {"KPlugin": {"Authors": [{"Name": "Ann"}, {"Name": "Bob"}], "License": "CC-BY-SA-4.0"}}
    (tmp_path / "Path/metadata.json").write_text(json.dumps(plugin))
    assert own_credit(picture) == Credit("Ann, Bob", "CC-BY-SA-4.0")
    for other in ('{"x": 1}', '{"KPlugin": {"Authors": 3}}', "[]", "{"):
        (tmp_path / "Path/metadata.json").write_text(other)
        assert own_credit(picture) is None
    (tmp_path / "Path/metadata.json").unlink()
    (tmp_path / "Path/metadata.desktop").write_text("[Desktop Entry]\nName=Path\n")
    assert own_credit(picture) is None


def test_licences_that_can_be_linked():
    assert link("CC-BY-4.0") == "https://creativecommons.org/licenses/by/4.0/"
    assert link("CC-BY-SA-3.0") == "https://creativecommons.org/licenses/by-sa/3.0/"
    assert link("CC0-1.0") == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert link("GPL-2+").endswith("gpl-2.0.html")
    assert link("bitstream-vera") == ""
