"""A fixed share of a run's time, for measuring it.

    spent + expected <= limit (elapsed + expected)

Measuring is done in pieces, and a piece begins only while that holds: a slow one is paid off by waiting, so
the share is kept whatever things cost. expected: the most that pieces of this kind took lately; for a kind
that was never seen, what a step takes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

LATELY = 0.9  # an old maximum counts so much less with each new piece
SPACING = 32  # of two measurements: at least this part of the time so far, so that long runs have hundreds
HELD_OUT, TURN = "held-out loss", 3
"""The kind of pieces that only every third measurement has, and the last: they cost as much as all others."""


@dataclass
class Share:
    """limit: of the time. every: least seconds between the beginnings of two measurements.

    spent: seconds so far. pieces: seconds expected of a piece, by kind. kinds: seconds that all pieces of a
    kind took in the last whole measurement that had them. count: whole measurements so far. begun: at what
    time of the run the last one began. pictures: how many are made for each; None before the first.
    """

    limit: float
    every: float
    spent: float = 0.0
    pieces: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, float] = field(default_factory=dict)
    count: int = 0
    begun: float = 0.0
    pictures: int | None = None

    def state(self) -> dict[str, Any]:
        """What a resumed run needs; limit and every are its recipe's."""
        return {name: value for name, value in asdict(self).items() if name not in ("limit", "every")}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in {each.name for each in fields(self)} & state.keys():
            setattr(self, name, state[name])

    @property
    def last(self) -> float:
        """Seconds of the measurement at the end; 0 before there was one."""
        return math.fsum(self.kinds.values())

    @property
    def whole(self) -> float:
        """Seconds of a measurement on the way, the mean of a turn; 0 before there was one."""
        return self.last - self.kinds.get(HELD_OUT, 0.0) * (1 - 1 / TURN)

    def allows(self, expected: float, elapsed: float) -> bool:
        """Whether work of so many seconds may begin after `elapsed` seconds of the run."""
        return self.spent + expected <= self.limit * (elapsed + expected)

    def expected(self, kind: str, step: float) -> float:
        """Seconds of the next piece of a kind, where a step takes `step` seconds."""
        return self.pieces.get(kind, step)

    def took(self, kind: str, seconds: float) -> None:
        """A piece is done."""
        self.spent += seconds
        self.pieces[kind] = max(seconds, LATELY * self.pieces.get(kind, 0.0))

    def measured(self, kinds: Mapping[str, float]) -> None:
        """A measurement is whole, and took so many seconds by kind."""
        self.kinds |= kinds
        self.count += 1

    def due(self, elapsed: float, left: float | None) -> bool:
        """Whether a measurement may begin, with `left` seconds of the run to go.

        One comes at the end too: none begins shortly before it, and none that would take its share.
        """
        spacing = max(self.every, elapsed / SPACING)
        if elapsed - self.begun < spacing or (left is not None and left < spacing):
            return False
        both = self.whole + self.last
        end = left is None or self.allows(both, elapsed + left - both)
        return end and self.allows(self.whole, elapsed)

    def period(self) -> float:
        """Seconds from one measurement to the next, as far as is known; infinite where there was none."""
        if not self.count or not self.limit:
            return float("inf")
        return max(self.every, self.whole / self.limit)

    def closing(self, end: float) -> float:
        """Seconds of the measurement at the end of a run of `end` seconds: none if the share forbids it."""
        return self.last if self.allows(self.last, end - self.last) else 0.0
