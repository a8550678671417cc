"""Axes of a sheet: a knob of sampling and the values that it takes, as people write them.

    guidance=1,2,4      seed=0..3      prompt="a red circle","a big, blue star"      interval=0:1,0.2:5
    prompt "a {red,blue} circle": each pair of braces is an axis of its own

Values are parted by commas, with quotes around those that hold one; `none` leaves a knob to the recipe.
"""

import csv
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NONE = "none"
MOST = 3
BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")


def pair(text: str) -> tuple[float, float]:
    """Of numbers, 0.2:5."""
    low, high = text.split(":")
    return float(low), float(high)


def length_or_place(text: str) -> float | str:
    """A number is the length of an average."""
    try:
        return float(text)
    except ValueError:
        return text


ASKED: Mapping[str, Callable[[str], Any]] = {
    "seed": int,
    "first": int,
    "label": str,
    "prompt": str,
    "negative": str,
    "solver": str,
    "steps": int,
    "grid": str,
    "eta": float,
    "churn": float,
    "guidance": float,
    "interval": pair,
    "weaker": length_or_place,
    "threshold": str,
    "clip": str,
    "clip_strength": float,
    "best_of": int,
    "ranker": str,
    "scorer": str,
    "strength": float,
    "image_guidance": float,
}
"""Knobs of a question, and how each is read."""

BY_CLIP = ("clip", "clip_strength", "best_of", "ranker", "scorer")
"""Those of pictures made from nothing."""

OF_PICTURE = ("strength", "image_guidance")
"""Those of a picture that is changed."""

LOADED: Mapping[str, Callable[[str], Any]] = {"run": str, "ema": float, "precision": str, "adapter": str}
"""Knobs of the model that is asked."""

KNOBS = {**ASKED, **LOADED}
WORDS = {int: "a whole number", float: "a number", pair: "two numbers, 0.2:5"}
NAMES_NONE = ("threshold",)  # whose values have one of that name


@dataclass(frozen=True)
class Axis:
    """slot: which pair of braces of the prompt takes the values; None is the whole knob."""

    knob: str
    values: tuple[Any, ...]
    slot: int | None = None

    def __post_init__(self) -> None:
        if self.knob not in KNOBS:
            near = difflib.get_close_matches(self.knob, KNOBS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"axis {self.knob!r}: {hint}knobs are {', '.join(KNOBS)}")
        if not self.values:
            raise ValueError(f"axis {self.knob}: no values; give one or more")

    @property
    def titles(self) -> tuple[str, ...]:
        """What stands beside each value: words as they are, others with their knob."""
        words = self.knob in ("prompt", "label", "negative", "run", "adapter")
        return tuple(
            f"{value}" if words and value is not None else f"{self.knob} {shown(value)}"
            for value in self.values
        )


def shown(value: Any) -> str:
    """As people write it."""
    if value is None:
        return NONE
    if isinstance(value, tuple):
        return ":".join(f"{end:g}" for end in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def parse(text: str) -> Axis:
    """'guidance=1,2,4'. Raises ValueError, naming knob and value, for what cannot be read."""
    knob, equals, said = text.partition("=")
    knob = knob.strip()
    if not equals or not knob:
        raise ValueError(f"axis {text!r}: give KNOB=VALUE,VALUE,..., for example guidance=1,2,4")
    Axis(knob, (None,))
    values: list[Any] = []
    for word in parted(said):
        ends = RANGE.fullmatch(word)
        if ends is not None and KNOBS[knob] is int:
            values += range(int(ends[1]), int(ends[2]) + 1)
        else:
            values.append(read(knob, word))
    return Axis(knob, tuple(values))


def parted(text: str) -> list[str]:
    """Values between commas, without the quotes around them."""
    if not text.strip():
        return []
    try:
        (row,) = csv.reader([text.strip()], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"values {text!r}: {error}") from None
    return [word.strip() for word in row]


def read(knob: str, word: str) -> Any:
    """A knob's value from its text."""
    if not word:
        raise ValueError(f"axis {knob}: an empty value; {NONE} leaves it to the recipe")
    if word.lower() == NONE and knob not in NAMES_NONE:
        return None
    kind = KNOBS[knob]
    try:
        return kind(word)
    except ValueError:
        raise ValueError(f"axis {knob}: {word!r} is not {WORDS[kind]}") from None  # pyright: ignore


@dataclass(frozen=True)
class Caption:
    """A prompt with alternatives in braces: "a {red,blue} circle"."""

    text: str

    @property
    def axes(self) -> list[Axis]:
        """One for each pair of braces, in order."""
        found = [parted(inside) for inside in BRACES.findall(self.text)]
        return [Axis("prompt", tuple(words), slot) for slot, words in enumerate(found)]

    def filled(self, words: Sequence[str]) -> str:
        """The prompt with a word in each pair of braces."""
        rest = iter(words)
        return " ".join(BRACES.sub(lambda _: next(rest), self.text).split())
