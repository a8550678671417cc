"""Axes as people write them: what is read, and what is refused."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.families.axes import Axis, Caption, parse, parted


@pytest.mark.parametrize(
    ("text", "knob", "values"),
    [
        ("guidance=1, 2.5,4", "guidance", (1.0, 2.5, 4.0)),
        ("steps=5,10", "steps", (5, 10)),
        ("seed=0..3,9", "seed", (0, 1, 2, 3, 9)),
        ("interval=0:1,none,0.2:inf", "interval", ((0.0, 1.0), None, (0.2, float("inf")))),
        ("weaker=0.05,runs/a", "weaker", (0.05, "runs/a")),
        ('prompt="a red, round circle",a star,none', "prompt", ("a red, round circle", "a star", None)),
        ("threshold=none,clip", "threshold", ("none", "clip")),
        ("solver=ddim", "solver", ("ddim",)),
        ("ema=0.05,none", "ema", (0.05, None)),
    ],
)
def test_values_are_read_as_their_knob_takes_them(text: str, knob: str, values: tuple):
    axis = parse(text)
    assert (axis.knob, axis.values) == (knob, values)
    assert [type(value) for value in axis.values] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("guidance", "axis 'guidance': give KNOB=VALUE,VALUE,..., for example guidance=1,2,4"),
        ("=1,2", "axis '=1,2': give KNOB=VALUE,VALUE,..., for example guidance=1,2,4"),
        ("guidence=1", "axis 'guidence': did you mean guidance? knobs are seed, first, label, prompt"),
        ("steps=5,ten", "axis steps: 'ten' is not a whole number"),
        ("steps=2.5", "axis steps: '2.5' is not a whole number"),
        ("eta=a", "axis eta: 'a' is not a number"),
        ("interval=1", "axis interval: '1' is not two numbers, 0.2:5"),
        ("seed=", "axis seed: no values; give one or more"),
        ("seed=3..1", "axis seed: no values; give one or more"),
        ("seed=1,,2", "axis seed: an empty value; none leaves it to the recipe"),
        ('prompt="a red', "values '\"a red': unexpected end of data"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        parse(text)


@given(st.lists(st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters='"'), min_size=1)))
def test_quoted_values_come_back_whatever_they_hold(values: list[str]):
    assert parted(",".join(f'"{value}"' for value in values)) == values


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str):
    with suppress(ValueError):
        assert parse(f"seed={text}").knob == "seed"


def test_alternatives_of_a_prompt_are_axes():
    caption = Caption('a {red, blue} circle {"left, of",above} a star {x}')
    first, second = caption.axes
    assert (first.values, second.values) == (("red", "blue"), ("left, of", "above"))
    assert (first.slot, second.slot) == (0, 1)
    assert caption.filled(["red", "above"]) == "a red circle above a star {x}"
    assert Caption("a person with {,a hat}").axes[0].values == ("", "a hat")
    assert Caption("a {small ,} star").filled([""]) == "a star"


def test_titles_say_words_as_they_are_and_numbers_with_their_knob():
    assert Axis("guidance", (1, 2.5)).titles == ("guidance 1", "guidance 2.5")
    assert Axis("prompt", ("a star",)).titles == ("a star",)
    assert Axis("interval", ((0.2, 5.0), None)).titles == ("interval 0.2:5", "interval none")
