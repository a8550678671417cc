"""Scenes: places, relations, JSON, what is drawn at random and what never."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.made.shapes import drawing
from phosphene.data.made.shapes.scene import (
    BACKGROUNDS,
    COLOURS,
    JITTER,
    OPPOSITE,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    WITHHELD,
    Scene,
    Thing,
    centre,
    from_fields,
    related,
    to_fields,
)

SEEDS = st.integers(0, 2**32)


def test_eight_by_eight_by_two_by_three_at_nine_places():
    assert (len(COLOURS), len(SHAPES), len(SIZES), len(BACKGROUNDS), len(PLACES), len(RELATIONS)) == (
        8,
        8,
        2,
        3,
        9,
        4,
    )


def test_colours_are_far_apart():
    named = [np.array(colour, float) for colour in (*COLOURS.values(), *BACKGROUNDS.values())]
    assert min(np.linalg.norm(a - b) for a, b in combinations(named, 2)) > 94


def test_each_colour_and_each_shape_is_withheld_once():
    assert Counter(colour for colour, _ in WITHHELD) == dict.fromkeys(COLOURS, 1)
    assert Counter(shape for _, shape in WITHHELD) == dict.fromkeys(SHAPES, 1)


def test_places_are_the_cells_of_a_grid():
    assert centre("top left") == (1 / 6, 1 / 6)
    assert centre("right") == (5 / 6, 1 / 2)
    assert centre("bottom") == (1 / 2, 5 / 6)
    for place in PLACES:
        x, y = centre(place)
        for off in (-0.16, 0.0, 0.16):
            assert Thing("red", "ring", "small", x + off, y - off).place == place
    assert Thing("red", "ring", "small", 1.2, -0.2).place == "top right"


def test_relations():
    def at(place: str) -> Thing:
        return Thing("red", "ring", "small", *centre(place))

    assert related(at("left"), "left of", at("center"))
    assert related(at("top left"), "left of", at("bottom right"))
    assert related(at("top left"), "above", at("bottom right"))
    assert not related(at("top"), "left of", at("bottom"))
    assert related(at("bottom"), "below", at("top"))
    assert related(at("top right"), "right of", at("top"))
    for a in map(at, PLACES):
        for b in map(at, PLACES):
            for relation in RELATIONS:
                assert related(a, relation, b) == related(b, OPPOSITE[relation], a)
                assert not (related(a, relation, b) and related(a, OPPOSITE[relation], b))
            assert (a == b) == (not any(related(a, relation, b) for relation in RELATIONS))


@given(SEEDS, st.booleans())
def test_scenes_at_random(seed, withheld):
    scene = drawing.scene(np.random.default_rng(seed), withheld)
    assert drawing.scene(np.random.default_rng(seed), withheld) == scene
    assert 1 <= len(scene.things) <= 4
    assert len({thing.place for thing in scene.things}) == len(scene.things)
    for thing in scene.things:
        x, y = centre(thing.place)
        assert max(abs(thing.x - x), abs(thing.y - y)) <= JITTER + 1e-4
    pairs = {thing.kind[:2] for thing in scene.things}
    assert bool(pairs & WITHHELD) == withheld
    assert len(scene.things) < 3 or len(pairs) == 1


def test_everything_is_drawn_about_as_often():
    things: Counter[str] = Counter()
    counts: Counter[int] = Counter()
    number = 1500
    for i in range(number):
        scene = drawing.scene(np.random.default_rng([1, i]))
        counts[len(scene.things)] += 1
        things.update([scene.background, *scene.things[0].kind, scene.things[0].place])
    # Half are two of different kinds, a quarter one; a quarter two to four alike.
    for count, share in ((1, 1 / 4), (2, 1 / 2 + 1 / 12), (3, 1 / 12), (4, 1 / 12)):
        assert abs(counts[count] / number - share) < 0.05
    for names in (COLOURS, SHAPES, SIZES, BACKGROUNDS, PLACES):
        for name in names:
            assert abs(things[name] / number - 1 / len(names)) < 0.05


@given(SEEDS)
def test_json_holds_a_scene_exactly(seed):
    scene = drawing.scene(np.random.default_rng(seed))
    assert from_fields(json.loads(json.dumps(to_fields(scene)))) == scene


def test_the_key_is_of_things_at_places():
    one, two = Thing("red", "ring", "small", 0.5, 0.5), Thing("blue", "star", "large", 0.17, 0.17)
    moved = Thing("red", "ring", "small", 0.51, 0.495)
    assert Scene("white", (one, two)).key == Scene("black", (two, moved)).key
    assert Scene("white", (one,)).key != Scene("white", (one, two)).key
    assert Scene("white", (one,)).key != Scene("white", (Thing("red", "ring", "large", 0.5, 0.5),)).key
