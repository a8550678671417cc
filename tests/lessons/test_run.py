"""Lessons run, show what their cells show, and every claim holds."""

import json
import re
from pathlib import Path

import pytest

import phosphene
from phosphene.cli import lessons as commands
from phosphene.lessons import run as running
from phosphene.lessons import written
from phosphene.lessons.run import run
from phosphene.lessons.shown import Claim
from phosphene.lessons.source import lessons, parse
from phosphene.lessons.written import linked, markdown, notebook
from tests.browser import sound

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "lessons"
TEXT = '''# %% [markdown]
"""
# A <b>title</b>

Words & more.
"""

# %% knobs
a = 2  # @param {type:"slider", min:1, max:9, step:1}

# %%
from phosphene.lessons import claim

print("said", a)
a * 21

# %%
claim("a is even", a % 2 == 0, a)
'''


def test_a_cell_shows_its_last_line_and_what_it_prints():
    seen = []
    lesson = run(parse("small", TEXT), progress=lambda done, total: seen.append((done, total)))
    assert [(ran.printed, ran.shown) for ran in lesson.ran[:3]] == [
        ("", None),
        ("", None),
        ("said 2\n", "42"),
    ]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(claim.words, claim.holds, claim.seen) for claim in lesson.claims] == [("a is even", True, "2")]
    page = lesson.html
    assert "<h1>A &lt;b&gt;title&lt;/b&gt;</h1>" in page
    assert "Words &amp; more." in page
    assert "said 2" in page
    assert "holds: 2<" in page


def test_a_claim_that_does_not_hold_is_said():
    lesson = run(parse("small", TEXT), {"a": 3})
    assert not lesson.claims[0].holds
    assert "does not hold with these values: 3" in lesson.html


def test_an_error_names_its_line():
    source = parse("broken", TEXT + "\n# %%\nb = 1\nb / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        run(source)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno) == ("<lesson broken, cell 4>", 1)  # counted from 0


@pytest.mark.parametrize("name", lessons())
def test_every_claim_holds_and_its_page_is_sound_in_a_browser(name, tmp_path, browser):
    lesson = phosphene.explain(name)
    assert lesson.claims, "a lesson claims something"
    for claim in lesson.claims:
        assert claim.holds, f"{claim.words} {claim.seen}"
    saved = lesson.save(tmp_path / "page.html")
    sound(browser, saved)
    page = saved.read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("name", "values", "fails"),
    [
        ("forward", {"steps": 100}, ["After all steps less than", "What is there has the mean"]),
        ("latent", {"kept": 64}, []),  # three of the numbers are 0 in every digit
        ("latent", {"kept": 1}, []),
        ("training-step", {"training_steps": 0}, ["After some hundred steps", "The more noise there is"]),
        ("unet", {"size": 16}, ["A flat network of this depth"]),  # the window is most of so small a picture
        ("guidance", {"scale": 1.0, "samples": 400}, []),  # nothing is asked for louder
        ("guidance", {"apart": 0.2, "samples": 400}, []),
        ("uses", {"hidden_rows": 7, "steps": 10}, []),
    ],
)
def test_with_other_values_exactly_what_is_no_longer_true_is_refuted(name, values, fails):
    lesson = phosphene.explain(name, values)
    refuted = [claim.words for claim in lesson.claims if not claim.holds]
    assert len(refuted) == len(fails), refuted
    assert all(words.startswith(begin) for words, begin in zip(refuted, fails, strict=True))
    for knob, value in values.items():
        assert f"{knob} = {value!r}" in lesson.source.cells[1].source


def test_a_page_says_how_to_run_it_with_another_value():
    foot = run(parse("small", TEXT)).html.split("<footer>")[1]
    assert "phosphene explain small --set a=2" in foot


@pytest.mark.parametrize("number_and_name", list(enumerate(lessons())))
def test_notebooks_are_the_lessons(number_and_name):
    """Written by: phosphene explain NAME --notebook docs/lessons/N-NAME.ipynb"""
    number, name = number_and_name
    path = NOTEBOOKS / f"{number}-{name}.ipynb"
    assert path.read_text("utf-8") == notebook(lessons()[name])


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_run_in_jupyter(path):
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.reads(path.read_text("utf-8"), as_version=4)
    NotebookClient(book, timeout=600, kernel_name="python3").execute()
    shown = json.dumps(book.cells)
    assert "holds" in shown
    assert "does not hold" not in shown


def test_a_claim_is_shown_in_a_notebook_with_its_colours():
    shown = Claim("words", True, "1")._repr_html_()
    assert 'style="--ground: #ffffff' in shown
    assert "var(" not in shown.split(">")[0]


def test_names_of_lessons_are_links_to_what_lies_beside():
    words = "See lesson `forward`, but not `seed` or `forward(x)`."
    page = linked(words, "{name}.html")
    assert page == "See lesson [`forward`](forward.html), but not `seed` or `forward(x)`."
    assert linked(words, "{number}-{name}.ipynb").startswith("See lesson [`forward`](1-forward.ipynb), but")
    assert '<a href="forward.html"><code>forward</code></a>' in markdown(words)


def test_links_lead_to_lessons():
    """In every notebook to one that is there, and in the quiz from each answer that names one."""
    for path in NOTEBOOKS.glob("*.ipynb"):
        text = path.read_text("utf-8")
        for name in re.findall(r"\]\(([^)]*)\)", text):
            assert (NOTEBOOKS / name).is_file(), (path.name, name)
    answers = (NOTEBOOKS / f"{len(lessons()) - 1}-quiz.ipynb").read_text("utf-8")
    named = set(re.findall(r"\]\(\d+-([a-z-]+)\.ipynb\)", answers))
    assert named == set(lessons()) - {"schedules", "unet", "latent", "text", "quiz"}


def test_all_lessons_and_their_list(tmp_path, cli, monkeypatch):
    """Each with its page beside the others; the list links to each."""
    few = {name: parse(name, TEXT) for name in ("forward", "quiz")}
    for module in (written, commands):
        monkeypatch.setattr(module, "lessons", lambda: few)
    monkeypatch.setattr(running, "find", few.get)
    said = cli("explain", "all", "--out", tmp_path / "all", "--quiet")
    assert said.code == 0, said.err
    assert said.out.count("a is even") == 2
    page = (tmp_path / "all" / "index.html").read_text("utf-8")
    assert re.findall(r'href="([a-z]+\.html)"', page) == ["forward.html", "quiz.html"]
    assert all((tmp_path / "all" / f"{name}.html").is_file() for name in few)
    said = cli("explain", "all", "--set", "a=1")
    assert (said.code, said.err) == (2, "phosphene: all: takes no --set and no --notebook; name a lesson\n")
