"""A scene: coloured shapes of two sizes near the nine places of a 3x3 grid, on a plain background.

Positions are of a shape's centre, in shares of the picture's side, x to the right and y down; places lie at
1/6, 1/2 and 5/6. Shapes never touch: the largest is 0.27 wide, places are 1/3 apart, and no shape is more
than JITTER off its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Colour = tuple[int, int, int]

COLOURS: Mapping[str, Colour] = {
    "red": (225, 30, 40),
    "orange": (255, 140, 0),
    "yellow": (255, 230, 30),
    "green": (20, 150, 50),
    "cyan": (30, 210, 225),
    "blue": (30, 60, 225),
    "purple": (135, 30, 185),
    "pink": (255, 130, 200),
}
BACKGROUNDS: Mapping[str, Colour] = {"white": (245, 245, 245), "grey": (128, 128, 128), "black": (15, 15, 15)}
SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross", "ring", "heart")
SIZES: Mapping[str, float] = {"small": 0.085, "large": 0.135}
"""Half a shape's width."""
PLACES: tuple[str, ...] = (
    *("top left", "top", "top right"),
    *("left", "center", "right"),
    *("bottom left", "bottom", "bottom right"),
)
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE: Mapping[str, str] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}
JITTER = 0.012
APART = 1 / 6  # a relation holds from half the way between two places on

WITHHELD: frozenset[tuple[str, str]] = frozenset(
    {
        ("red", "star"),
        ("orange", "ring"),
        ("yellow", "heart"),
        ("green", "circle"),
        ("cyan", "triangle"),
        ("blue", "diamond"),
        ("purple", "square"),
        ("pink", "cross"),
    }
)
"""Pairs of colour and shape that no training picture shows: each colour and each shape once."""


class Kind(NamedTuple):
    """What a thing looks like, wherever it is."""

    colour: str
    shape: str
    size: str


@dataclass(frozen=True)
class Thing:
    """A shape with its centre at (x, y) in [0, 1]^2."""

    colour: str
    shape: str
    size: str
    x: float
    y: float

    @property
    def place(self) -> str:
        """The nearest of the nine places."""
        return PLACES[3 * _third(self.y) + _third(self.x)]

    @property
    def kind(self) -> Kind:
        return Kind(self.colour, self.shape, self.size)


@dataclass(frozen=True)
class Scene:
    """Things, at most one at a place, on a background."""

    background: str
    things: tuple[Thing, ...]

    @property
    def key(self) -> str:
        """Which things are at which places: the same for pictures that differ in background or jitter."""
        return "; ".join(sorted(f"{thing.place}: {' '.join(thing.kind)}" for thing in self.things))


def related(a: Thing, relation: str, b: Thing) -> bool:
    """Whether a is left of, right of, above or below b, by at least half the way between two places."""
    along = b.x - a.x if relation in ("left of", "right of") else b.y - a.y
    return (along if relation in ("left of", "above") else -along) >= APART


def centre(place: str) -> tuple[float, float]:
    """(x, y) of a place."""
    row, column = divmod(PLACES.index(place), 3)
    return (2 * column + 1) / 6, (2 * row + 1) / 6


def to_fields(scene: Scene) -> dict[str, Any]:
    """The scene as JSON takes it; places are told too."""
    things = [
        {
            "colour": thing.colour,
            "shape": thing.shape,
            "size": thing.size,
            "place": thing.place,
            "x": thing.x,
            "y": thing.y,
        }
        for thing in scene.things
    ]
    return {"background": scene.background, "things": things}


def from_fields(fields: Mapping[str, Any]) -> Scene:
    """The scene of a line of metadata.jsonl: the inverse of `to_fields`."""
    names = ("colour", "shape", "size", "x", "y")
    return Scene(
        fields["background"], tuple(Thing(*(thing[name] for name in names)) for thing in fields["things"])
    )


def _third(position: float) -> int:
    return min(max(int(3 * position), 0), 2)
