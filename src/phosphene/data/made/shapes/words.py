"""The words of captions: those of training, and others that no training caption uses.

Each meaning has phrases, of which a writer takes one. Half of the captions of training are PLAIN, half are
VARIED: several words for a thing teach that it has no one name. Neither shares anything but function words
(the, of, with, ...) with OTHER, which asks a model for what its language encoder knows and its training
captions do not say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from phosphene.data.made.shapes.scene import BACKGROUNDS, OPPOSITE, PLACES

Phrases = tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """Phrases by meaning.

    shapes: pairs of singular and plural. relations: between two noun phrases, "X left of Y". beside: behind
    the second of them, "Y with X to its left". grounds: the whole phrase. one, several: what a caption may
    open with, before one thing and before more.
    """

    colours: Mapping[str, Phrases]
    shapes: Mapping[str, tuple[tuple[str, str], ...]]
    sizes: Mapping[str, Phrases]
    counts: Mapping[int, Phrases]
    places: Mapping[str, Phrases]
    relations: Mapping[str, Phrases]
    beside: Mapping[str, Phrases]
    grounds: Mapping[str, Phrases]
    openings: Phrases
    there: Phrases


def _grounds(names: Mapping[str, Phrases], frames: Phrases) -> Mapping[str, Phrases]:
    return {
        ground: tuple(articled(frame.format(name)) for name in names[ground] for frame in frames)
        for ground in BACKGROUNDS
    }


def articled(phrase: str) -> str:
    """ "a orange circle" -> "an orange circle"."""
    return re.sub(r"\ba (?=[aeiou])", "an ", phrase)


def _places(
    rows: tuple[str, str], columns: tuple[str, str], frames: Phrases, centre: Phrases
) -> Mapping[str, Phrases]:
    """The nine places: corners are "in the ROW COLUMN corner", edges and the centre have their own frames."""
    corner, edge = frames[:-1], frames[-1]
    return {
        "top left": tuple(frame.format(f"{rows[0]} {columns[0]}") for frame in corner),
        "top": (edge.format(rows[0]),),
        "top right": tuple(frame.format(f"{rows[0]} {columns[1]}") for frame in corner),
        "left": (edge.format(columns[0]),),
        "center": centre,
        "right": (edge.format(columns[1]),),
        "bottom left": tuple(frame.format(f"{rows[1]} {columns[0]}") for frame in corner),
        "bottom": (edge.format(rows[1]),),
        "bottom right": tuple(frame.format(f"{rows[1]} {columns[1]}") for frame in corner),
    }


PLAIN = Words(
    colours={
        name: (name,) for name in ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
    },
    shapes={
        "circle": (("circle", "circles"),),
        "square": (("square", "squares"),),
        "triangle": (("triangle", "triangles"),),
        "diamond": (("diamond", "diamonds"),),
        "star": (("star", "stars"),),
        "cross": (("cross", "crosses"),),
        "ring": (("ring", "rings"),),
        "heart": (("heart", "hearts"),),
    },
    sizes={"small": ("small", "little"), "large": ("large", "big")},
    counts={1: ("a", "one"), 2: ("two",), 3: ("three",), 4: ("four",)},
    places={
        **_places(
            ("top", "bottom"),
            ("left", "right"),
            ("in the {} corner", "at the {}", "in the {}", "at the {}"),
            ("in the center", "in the middle"),
        ),
        "left": ("on the left", "on the left side"),
        "right": ("on the right", "on the right side"),
    },
    relations={
        "left of": ("to the left of", "left of"),
        "right of": ("to the right of", "right of"),
        "above": ("above", "higher up than"),
        "below": ("below", "further down than"),
    },
    beside={
        "left of": ("to its left",),
        "right of": ("to its right",),
        "above": ("above it",),
        "below": ("below it",),
    },
    grounds=_grounds(
        {name: (name,) for name in BACKGROUNDS}, ("on a {} background", "against a {} background", "on {}")
    ),
    openings=("a picture of", "a picture showing", "an image of"),
    there=("there is", "there are"),
)

VARIED = Words(
    colours={
        "red": ("red", "ruby", "cherry", "brick red", "vermilion"),
        "orange": ("orange", "apricot", "amber", "pumpkin"),
        "yellow": ("yellow", "canary", "mustard", "sunflower yellow"),
        "green": ("green", "jade", "lime", "grass green", "olive"),
        "cyan": ("cyan", "teal", "sky coloured"),
        "blue": ("blue", "cobalt", "ultramarine", "royal blue"),
        "purple": ("purple", "lavender", "plum", "lilac"),
        "pink": ("pink", "fuchsia", "magenta", "bubblegum pink"),
    },
    shapes={
        "circle": (("circle", "circles"), ("ball", "balls"), ("coin", "coins")),
        "square": (("square", "squares"), ("tile", "tiles"), ("cube", "cubes")),
        "triangle": (("triangle", "triangles"), ("wedge", "wedges"), ("cone", "cones")),
        "diamond": (("diamond", "diamonds"), ("kite", "kites"), ("gem", "gems")),
        "star": (("star", "stars"), ("starfish", "starfishes"), ("asterisk", "asterisks")),
        "cross": (("cross", "crosses"), ("crucifix", "crucifixes"), ("addition mark", "addition marks")),
        "ring": (("ring", "rings"), ("loop", "loops"), ("wheel", "wheels"), ("bracelet", "bracelets")),
        "heart": (("heart", "hearts"), ("heart shape", "heart shapes"), ("sweetheart", "sweethearts")),
    },
    sizes={"small": ("small", "little", "petite", "minor"), "large": ("large", "big", "massive", "enormous")},
    counts={
        1: ("a", "one", "1"),
        2: ("two", "2", "a duo of", "twin"),
        3: ("three", "3", "a triplet of"),
        4: ("four", "4", "a foursome of"),
    },
    places={
        **_places(
            ("top", "bottom"),
            ("left", "right"),
            ("in the {} corner", "at the {}", "in the {}", "near the {} corner", "along the {}"),
            ("in the center", "in the middle", "centrally", "halfway"),
        ),
        "left": ("on the left", "on the left side", "near the left edge"),
        "right": ("on the right", "on the right side", "near the right edge"),
    },
    relations={
        "left of": ("to the left of", "left of", "on the left of", "leftwards of"),
        "right of": ("to the right of", "right of", "on the right of", "rightwards of"),
        "above": ("above", "higher up than", "on top of", "up from"),
        "below": ("below", "further down than", "down from"),
    },
    beside={
        "left of": ("to its left", "on its left"),
        "right of": ("to its right", "on its right"),
        "above": ("above it", "on top of it"),
        "below": ("below it", "further down"),
    },
    grounds=_grounds(
        {"white": ("white", "pale"), "grey": ("grey", "slate"), "black": ("black", "jet black")},
        (
            "on a {} background",
            "against a {} background",
            "on {}",
            "on a {} canvas",
            "in front of a {} sheet",
        ),
    ),
    openings=("a picture of", "a picture showing", "an image of", "a scene with", "an illustration of"),
    there=("there is", "there are"),
)

OTHER = Words(
    colours={
        "red": ("crimson", "scarlet"),
        "orange": ("tangerine",),
        "yellow": ("lemon", "golden"),
        "green": ("emerald",),
        "cyan": ("turquoise", "aqua"),
        "blue": ("sapphire", "navy"),
        "purple": ("violet",),
        "pink": ("rose", "salmon"),
    },
    shapes={
        "circle": (("disc", "discs"), ("dot", "dots")),
        "square": (("box", "boxes"), ("block", "blocks")),
        "triangle": (("pyramid", "pyramids"),),
        "diamond": (("rhombus", "rhombuses"), ("lozenge", "lozenges")),
        "star": (("pentagram", "pentagrams"),),
        "cross": (("plus sign", "plus signs"),),
        "ring": (("hoop", "hoops"), ("donut", "donuts")),
        "heart": (("valentine", "valentines"), ("love symbol", "love symbols")),
    },
    sizes={"small": ("tiny", "mini"), "large": ("huge", "giant")},
    counts={
        1: ("a", "a single"),
        2: ("a pair of", "a couple of"),
        3: ("a trio of",),
        4: ("a quartet of",),
    },
    places=_places(
        ("upper", "lower"),
        ("west", "east"),
        ("in the {} area", "in the {} area", "in the {} part"),
        ("in the core",),
    ),
    relations={
        "left of": ("west of",),
        "right of": ("east of",),
        "above": ("over",),
        "below": ("under", "beneath"),
    },
    beside={
        "left of": ("to its west",),
        "right of": ("to its east",),
        "above": ("over it",),
        "below": ("under it", "beneath it"),
    },
    grounds=_grounds(
        {"white": ("snowy", "ivory"), "grey": ("silver", "ashen"), "black": ("dark", "ebony")},
        ("on a {} backdrop", "before a {} wall"),
    ),
    openings=("a drawing of", "a graphic with"),
    there=("we see",),
)

FUNCTION = frozenset(
    ("a", "an", "and", "are", "at", "in", "is", "it", "its", "of", "on", "the", "there", "to", "with")
)
"""Words that training and OTHER may both use."""

VOICES: Mapping[str, Words] = {"plain": PLAIN, "varied": VARIED, "other": OTHER}

assert all(set(words.places) == set(PLACES) for words in VOICES.values())
assert all(set(words.relations) == set(OPPOSITE) for words in VOICES.values())
