"""Claims as English, and back.

    text   = [opening] [ground,] body [ground]
    body   = noun [place] | place, [opening] noun                                        one group
           | noun [place] and noun [place] | noun relation noun | noun with noun beside
    noun   = number [size] colour shape                        "two small red circles"

The reader turns phrases into one letter each and matches the letters against this grammar, written as a
regular expression. It reads all three vocabularies, and nothing else: what it does not know is an error.
"""

import re
from typing import Any

import numpy as np

from phosphene.data.made.shapes.claims import Claims, Group
from phosphene.data.made.shapes.drawing import one_of
from phosphene.data.made.shapes.phrases import Token, lexicon, read
from phosphene.data.made.shapes.words import PLAIN, Words, articled


def say(claims: Claims, rng: np.random.Generator, words: Words = PLAIN) -> str:
    """A caption in lower case that says exactly these claims, in one of many wordings."""
    ground = one_of(words.grounds[claims.background], rng) if claims.background else None
    first = claims.groups[0]
    front = one_of(words.places[first.place], rng) if len(claims.groups) == 1 and first.place else None
    if front is not None and rng.random() < 0.7:
        front = None
    body = noun(first, rng, words) if front else _body(claims, rng, words)
    drawn = rng.random()
    if drawn < 0.3 and ground is None and front is None:
        body = f"{one_of(words.openings, rng)} {body}"
    elif drawn < 0.45:
        are = words.there[-1] if claims.groups[0].count > 1 else words.there[0]
        body = f"{are} {body}"
    if front is not None:
        body = f"{front}, {body}"
    if ground is None:
        return body
    return f"{ground}, {body}" if rng.random() < 0.25 else f"{body} {ground}"


def parse(text: str) -> Claims:
    """The claims of a caption that `say` could have written. Raises ValueError with what it cannot read."""
    tokens = read(text, lexicon())
    letters = "".join(letter for letter, _ in tokens)
    match = _TEXT.fullmatch(letters)
    if match is None:
        raise ValueError(
            f"caption {text!r}: not of the form NUMBER [SIZE] COLOUR SHAPE [PLACE], one or two of them"
        )

    def group(name: str, place: str = "") -> Group:
        return _group(tokens[slice(*match.span(name))], tokens[slice(*match.span(place))] if place else [])

    def meaning(name: str) -> Any:
        return tokens[match.start(name)][1] if match[name] else None

    background = meaning("ground") or meaning("behind")
    if match["owner"]:
        return Claims((group("beside"), group("owner")), meaning("standing"), background)
    if match["first"]:
        return Claims((group("first"), group("second")), meaning("relation"), background)
    if match["left"]:
        return Claims((group("left", "at_left"), group("right", "at_right")), None, background)
    if match["put"]:
        return Claims((group("put", "before"),), None, background)
    return Claims((group("only", "at"),), None, background)


def noun(group: Group, rng: np.random.Generator, words: Words) -> str:
    """ "a small red circle", "two red circles", without place."""
    shape = one_of(words.shapes[group.shape], rng)[group.count > 1]
    size = f"{one_of(words.sizes[group.size], rng)} " if group.size else ""
    rest = f"{size}{one_of(words.colours[group.colour], rng)} {shape}"
    number = one_of(words.counts[group.count], rng)
    return articled(f"{number} {rest}")


def placed(group: Group, rng: np.random.Generator, words: Words) -> str:
    place = f" {one_of(words.places[group.place], rng)}" if group.place else ""
    return noun(group, rng, words) + place


def _body(claims: Claims, rng: np.random.Generator, words: Words) -> str:
    first = claims.groups[0]
    if len(claims.groups) == 1:
        return placed(first, rng, words)
    second = claims.groups[1]
    if claims.relation is None:
        return f"{placed(first, rng, words)} and {placed(second, rng, words)}"
    one, two = noun(first, rng, words), noun(second, rng, words)
    if rng.random() < 0.7:
        return f"{one} {one_of(words.relations[claims.relation], rng)} {two}"
    return f"{two} with {one} {one_of(words.beside[claims.relation], rng)}"


def _group(tokens: list[Token], place: list[Token]) -> Group:
    said = {letter.lower(): meaning for letter, meaning in tokens}
    return Group(said["n"], said["c"], said["s"], said.get("z"), place[0][1] if place else None)


# n one, N more, z size, c colour, s shape, S shapes, p place, r relation, b beside, g ground, o opening,
# & and, w with
_ONE = "nz?cs"
_ANY = "(?:nz?cs|Nz?cS)"
_TEXT = re.compile(
    "(?P<ground>g?)o?(?:"
    f"(?P<only>{_ANY})(?P<at>p?)"
    f"|(?P<before>p)o?(?P<put>{_ONE})"
    f"|(?P<left>{_ANY})(?P<at_left>p?)&(?P<right>{_ANY})(?P<at_right>p?)"
    f"|(?P<first>{_ONE})(?P<relation>r)(?P<second>{_ONE})"
    f"|(?P<owner>{_ONE})w(?P<beside>{_ONE})(?P<standing>b)"
    ")(?P<behind>g?)"
)
