"""Captions of faces, and what a caption claims.

A caption says some of the ten attributes: all of them, most or half, in any order, in one of five forms. What
it leaves out may be anything. "No glasses" and "no beard" are said less often than glasses and beards are.
`claims` reads a caption back: the longest phrases known, from left to right.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np

from phosphene.data.made.faces.attributes import ATTRIBUTES, HIDDEN, Face
from phosphene.data.made.faces.words import ASKED, COLOURED, SPOKEN, Lexicon, Phrase, everything, phrases

SAID = (1.0, 0.75, 0.5)  # how much a caption says: which of these, by a fair die
ABSENT = 0.3  # how often what is not there is said, of the times that it would be

OPENINGS = ("a person", "a cartoon person", "a drawing of a person", "a portrait of a person")
OTHER_OPENINGS = ("an illustration showing a person", "a comic avatar, a person")


def caption(face: Face, random: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A caption as training has it, and the attributes that it claims."""
    said = _chosen(face, random)
    parts = _phrases(said, SPOKEN, random)
    form = _FORMS[random.integers(len(_FORMS))]
    return finished(form(parts, _one(OPENINGS, random))), said


def paraphrase(face: Face, random: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A caption in words and a form that training never has, and the attributes that it claims."""
    said = _chosen(face, random)
    return finished(_asked(_phrases(said, ASKED, random), _one(OTHER_OPENINGS, random))), said


def claims(text: str) -> dict[str, str]:
    """The attributes that a caption claims, the plain phrases and the others both known.

    Words that are no phrase claim nothing. Where phrases contradict each other the later one counts.
    """
    found: dict[str, str] = {}
    for match in _pattern().finditer(normal(text)):
        found |= _known()[match[0]]
    return found


def finished(text: str) -> str:
    """A text with articles that agree, capital letters and a full stop."""
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    sentences = [sentence.strip() for sentence in text.split(". ")]
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences) + "."


def _chosen(face: Face, random: np.random.Generator) -> dict[str, str]:
    """The attributes that a caption will claim, in the order of ATTRIBUTES; at least one."""
    share = SAID[random.integers(len(SAID))]
    lots, last = random.random((len(ATTRIBUTES), 2)), random.integers(len(_ALWAYS))
    said = {
        name: value
        for (name, value), (lot, absent) in zip(face._asdict().items(), lots, strict=True)
        if lot < share and value != HIDDEN and (value != "none" or absent < ABSENT)
    }
    return said or {_ALWAYS[last]: getattr(face, _ALWAYS[last])}


_ALWAYS = ("hair", "clothes", "background")


def _phrases(said: Mapping[str, str], lexicon: Lexicon, random: np.random.Generator) -> list[Phrase]:
    """A phrase for each attribute, colours with what they colour, in a random order. At most one adjective
    stands before "person"."""
    colours = {colour for thing, colour in COLOURED.items() if thing in said}
    parts: list[Phrase] = []
    for name, value in said.items():
        if name in colours:
            continue
        ways = phrases(lexicon, name, value, said.get(COLOURED.get(name, "")))
        before = any(part.place == "before" for part in parts)
        usable = [way for way in ways if not (before and way.place == "before")] or ways
        parts.append(usable[random.integers(len(usable))])
    return [parts[i] for i in random.permutation(len(parts))]


def _one(texts: tuple[str, ...], random: np.random.Generator) -> str:
    return texts[random.integers(len(texts))]


def _at(parts: Iterable[Phrase], place: str) -> list[str]:
    return [part.text for part in parts if part.place == place]


def listed(texts: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def _person(parts: list[Phrase], opening: str) -> str:
    """ "a drawing of a smiling person": adjectives go before the person."""
    before = " ".join([*_at(parts, "before"), "person"])
    return f"{opening.removesuffix('person')}{before}"


def _led(word: str, texts: list[str]) -> str:
    return f"{word} {listed(texts)}" if texts else ""


def _joined(parts: Iterable[str], by: str = ", ") -> str:
    return by.join(filter(None, parts))


def _with_first(parts: list[Phrase], opening: str) -> str:
    head = _joined([_person(parts, opening), _led("with", _at(parts, "with"))], " ")
    return _joined([head, _led("wearing", _at(parts, "wearing")), _led("on", _at(parts, "background"))])


def _wearing_first(parts: list[Phrase], opening: str) -> str:
    head = _joined([_person(parts, opening), _led("in", _at(parts, "wearing"))], " ")
    return _joined([head, _led("with", _at(parts, "with")), _led("against", _at(parts, "background"))])


def _ground_first(parts: list[Phrase], opening: str) -> str:
    ground = _led("on", _at(parts, "background"))
    head = _joined([_person(parts, opening), _led("wearing", _at(parts, "wearing"))], " ")
    return _joined([ground, head, _led("with", _at(parts, "with"))])


def _sentences(parts: list[Phrase], opening: str) -> str:
    head = _joined([_person(parts, opening), _led("on", _at(parts, "background"))], " ")
    has, wears = _at(parts, "with"), _at(parts, "wearing")
    return _joined([head, _led("the person has", has), _led("the person wears", wears)], ". ")


def _tags(parts: list[Phrase], opening: str) -> str:
    """Phrases without their articles, after the opening's last word."""
    return _joined([opening.split()[-1], *(re.sub(r"^an? ", "", part.text) for part in parts)])


_FORMS = (_with_first, _wearing_first, _ground_first, _sentences, _tags)


def _asked(parts: list[Phrase], opening: str) -> str:
    head = _joined([_person(parts, opening), _led("who sports", _at(parts, "wearing"))], " ")
    has, ground = _led("featuring", _at(parts, "with")), _led("before", _at(parts, "background"))
    return _joined([head, has, ground])


@cache
def _known() -> dict[str, Mapping[str, str]]:
    """Every phrase as it may stand in a caption, without its first article, and what it claims."""
    known: dict[str, Mapping[str, str]] = {}
    for phrase in (*everything(SPOKEN), *everything(ASKED)):
        text = re.sub(r"^an? ", "", normal(phrase.text))
        assert known.setdefault(text, phrase.claims) == phrase.claims, text
    return known


@cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted(_known(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")


def normal(text: str) -> str:
    """Lower case, single spaces, "an" before vowels."""
    return re.sub(r"\ba (?=[aeiou])", "an ", " ".join(text.lower().split()))
