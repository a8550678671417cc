"""What a watch has to say: a kind, at which step, what is wrong, and what to do."""

import math
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "nan",
    "fp16-overflow",
    "exploding-gradients",
    "vanishing-gradients",
    "dead-units",
    "ema-lag",
    "colour-drift",
    "mode-collapse",
    "memorisation",
    "same-batch",
    "constant-pictures",
    "waiting-for-data",
    "value-range",
    "learning-rate-high",
    "learning-rate-low",
]


class Said(NamedTuple):
    """what is wrong, with its numbers; advice: what to do, as it would be typed."""

    what: str
    advice: str


class Finding(NamedTuple):
    """Something that goes wrong. step: how many were done when it was found."""

    kind: Kind
    step: int
    what: str
    advice: str

    @property
    def words(self) -> str:
        """One line."""
        return f"{self.kind.replace('-', ' ')}: {self.what}; {self.advice}"

    @property
    def line(self) -> dict[str, Any]:
        """As a line of the log."""
        return {"step": self.step, "finding": self.kind, "what": self.what, "advice": self.advice}


def handy(number: float) -> str:
    """The nearest of 1, 2, 5, 10, ... on the scale of factors, as one would type it: 0.0034 -> 0.005."""
    ten = 10.0 ** math.floor(math.log10(number))
    nearest = min((1, 2, 5, 10), key=lambda digit: abs(math.log(number / (digit * ten))))
    return f"{nearest * ten:g}"
