"""Faces are drawn as documented, and combinations are kept apart as documented."""

from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import chisquare

from phosphene.data.made.faces.attributes import (
    ATTRIBUTES,
    HIDDEN,
    SUNGLASSES,
    WITHHELD,
    Face,
    chance,
    draw,
    held_out,
    withheld,
    withheld_share,
)

COUNT = 10_000


@pytest.fixture(scope="module")
def drawn() -> list[Face]:
    return [draw(np.random.default_rng([5, i])) for i in range(COUNT)]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_values_have_their_chances(drawn, name):
    assert sum(chance(name, value) for value in ATTRIBUTES[name]) == pytest.approx(1)
    seen = Counter(getattr(face, name) for face in drawn)
    expected = [COUNT * chance(name, value) for value in ATTRIBUTES[name]]
    assert chisquare([seen[value] for value in ATTRIBUTES[name]], expected).pvalue > 1e-3


def test_attributes_are_independent_but_for_the_eyes_behind_sunglasses(drawn):
    values = []
    for one, other in combinations(ATTRIBUTES, 2):
        seen = Counter((getattr(face, one), getattr(face, other)) for face in drawn)
        if (one, other) == ("accessory", "eyes"):
            assert all((eyes == HIDDEN) == (worn in SUNGLASSES) for worn, eyes in seen)
            continue
        cells = list(product(ATTRIBUTES[one], ATTRIBUTES[other]))
        expected = [COUNT * chance(one, a) * chance(other, b) for a, b in cells]
        values.append(chisquare([seen[cell] for cell in cells], expected).pvalue)
    assert len(values) == 44
    assert min(values) > 1e-3


def test_open_eyes_are_uniform(drawn):
    seen = Counter(face.eyes for face in drawn if face.accessory not in SUNGLASSES)
    assert len(seen) == len(ATTRIBUTES["eyes"]) - 1
    assert chisquare([*seen.values()]).pvalue > 1e-3


def test_a_face_is_a_function_of_seed_and_number(drawn):
    assert [draw(np.random.default_rng([5, i])) for i in (7, 3, 9_999)] == [drawn[i] for i in (7, 3, 9_999)]


def test_the_share_of_faces_with_a_withheld_pair_is_exact(drawn):
    """Against an enumeration of all hair, all clothes, and all mouths, eyes and accessories."""
    base = Face(*(values[0] for values in ATTRIBUTES.values()))

    def without(*names: str) -> Fraction:
        faces = [
            base._replace(**dict(zip(names, values, strict=True)))
            for values in product(*(ATTRIBUTES[name] for name in names))
        ]
        possible = [face for face in faces if (face.eyes == HIDDEN) == (face.accessory in SUNGLASSES)]
        weights = [
            1 if face.eyes == HIDDEN else Fraction(1, len(ATTRIBUTES["eyes"]) - 1) for face in possible
        ]
        kept = sum(w for face, w in zip(possible, weights, strict=True) if not withheld(face))
        return Fraction(kept) / sum(weights)

    exact = 1 - without("hair", "hair_colour") * without("clothes", "clothes_colour") * without(
        "mouth", "eyes", "accessory"
    )
    assert withheld_share() == pytest.approx(float(exact), abs=1e-12)
    share = float(exact)
    seen = sum(bool(withheld(face)) for face in drawn) / COUNT
    assert abs(seen - share) < 4 * (share * (1 - share) / COUNT) ** 0.5


def test_withheld_pairs_name_values_that_exist():
    for names, pairs in WITHHELD.items():
        for pair in pairs:
            for name, value in zip(names, pair, strict=True):
                assert value in ATTRIBUTES[name]
    # What makes the product of shares exact: no attribute is in two keys.
    used = [name for names in WITHHELD for name in names]
    assert len(used) == len(set(used))


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_the_held_out_share_is_what_was_asked(drawn, share):
    out = sum(held_out(face, share) for face in drawn) / COUNT
    assert abs(out - share) < 4 * (share * (1 - share) / COUNT) ** 0.5
    assert all(held_out(face, share) for face in drawn if withheld(face))


def test_little_held_out_is_all_withheld_pairs_and_nothing_held_out_is_nothing(drawn):
    assert all(held_out(face, 0.01) == bool(withheld(face)) for face in drawn)
    assert not any(held_out(face, 0.0) for face in drawn)


def test_pairs_are_named():
    face = Face("afro", "pink", "pale", "none", "none", "tongue", "closed", "hoodie", "red", "blue")
    assert withheld(face) == ["afro + pink", "tongue + closed"]
    assert withheld(face._replace(hair="bob", mouth="smile")) == []
