"""The judge: which aspect a wrong claim fails, and no other."""

from collections.abc import Sequence

import pytest

from phosphene.data.made.shapes.claims import ASPECTS, Claims, Group, everything, judge
from phosphene.data.made.shapes.scene import Kind, Scene, Thing, centre


def thing(words: str, place: str) -> Thing:
    size, colour, shape = words.split()
    return Thing(*Kind(colour, shape, size), *centre(place))


def failed(claims: Claims, things: Sequence[Thing], background: str = "white") -> set[str]:
    return set(judge(claims, background, things).failed)


RED, BLUE = thing("small red circle", "left"), thing("large blue square", "top right")
BOTH = Claims(
    (Group(1, "red", "circle", "small", "left"), Group(1, "blue", "square", "large", "top right")),
    None,
    "white",
)


def test_the_truth_is_accepted_in_any_order():
    assert failed(BOTH, [RED, BLUE]) == failed(BOTH, [BLUE, RED]) == set()
    assert judge(everything(Scene("grey", (RED, BLUE))), "grey", [BLUE, RED]).accepted


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        (["small red circle left", "large green square top-right"], {"colours", "objects"}),
        (["small red circle left", "large blue star top-right"], {"shapes", "objects"}),
        (["small blue circle left", "large red square top-right"], {"objects"}),
        (["large red circle left", "large blue square top-right"], {"sizes"}),
        (["large red circle left", "small blue square top-right"], {"sizes"}),
        (["small red circle bottom", "large blue square top-right"], {"places"}),
        (["small red circle top-right", "large blue square left"], {"places"}),
        (["small red circle left"], {"colours", "shapes", "objects", "count", "sizes", "places"}),
        ([], {"colours", "shapes", "objects", "count", "sizes", "places"}),
        (
            ["small red circle left", "large blue square top-right", "small red circle top"],
            {"colours", "shapes", "objects", "count"},
        ),
        (["small unclear circle left", "large blue square top-right"], {"colours", "objects"}),
    ],
)
def test_one_fault_fails_its_aspects(seen, wrong):
    things = [thing(words.rpartition(" ")[0], words.rpartition(" ")[2].replace("-", " ")) for words in seen]
    assert failed(BOTH, things) == wrong


def test_backgrounds():
    assert failed(BOTH, [RED, BLUE], "black") == {"background"}
    assert failed(Claims((Group(1, "red", "circle"),)), [RED], "unclear") == set()


def test_relations():
    groups = (Group(1, "red", "circle"), Group(1, "blue", "square"))
    for relation, wrong in (
        ("left of", set()),
        ("below", set()),
        ("right of", {"relation"}),
        ("above", {"relation"}),
    ):
        assert failed(Claims(groups, relation), [BLUE, RED]) == wrong
    assert failed(Claims(groups, "left of"), [RED]) == {"colours", "shapes", "objects", "count", "relation"}


def test_things_alike_are_paired_so_that_it_fits():
    ones = [thing("small red circle", "left"), thing("large red circle", "right")]
    claims = Claims((Group(1, "red", "circle", "large"), Group(1, "red", "circle", "small")), "right of")
    assert failed(claims, ones) == failed(claims, ones[::-1]) == set()
    assert failed(Claims(claims.groups, "left of"), ones) == {"relation"}
    assert failed(Claims((Group(2, "red", "circle"),)), ones) == set()
    assert failed(Claims((Group(2, "red", "circle", "small"),)), ones) == {"sizes"}
    assert failed(Claims((Group(3, "red", "circle"),)), ones) == {"count", "colours", "shapes", "objects"}


def test_many_things_are_judged_too():
    row = [thing("small red circle", place) for place in ("left", "center", "right") for _ in range(5)]
    assert "count" in failed(BOTH, row)


def test_every_aspect_can_fail():
    assert failed(Claims(BOTH.groups, "left of", "grey"), [thing("large pink heart", "bottom")]) == set(
        ASPECTS
    )
