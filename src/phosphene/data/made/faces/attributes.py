"""A face is ten values, each from a short list; from a seed and a number they are drawn uniformly.

Every value can be told from every other one at 64 pixels, whatever the other nine are; what could not was
left out (LOG.md names them). One attribute depends on another: behind sunglasses the eyes are "hidden".
Beards have the colour of the hair.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from phosphene.data.made.folder import is_held_out

HIDDEN = "hidden"

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "hair": (
        "short", "buzz cut", "tuft", "mullet", "bob", "bun",
        "straight", "wavy", "curly", "afro", "dreadlocks", "flower crown",
    ),
    "hair_colour": ("black", "brown", "blonde", "red", "gray", "pink"),
    "skin": ("pale", "light", "tan", "brown", "dark"),
    "accessory": ("none", "square glasses", "round glasses", "sunglasses", "white sunglasses"),
    "beard": ("none", "short beard", "long beard", "moustache"),
    "mouth": ("smile", "straight", "frown", "scream", "tongue", "gritted teeth"),
    "eyes": ("open", "happy", "closed", "wide", "rolling", "wink", "hearts", "crosses", HIDDEN),
    "clothes": ("t-shirt", "v-neck", "hoodie", "overalls", "sweater", "blazer"),
    "clothes_colour": ("black", "white", "gray", "red", "blue", "green", "yellow", "pink"),
    "background": ("blue", "green", "yellow", "purple", "gray", "pink"),
}  # fmt: skip
"""What a face has, and the values of each."""

SUNGLASSES = ("sunglasses", "white sunglasses")

WITHHELD: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("hair", "hair_colour"): (("afro", "pink"), ("bob", "gray")),
    ("clothes", "clothes_colour"): (("overalls", "red"), ("hoodie", "green")),
    ("mouth", "eyes"): (("tongue", "closed"),),
}
"""Pairs of values that no training picture has together: a generator that draws them has combined what it saw
apart."""


class Face(NamedTuple):
    """The ten values, each one of ATTRIBUTES'."""

    hair: str
    hair_colour: str
    skin: str
    accessory: str
    beard: str
    mouth: str
    eyes: str
    clothes: str
    clothes_colour: str
    background: str

    @property
    def key(self) -> str:
        """The combination as one text."""
        return "/".join(self)


def draw(random: np.random.Generator) -> Face:
    """A face whose values are uniform and independent, but for the eyes behind sunglasses.

    Ten numbers are drawn, whatever they are, so that what else the generator draws does not depend on them.
    """
    drawn = {name: values[random.integers(len(values))] for name, values in _FREE.items()}
    return Face(**drawn | ({"eyes": HIDDEN} if drawn["accessory"] in SUNGLASSES else {}))


_FREE = {name: tuple(value for value in values if value != HIDDEN) for name, values in ATTRIBUTES.items()}


def withheld(face: Face) -> list[str]:
    """Which of the WITHHELD pairs a face has, as "pink afro" names them: "afro + pink"."""
    values = face._asdict()
    return [
        f"{one} + {other}"
        for names, pairs in WITHHELD.items()
        for one, other in pairs
        if (one, other) == (values[names[0]], values[names[1]])
    ]


def held_out(face: Face, share: float) -> bool:
    """Whether a face is kept from training, as happens to a share of all combinations.

    Those with a withheld pair come first, all of them; if they are fewer than the share, further combinations
    by their hash. A combination is on the same side whatever the seed and the count. 0 holds out none.
    """
    if share == 0:
        return False
    paired = withheld_share()
    return bool(withheld(face)) or is_held_out(face.key, (share - paired) / (1 - paired))


@cache
def withheld_share() -> float:
    """The share of faces with a withheld pair. Keys of WITHHELD have no attribute in common, so they are
    independent of each other; pairs under one key exclude each other."""
    kept = 1.0
    for (name, other), pairs in WITHHELD.items():
        kept *= 1 - sum(chance(name, one) * chance(other, two) for one, two in pairs)
    return 1 - kept


def chance(name: str, value: str) -> float:
    """The probability of a value of an attribute."""
    if name != "eyes":
        return 1 / len(ATTRIBUTES[name])
    covered = len(SUNGLASSES) / len(ATTRIBUTES["accessory"])
    return covered if value == HIDDEN else (1 - covered) / len(_FREE["eyes"])
