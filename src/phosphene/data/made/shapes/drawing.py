"""Random scenes: one thing, several alike, two in a relation, two. A scene is a function of its stream."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from phosphene.data.made.shapes.scene import (
    BACKGROUNDS,
    COLOURS,
    JITTER,
    PLACES,
    SHAPES,
    SIZES,
    WITHHELD,
    Kind,
    Scene,
    Thing,
    centre,
)

T = TypeVar("T")

STEP = 0.001  # positions are multiples of it off their place, so that JSON holds them exactly
SEEN = tuple((colour, shape) for colour in COLOURS for shape in SHAPES if (colour, shape) not in WITHHELD)
UNSEEN = tuple(sorted(WITHHELD))


def one_of(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


def scene(rng: np.random.Generator, withheld: bool = False) -> Scene:
    """A quarter each: one thing, two to four alike, and, for the rest, two of different colour or shape.

    Pairs of colour and shape are never WITHHELD ones, or, if asked, the first thing's is.
    """
    first = kind(rng, withheld)
    drawn = rng.integers(4)
    if drawn == 0:
        kinds = [first]
    elif drawn == 1:
        kinds = [first] * int(rng.integers(2, 5))
    else:
        kinds = [first, other(rng, [first])]
    return Scene(one_of(tuple(BACKGROUNDS), rng), tuple(put(rng, kinds)))


def kind(rng: np.random.Generator, withheld: bool = False) -> Kind:
    return Kind(*one_of(UNSEEN if withheld else SEEN, rng), one_of(tuple(SIZES), rng))


def other(rng: np.random.Generator, than: Sequence[Kind]) -> Kind:
    """A kind whose colour and shape are those of none of these."""
    while (new := kind(rng))[:2] in [one[:2] for one in than]:
        pass
    return new


def put(rng: np.random.Generator, kinds: Sequence[Kind]) -> list[Thing]:
    """Each at a place of its own."""
    places = rng.permutation(len(PLACES))[: len(kinds)]
    return [at(rng, one, PLACES[place]) for one, place in zip(kinds, places, strict=True)]


def at(rng: np.random.Generator, what: Kind, place: str) -> Thing:
    """Near a place."""
    most = round(JITTER / STEP)
    x, y = (round(middle + STEP * int(rng.integers(-most, most + 1)), 4) for middle in centre(place))
    return Thing(*what, x, y)
