"""Text as phrases, each one letter with a meaning: what the readers of captions and instructions share.

n one, N more, z size, c colour, s shape, S shapes, p place, r relation, b beside, g ground, o opening,
& and, w with
"""

import re
from functools import cache
from typing import Any, NamedTuple

from phosphene.data.made.shapes.words import VOICES

Token = tuple[str, Any]


class Lexicon(NamedTuple):
    """pattern: of every phrase, the longest first. meanings: letter and meaning of each."""

    pattern: re.Pattern[str]
    meanings: dict[str, Token]


def read(text: str, words: Lexicon) -> list[Token]:
    """Letter and meaning of each phrase; capitals and commas count for nothing. Raises ValueError with the
    first word that begins no phrase."""
    line = " ".join(text.lower().replace(",", " ").split())
    tokens, at = [], 0
    while at < len(line):
        match = words.pattern.match(line, at)
        if match is None:
            raise ValueError(f"text {text!r}: cannot read {line[at:].split()[0]!r}")
        tokens.append(words.meanings[match[0]])
        at = match.end() + 1
    return tokens


@cache
def lexicon(more: tuple[tuple[str, Token], ...] = ()) -> Lexicon:
    """The phrases of all vocabularies, and more."""
    meanings: dict[str, Token] = {"and": ("&", None), "with": ("w", None), "an": ("n", 1), **dict(more)}
    for words in VOICES.values():
        for letter, table in (
            ("c", words.colours),
            ("z", words.sizes),
            ("p", words.places),
            ("r", words.relations),
            ("b", words.beside),
            ("g", words.grounds),
        ):
            meanings |= {phrase: (letter, meaning) for meaning, said in table.items() for phrase in said}
        for count, said in words.counts.items():
            meanings |= dict.fromkeys(said, ("nN"[count > 1], count))
        for shape, forms in words.shapes.items():
            meanings |= {single: ("s", shape) for single, _ in forms}
            meanings |= {plural: ("S", shape) for _, plural in forms}
        meanings |= dict.fromkeys((*words.openings, *words.there), ("o", None))
    longest = sorted(meanings, key=len, reverse=True)
    return Lexicon(re.compile("(?:" + "|".join(map(re.escape, longest)) + r")(?=\s|$)"), meanings)
