"""A lesson's source: its cells come back whole, and its knobs keep to their ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.lessons.source import Cell, Knob, find, lessons, parse

TEXT = '''# %% [markdown]
"""
# A title

A summary
on two lines.

More.
"""

# %% knobs
steps = 100  # @param {type:"slider", min:10, max:2000, step:10}
rate = 0.5  # @param {type:"slider", min:0.0, max:1.0, step:0.1}
kind = "ddim"  # @param ["ddim", "heun"]

# %%
x = steps + 1
x
'''
SOURCE = parse("test", TEXT)


def test_cells_and_their_lines():
    assert [cell.kind for cell in SOURCE.cells] == ["markdown", "knobs", "code"]
    assert SOURCE.cells[2] == Cell("code", "x = steps + 1\nx", 17)
    assert TEXT.splitlines()[SOURCE.cells[2].line - 1] == "x = steps + 1"
    assert SOURCE.title == "A title"
    assert SOURCE.summary == "A summary on two lines."


def test_knobs():
    assert dict(SOURCE.knobs) == {
        "steps": Knob("steps", 100, 10, 2000),
        "rate": Knob("rate", 0.5, 0.0, 1.0),
        "kind": Knob("kind", "ddim", choices=("ddim", "heun")),
    }


def test_other_values_change_their_lines_alone():
    changed = SOURCE.with_values({"steps": 20, "kind": "heun"})
    lines = changed.cells[1].source.splitlines()
    assert lines == [
        'steps = 20  # @param {type:"slider", min:10, max:2000, step:10}',
        'rate = 0.5  # @param {type:"slider", min:0.0, max:1.0, step:0.1}',
        'kind = \'heun\'  # @param ["ddim", "heun"]',
    ]
    assert changed.cells[::2] == SOURCE.cells[::2]
    assert {name: knob.value for name, knob in changed.knobs.items()} == {
        "steps": 20,
        "rate": 0.5,
        "kind": "heun",
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stepz": 1}, r"^stepz: test has no such knob; accepted are steps, rate, kind$"),
        ({"steps": 9}, r"^steps 9: 10 to 2000 is accepted$"),
        ({"steps": 50.5}, r"^steps 50.5: 10 to 2000 is accepted$"),
        ({"rate": "import os"}, r"^rate import os: 0 to 1 is accepted$"),
        ({"kind": "edm"}, r"^kind edm: accepted are ddim, heun$"),
    ],
)
def test_what_a_knob_does_not_take(values, words):
    with pytest.raises(ValueError, match=words):
        SOURCE.with_values(values)


@given(steps=st.integers(10, 2000), rate=st.floats(0, 1))
def test_values_go_round(steps, rate):
    knobs = SOURCE.with_values({"steps": steps, "rate": rate}).knobs
    assert (knobs["steps"].value, knobs["rate"].value) == (steps, rate)


def test_lessons_go_by_name():
    assert next(iter(lessons())) == "families"
    with pytest.raises(ValueError, match=r"^lesson 'forwards': did you mean forward\?"):
        find("forwards")
