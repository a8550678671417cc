"""Edits of faces: an instruction in English that changes one attribute, and the face after it.

    add, put on, give     give the person a moustache | add round glasses | put a hoodie on the person
                          add glasses (round ones) | add a beard (a short one)
    remove                remove the glasses | shave off the beard
    colour                make the hair red | dye the hair pink | change the background to green

Behind sunglasses the eyes cannot be seen: putting some on hides them, and an edit that would show what nobody
knows is refused.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from phosphene.data.made.faces.attributes import ATTRIBUTES, HIDDEN, SUNGLASSES, Face
from phosphene.data.made.faces.caption import normal
from phosphene.data.made.faces.words import ASKED, SPOKEN, Lexicon, phrases

THINGS = {"hair_colour": "hair", "clothes_colour": "clothes", "background": "background"}
"""What an attribute that is a colour is the colour of."""


class Edit(NamedTuple):
    """The attribute that changes, and its new value."""

    name: str
    to: str


def apply(edit: Edit, face: Face) -> Face:
    """The face after the edit. Raises ValueError where nothing changes, or hidden eyes would be seen."""
    if getattr(face, edit.name) == edit.to:
        raise ValueError(f"{edit.name} {edit.to}: so it is already")
    if face.eyes == HIDDEN and (
        edit.name == "eyes" or (edit.name == "accessory" and edit.to not in SUNGLASSES)
    ):
        raise ValueError(f"{edit.name} {edit.to}: nobody knows the eyes behind the sunglasses")
    if edit.to == HIDDEN:
        raise ValueError("eyes hidden: sunglasses hide them")
    hides = {"eyes": HIDDEN} if edit.to in SUNGLASSES else {}
    return face._replace(**{edit.name: edit.to}, **hides)


def draw(face: Face, random: np.random.Generator) -> tuple[Edit, Face]:
    """A random edit, each attribute as likely as another, and the face after it."""
    names = tuple(ATTRIBUTES)
    while True:
        name = names[random.integers(len(names))]
        edit = Edit(name, ATTRIBUTES[name][random.integers(len(ATTRIBUTES[name]))])
        try:
            return edit, apply(edit, face)
        except ValueError:
            continue


def instruct(edit: Edit, random: np.random.Generator, lexicon: Lexicon = SPOKEN) -> str:
    """The edit in English, in one of several wordings; ASKED has words that no training instruction has."""
    ways = wordings(edit, lexicon)
    return ways[random.integers(len(ways))]


def parse(text: str) -> Edit:
    """The edit of an instruction that `instruct` could have written. Raises ValueError for others."""
    edit = _known().get(normal(text))
    if edit is None:
        raise ValueError(
            f"instruction {text!r}: not of a form of make, give, add, put, change, dye or remove"
        )
    return edit


def wordings(edit: Edit, lexicon: Lexicon) -> tuple[str, ...]:
    """All instructions of an edit, in lower case."""
    return tuple(dict.fromkeys(map(normal, _wordings(edit, lexicon))))


def _wordings(edit: Edit, lexicon: Lexicon) -> Iterator[str]:
    name, value = edit
    if name in THINGS:
        thing, colours = THINGS[name], lexicon.colours[name][value]
        frames = {"hair": ("make the {} {}", "dye the {} {}"), "clothes": ("make the {} {}",)}
        for colour in colours:
            for frame in frames.get(thing, ("make the {} {}", "change the {} to {}")):
                yield frame.format(thing, colour)
        return
    if lexicon is SPOKEN and (name, value) in _REMOVE:
        yield from _REMOVE[name, value]
        return
    if lexicon is SPOKEN:
        yield from _USUAL.get((name, value), ())
    for phrase in phrases(lexicon, name, value):
        match phrase.place:
            case "before":
                yield f"make the person {phrase.text}"
            case "wearing":
                yield f"put {phrase.text} on the person"
                yield f"{'add' if name == 'accessory' else 'change the clothes to'} {phrase.text}"
            case _:
                yield f"give the person {phrase.text}"


_USUAL = {
    ("accessory", "round glasses"): ("add glasses", "put glasses on the person", "give the person glasses"),
    ("beard", "short beard"): ("add a beard", "give the person a beard"),
}
"""Of what has several kinds, the one that is meant where none is said."""

_REMOVE = {
    ("accessory", "none"): ("remove the glasses", "take off the glasses", "take the glasses away"),
    ("beard", "none"): ("remove the beard", "shave off the beard", "make the person clean-shaven"),
}


@cache
def _known() -> dict[str, Edit]:
    """Every instruction and its edit."""
    known: dict[str, Edit] = {}
    for name, values in ATTRIBUTES.items():
        for value in values:
            edit = Edit(name, value)
            for lexicon in (SPOKEN, ASKED) if value != HIDDEN else ():
                for text in wordings(edit, lexicon):
                    assert known.setdefault(text, edit) == edit, text
    return known
