"""Edits: what is said is what is done, and a picture in which something else changed did not obey."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.made.shapes import drawing
from phosphene.data.made.shapes.caption import parse as parse_caption
from phosphene.data.made.shapes.caption import say
from phosphene.data.made.shapes.claims import claim, everything, judge
from phosphene.data.made.shapes.edit import KINDS, Edit, Which, apply, draw, instruct, obeyed, parse
from phosphene.data.made.shapes.render import render
from phosphene.data.made.shapes.scene import WITHHELD, Scene, Thing, centre


def thing(words: str, place: str) -> Thing:
    size, colour, shape = words.split()
    return Thing(colour, shape, size, *centre(place))


RED, TWIN, STAR = (
    thing("small red circle", "left"),
    thing("small red circle", "right"),
    thing("large blue star", "top"),
)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("make the red circle green", [RED, STAR], [thing("small green circle", "left"), STAR]),
        (
            "turn the red circle on the right side pink",
            [RED, TWIN],
            [RED, thing("small pink circle", "right")],
        ),
        ("change the color of the blue star to pink", [RED, STAR], [RED, thing("large pink star", "top")]),
        ("make the red circle on the right large", [RED, TWIN], [RED, thing("large red circle", "right")]),
        (
            "move the blue star to the bottom left corner",
            [STAR, RED],
            [thing("large blue star", "bottom left"), RED],
        ),
        ("remove the red circle on the left", [RED, TWIN, STAR], [TWIN, STAR]),
        ("make the circle blue", [RED, STAR], [thing("small blue circle", "left"), STAR]),
        ("remove the star", [RED, TWIN, STAR], [RED, TWIN]),
        ("make the blue thing little", [RED, TWIN, STAR], [RED, TWIN, thing("small blue star", "top")]),
        ("remove the circle on the left", [RED, TWIN, STAR], [TWIN, STAR]),
        ("remove the shape on the right side", [RED, TWIN, STAR], [RED, STAR]),
        ("move it to the top", [RED], [thing("small red circle", "top")]),
        ("make the thing pink", [RED], [thing("small pink circle", "left")]),
        ("change the color of it to pink", [RED], [thing("small pink circle", "left")]),
        ("add a small red circle on the right side", [RED], [RED, TWIN]),
    ],
)
def test_what_is_asked_is_done(text, before, after):
    scene = apply(parse(text), Scene("grey", tuple(before)))
    assert scene == Scene("grey", tuple(after))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("remove the red circle", "red circle: 2 are there, not one"),
        ("remove the pink circle", "pink circle: 0 are there, not one"),
        ("remove the circle", "circle: 2 are there, not one"),
        ("remove the red thing", "red thing: 2 are there, not one"),
        ("make it red", "thing: 3 are there, not one"),
        ("remove the thing at the top left", "thing top left: 0 are there, not one"),
        ("make the blue star blue", "recolour to blue: so it is already"),
        ("make the blue star big", "resize to large: so it is already"),
        ("move the blue star to the top", "move to top: so it is already"),
        ("move the blue star to the left side", "place left: something is there"),
        ("add a pink heart at the top", "place top: something is there"),
    ],
)
def test_what_cannot_be_done_is_said(text, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        apply(parse(text), Scene("white", (RED, TWIN, STAR)))
    assert str(error.value) == words


@pytest.mark.parametrize(
    "text", ["make the red circle", "add the red circle", "make the red circle to blue", "the red circle", ""]
)
def test_other_instructions_are_refused(text):
    with pytest.raises(ValueError, match=r"^instruction"):
        parse(text)


@given(st.integers(0, 2**32), st.booleans())
def test_edits_at_random(seed, withheld):
    rng = np.random.default_rng(seed)
    before = drawing.scene(rng, withheld)
    edit, after = draw(before, rng, withheld)
    assert before != after
    assert parse(instruct(edit, rng)) == edit
    # The same but for where exactly, and told by a caption.
    assert judge(everything(apply(edit, before)), after.background, after.things).accepted
    assert judge(parse_caption(say(claim(after, rng), rng)), after.background, after.things).accepted
    assert 1 <= len(after.things) <= 4
    assert len({one.place for one in after.things}) == len(after.things)
    untouched = set(before.things) & set(after.things)
    assert len(untouched) == min(len(before.things), len(after.things)) - (edit.kind not in ("add", "remove"))
    if not withheld:
        assert not {one.kind[:2] for one in after.things} & WITHHELD


def test_all_kinds_of_edits_are_drawn_and_all_ways_to_say_which():
    edits = [draw(drawing.scene(rng), rng)[0] for rng in map(np.random.default_rng, range(400))]
    for kind in KINDS:
        assert sum(edit.kind == kind for edit in edits) > 20
    ways = Counter(
        tuple(part is not None for part in (edit.which.colour, edit.which.shape, edit.which.place))
        for edit in edits
        if isinstance(edit.which, Which)
    )
    assert len(ways) == 8
    assert min(ways.values()) > 0.02 * ways.total()
    assert max(ways, key=lambda way: ways[way]) == (True, True, False)


def test_pixels_show_who_obeyed():
    for seed in range(25):
        rng = np.random.default_rng([21, seed])
        scene = drawing.scene(rng)
        edit, after = draw(scene, rng)
        text = instruct(edit, rng)
        before = render(scene, 64)
        assert obeyed(text, before, render(after, 64)).accepted
        assert not obeyed(text, before, before).accepted
        other = replace(after, background="black" if after.background == "white" else "white")
        assert obeyed(text, before, render(other, 64)).failed == ("background",)


def test_what_else_changed_is_named():
    before = render(Scene("white", (RED, STAR)), 64)
    text = "make the red circle green"
    green = thing("small green circle", "left")
    moved = thing("large blue star", "bottom")
    assert obeyed(text, before, render(Scene("white", (green, moved)), 64)).failed == ("places",)
    assert "count" in obeyed(text, before, render(Scene("white", (green,)), 64)).failed
    grown = thing("large green circle", "left")
    assert obeyed(text, before, render(Scene("white", (grown, STAR)), 64)).failed == ("sizes",)
    assert obeyed(
        Edit("remove", Which("red", "circle")), before, render(Scene("white", (STAR,)), 64)
    ).accepted
