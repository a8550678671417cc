"""Layers laid over each other are the drawing; every value can be seen."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from phosphene.data.made.faces.attributes import ATTRIBUTES, HIDDEN, SUNGLASSES, Face, draw
from phosphene.data.made.faces.layers import BACKGROUND, render, render_whole


def pixels(face: Face, size: int = 64) -> np.ndarray:
    return np.asarray(render(face, size)).astype(int)


def dressed(face: Face, name: str, value: str) -> Face:
    """The face with another value; eyes follow the accessory."""
    changed = face._replace(**{name: value})
    covered = changed.accessory in SUNGLASSES
    if covered != (changed.eyes == HIDDEN):
        changed = changed._replace(eyes=HIDDEN if covered else "open")
    return changed


FACES = [draw(np.random.default_rng([11, i])) for i in range(12)]


@pytest.mark.parametrize("size", [32, 64, 100])
def test_layers_are_the_whole_drawing(size):
    """One face for each hair style, whose order of parts differs; and as many accessories and beards."""
    for number, hair in enumerate(ATTRIBUTES["hair"]):
        face = dressed(FACES[number], "hair", hair)
        face = dressed(face, "accessory", ATTRIBUTES["accessory"][1 + number % 4])
        face = face._replace(beard=ATTRIBUTES["beard"][1 + number % 3])
        whole = np.asarray(render_whole(face, size)).astype(int)
        assert np.abs(pixels(face, size) - whole).max() <= 3


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_value_looks_different(name):
    """Any two values differ in at least four pixels by more than a tenth of the range, on every skin and in
    other surroundings."""
    for number, skin in enumerate(ATTRIBUTES["skin"]):
        face = dressed(
            FACES[number]._replace(skin=skin), "accessory", "none" if name == "eyes" else "round glasses"
        )
        values = [value for value in ATTRIBUTES[name] if value != HIDDEN]
        looks = [pixels(dressed(face, name, value)) for value in values]
        for one, other in combinations(looks, 2):
            assert (np.abs(one - other).max(axis=2) > 25).sum() >= 4


def test_the_background_is_flat_and_the_colours_are_exact():
    face = FACES[0]
    for value, colour in BACKGROUND.items():
        corner = pixels(face._replace(background=value, hair="short"))[0, 0]
        assert tuple(corner) == tuple(bytes.fromhex(colour[1:]))


def test_behind_sunglasses_there_is_one_kind_of_eyes():
    face = dressed(FACES[0], "accessory", "sunglasses")
    assert (pixels(face) == pixels(face._replace(eyes="open"))).all()


def test_a_larger_picture_is_the_same_face():
    for one, other in pairwise((64, 128, 192)):
        small = render(FACES[1], other).reduce(other // 64)
        assert np.abs(np.asarray(small).astype(int) - pixels(FACES[1])).mean() < 2.5
        assert render(FACES[1], one).size == (one, one)


def test_rendering_is_deterministic():
    assert [render(face, 48).tobytes() for face in FACES] == [render(face, 48).tobytes() for face in FACES[:]]
