"""The scale of a loss in float16, whose small gradients would otherwise be lost as zeros.

The loss is multiplied before its gradient is taken, the gradient divided after. A gradient that overflowed
costs its step and half of the scale; after GROWS good steps the scale doubles (Micikevicius et al. 2018,
"Mixed precision training", section 3.2). In other precisions the scale is 1 and an overflow is an error.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

FIRST, GROWS = 2.0**16, 2000


@dataclass
class LossScale:
    """factor: of the loss now. good: steps since it changed."""

    factor: float = 1.0
    good: int = 0

    @property
    def changes(self) -> bool:
        """Whether there is a scale at all: below 1 a factor helps no more, and the run has diverged."""
        return self.factor > 1

    def undo(self, weights: Iterable[nn.Parameter]) -> None:
        """Divides the gradients."""
        if self.changes:
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            torch._foreach_mul_(gradients, 1 / self.factor)

    def good_step(self) -> None:
        self.good += 1
        if self.changes and self.good == GROWS:
            self.factor, self.good = 2 * self.factor, 0

    def overflow(self) -> None:
        self.factor, self.good = self.factor / 2, 0


def for_precision(name: str) -> LossScale:
    """The scale with which training in a precision begins."""
    return LossScale(FIRST if name == "fp16" else 1.0)
