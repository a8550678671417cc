"""Levels that are known before the first of them is asked about, as those of a plan are.

What a denoiser makes of a level (its coefficients, the time that its network hears) is a function of the
level alone. On the way through a plan it is computed once, of all levels together, and looked up at each:
fifty operations on single numbers take as long as much of a small network.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from phosphene.diffusion.level import Level

T = TypeVar("T")


class Levels:
    """A table of levels, (b, n): those of b rows at each of n evaluations."""

    def __init__(self, table: Level) -> None:
        self.table, self.rows = table, _columns(table)
        self._said: dict[Callable[[Level], Any], list[Any]] = {}
        self._twice: Levels | None = None

    def at(self, n: int) -> "Known":
        """The level of every row at an evaluation."""
        known = Known(*self.rows[n])
        known.among, known.n = self, n
        return known

    def of(self, function: Callable[[Level], T], n: int) -> T:
        """function(at(n)), for one that says of each level what it would of that one alone."""
        if function not in self._said:
            with torch.inference_mode(False):  # what guides take gradients of is not made for inference
                self._said[function] = _columns(function(self.table))
        return self._said[function][n]

    def twice(self) -> "Levels":
        if self._twice is None:
            self._twice = Levels(self.table.twice())
        return self._twice


class Known(Level):
    """A level of a table."""

    among: Levels
    n: int

    def of(self, function: Callable[[Level], T]) -> T:
        return self.among.of(function, self.n)

    def twice(self) -> Level:
        return self.among.twice().at(self.n)


def _columns(said: Any) -> list[Any]:
    """Of tensors (b, n), or tuples of them, those at each n."""
    if isinstance(said, Tensor):
        return list(said.unbind(1))
    return [type(said)(*column) for column in zip(*(each.unbind(1) for each in said), strict=True)]
