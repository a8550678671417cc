"""Edits of scenes: an instruction, what it does, and whether a picture obeyed it.

    recolour   make the red circle blue | turn ... | change the color of the red circle to blue
    resize     make the red circle large
    move       move the red circle to the top left corner
    remove     remove the red circle
    add        add a small green star in the center

Which thing is meant is said by whatever tells it from the others: the red circle, the circle, the red thing,
the circle on the left; or it, where there is no other.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from phosphene.data.made.shapes import oracle
from phosphene.data.made.shapes.caption import placed
from phosphene.data.made.shapes.claims import Group, Verdict, everything, judge
from phosphene.data.made.shapes.drawing import at, kind, one_of
from phosphene.data.made.shapes.phrases import Token, lexicon, read
from phosphene.data.made.shapes.scene import COLOURS, PLACES, SIZES, WITHHELD, Kind, Scene, Thing, centre
from phosphene.data.made.shapes.words import PLAIN

KINDS = ("recolour", "resize", "move", "remove", "add")


@dataclass(frozen=True)
class Which:
    """What is said of the thing that is meant; where nothing is, it is the only one."""

    colour: str | None = None
    shape: str | None = None
    place: str | None = None

    def tells(self, scene: Scene) -> list[Thing]:
        """The things that it fits."""
        return [
            thing
            for thing in scene.things
            if self.colour in (None, thing.colour)
            and self.shape in (None, thing.shape)
            and self.place in (None, thing.place)
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.colour, self.shape or "thing", self.place)))


@dataclass(frozen=True)
class Edit:
    """kind: of KINDS. which: the thing that is meant, or the group of one that is added. to: the new colour,
    size or place."""

    kind: str
    which: Which | Group
    to: str | None = None

    def __post_init__(self) -> None:
        assert (self.kind == "add") == isinstance(self.which, Group)


def apply(edit: Edit, scene: Scene, rng: np.random.Generator | None = None) -> Scene:
    """The scene after the edit. What is moved or added comes to its place, off by a little if rng is given.

    Raises ValueError unless exactly one thing is meant, its place is free and something changes.
    """
    which = edit.which
    if isinstance(which, Group):
        new = _put(Kind(which.colour, which.shape, which.size or "large"), which.place, scene, rng)
        return replace(scene, things=(*scene.things, new))
    meant = which.tells(scene)
    if len(meant) != 1:
        raise ValueError(f"{which}: {len(meant)} are there, not one")
    old = meant[0]
    if edit.kind == "remove":
        return replace(scene, things=tuple(thing for thing in scene.things if thing is not old))
    if edit.to in (old.colour, old.size, old.place):
        raise ValueError(f"{edit.kind} to {edit.to}: so it is already")
    if edit.kind == "move":
        new = _put(old.kind, edit.to, scene, rng)
    else:
        new = replace(old, **{"colour" if edit.kind == "recolour" else "size": edit.to})
    return replace(scene, things=tuple(new if thing is old else thing for thing in scene.things))


def draw(scene: Scene, rng: np.random.Generator, withheld: bool = False) -> tuple[Edit, Scene]:
    """A random edit and the scene after it, which has one to four things of at most two kinds.

    The edit makes no WITHHELD pair of colour and shape that was not there, unless that is asked for.
    """
    while True:
        edit = _random(scene, one_of(KINDS, rng), rng)
        try:
            after = apply(edit, scene, rng)
        except ValueError:
            continue
        pairs = {thing.kind[:2] for thing in after.things} - {thing.kind[:2] for thing in scene.things}
        kinds = {thing.kind for thing in after.things}
        if 1 <= len(after.things) <= 4 and len(kinds) <= 2 and (withheld or not pairs & WITHHELD):
            return edit, after


def instruct(edit: Edit, rng: np.random.Generator) -> str:
    """The edit in English, in one of several wordings."""
    words = PLAIN
    if isinstance(edit.which, Group):
        return f"{one_of(_ADD, rng)} {placed(edit.which, rng, words)}"
    which = _named(edit.which, rng)
    if edit.kind == "remove":
        return f"{one_of(_REMOVE, rng)} {which}"
    assert edit.to is not None
    if edit.kind == "move":
        return f"{one_of(_MOVE, rng)} {which} {one_of(_to(edit.to), rng)}"
    if edit.kind == "resize":
        return f"make {which} {one_of(words.sizes[edit.to], rng)}"
    colour = one_of(words.colours[edit.to], rng)
    return (
        f"{one_of(_MAKE, rng)} {which} {colour}" if rng.random() < 0.7 else f"{_CHANGE} {which} to {colour}"
    )


def parse(text: str) -> Edit:
    """The edit of an instruction that `instruct` could have written. Raises ValueError for others."""
    tokens = read(text, lexicon(_MORE))
    letters = "".join(letter for letter, _ in tokens)
    for name, form in _FORMS.items():
        match = form.fullmatch(letters)
        if match is not None:
            said = dict(tokens[slice(*match.span(1))])
            if name == "add":
                return Edit(name, Group(1, said["c"], said["s"], said.get("z"), said["p"]))
            which = Which(said.get("c"), said.get("s"), said.get("p"))
            return Edit(name, which, None if name == "remove" else tokens[-1][1])
    raise ValueError(f"instruction {text!r}: not of a form of make, turn, change, move, remove or add")


def obeyed(
    instruction: str | Edit, before: UInt8[np.ndarray, "h w 3"], after: UInt8[np.ndarray, "h w 3"]
) -> Verdict:
    """Whether `after` is `before` with the instruction done and nothing else changed, as the oracle reads.

    Raises ValueError for an instruction that cannot be read, or that cannot be done to what is seen before.
    """
    edit = parse(instruction) if isinstance(instruction, str) else instruction
    seen = oracle.read(after)
    return judge(everything(apply(edit, oracle.read(before).scene)), seen.background, seen.things)


def _random(scene: Scene, name: str, rng: np.random.Generator) -> Edit:
    """An edit that may turn out not to be possible."""
    if name == "add":
        return Edit("add", Group(1, *kind(rng), one_of(PLACES, rng)))
    options = {"recolour": tuple(COLOURS), "resize": tuple(SIZES), "move": PLACES}
    which = _which(one_of(scene.things, rng), scene, rng)
    return Edit(name, which, one_of(options[name], rng) if name in options else None)


def _which(thing: Thing, scene: Scene, rng: np.random.Generator) -> Which:
    """Anything that tells the thing from the others, most often its colour and shape, or the latter alone."""
    colour, shape, place = thing.colour, thing.shape, thing.place
    weights = {
        Which(colour, shape): 6,
        Which(None, shape): 3,
        Which(): 3,
        Which(colour): 2,
        Which(colour, shape, place): 1,
        Which(None, shape, place): 1,
        Which(colour, None, place): 1,
        Which(None, None, place): 1,
    }
    telling = [which for which in weights if which.tells(scene) == [thing]]
    return one_of(tuple(which for which in telling for _ in range(weights[which])), rng)


def _named(which: Which, rng: np.random.Generator) -> str:
    """ "the red circle on the left"."""
    if which == Which():
        return "it"
    colour = f" {one_of(PLAIN.colours[which.colour], rng)}" if which.colour else ""
    shape = one_of(PLAIN.shapes[which.shape], rng)[0] if which.shape else one_of(_THING, rng)
    place = f" {one_of(PLAIN.places[which.place], rng)}" if which.place else ""
    return f"the{colour} {shape}{place}"


def _put(what: Kind, place: str | None, scene: Scene, rng: np.random.Generator | None) -> Thing:
    """A thing at a free place."""
    assert place is not None
    if place in [thing.place for thing in scene.things]:
        raise ValueError(f"place {place}: something is there")
    return Thing(*what, *centre(place)) if rng is None else at(rng, what, place)


def _to(place: str) -> tuple[str, ...]:
    """ "in the top left corner" -> "to the top left corner"."""
    return tuple(sorted({"to " + phrase.partition(" ")[2] for phrase in PLAIN.places[place]}))


_THING = ("thing", "shape")
_MAKE = ("make", "turn")
_CHANGE = "change the color of"
_MOVE = ("move", "shift")
_REMOVE = ("remove", "delete", "take away")
_ADD = ("add", "put")
# t the, i thing, j it, M make, C change, V move, X remove, A add, > to, q to a place
_MORE: tuple[tuple[str, Token], ...] = (
    ("the", ("t", None)),
    ("it", ("j", None)),
    ("to", (">", None)),
    *((phrase, ("i", None)) for phrase in _THING),
    *((phrase, ("M", None)) for phrase in _MAKE),
    (_CHANGE, ("C", None)),
    *((phrase, ("V", None)) for phrase in _MOVE),
    *((phrase, ("X", None)) for phrase in _REMOVE),
    *((phrase, ("A", None)) for phrase in _ADD),
    *((phrase, ("q", place)) for place in PLACES for phrase in _to(place)),
)
_WHICH = "(j|tc?[si]p?)"
_FORMS = {
    "recolour": re.compile(f"(?:M(?!.*>)|C(?=.*>)){_WHICH}>?c"),
    "resize": re.compile(f"M{_WHICH}z"),
    "move": re.compile(f"V{_WHICH}q"),
    "remove": re.compile(f"X{_WHICH}"),
    "add": re.compile("A(nz?csp)"),
}
