"""The little of a run that its detectors look at: the last steps one by one, all before in blocks.

A block is the medians of BLOCK steps. When there are MOST blocks, neighbours are merged in pairs: a run of
any length is seen whole, in at most MOST pieces of equal length. All of it is a function of what was observed
and goes into checkpoints: a resumed run finds what the uninterrupted one would have found.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from phosphene.training.watch.observation import HeldOut, Layers, Observation, Samples, Step

RECENT = 64  # steps
BLOCK = 32  # steps: a median over them varies by a fifth of what one step does (1.25 / sqrt(32))
MOST = 64  # blocks
AGAIN = 1.5  # times the learning rate of the step before
LOOKS = 8  # of weights, held-out losses and samples
# The first quarter of a run teaches what pictures look like: its samples say nothing of a fault.
EARLY = 0.25
SPACING = 1.25  # of the steps of one look at samples to those of the next, to see what is learnt in between


class Block(NamedTuple):
    """Medians over steps: of the loss, of its distance from that, and of the gradient's norm."""

    loss: float
    spread: float
    gradient: float


def block(steps: Sequence[Step]) -> Block:
    loss = median(step.loss for step in steps)
    finite = [step.gradient for step in steps if math.isfinite(step.gradient)]
    return Block(
        loss,
        median(abs(step.loss - loss) for step in steps),
        median(finite) if finite else math.inf,
    )


class History:
    """step: how many are done. blocks: of `length` steps each, what the next is made of: `partial`.

    samples: the newest looks, without those of the first quarter. spaced: of these, each after SPACING times
    as many steps as the one before; its step is `last_spaced`.
    """

    def __init__(self) -> None:
        self.step = 0
        self.steps: deque[Step] = deque(maxlen=RECENT)
        self.length = BLOCK
        self.blocks: list[Block] = []
        self.partial: list[Block] = []
        self.layers: deque[Layers] = deque(maxlen=LOOKS)
        self.held_out: deque[HeldOut] = deque(maxlen=LOOKS)
        self.samples: deque[Samples] = deque(maxlen=LOOKS)
        self.spaced: deque[Samples] = deque(maxlen=LOOKS)
        self.last_spaced = 0
        self.counted = 0

    def add(self, told: Observation) -> None:
        self.step = told.step
        if told.training is not None:
            if self._goes_on(told.training.rate):
                self.blocks, self.partial, self.counted = [], [], 0
                self.steps.clear()
            self.steps.append(told.training)
            self.counted += 1
            if self.counted % BLOCK == 0:
                self._close()
        if told.layers is not None:
            self.layers.append(told.layers)
        if told.held_out is not None:
            self.held_out.append(told.held_out)
        if told.samples is not None and not self.share < EARLY:
            self.samples.append(told.samples)
            if told.step >= SPACING * self.last_spaced:
                self.spaced.append(told.samples)
                self.last_spaced = told.step

    @property
    def now(self) -> Block:
        """Of the newest BLOCK steps."""
        return block(list(self.steps)[-BLOCK:])

    @property
    def share(self) -> float:
        """Of the run that is done; NaN where its end is not known."""
        return self.step / self.steps[-1].total if self.steps else math.nan

    def last(self, count: int) -> list[Step]:
        """The newest steps, oldest first; fewer if there are fewer."""
        return list(self.steps)[-count:]

    def _goes_on(self, rate: float) -> bool:
        """Whether the learning rate rises after it fell: a run that was given a larger budget. What the loss
        was at the end, at a small rate, is no measure of what it is at a large one."""
        if not self.steps or self.steps[0].rate <= self.steps[-1].rate:
            return False
        return rate > AGAIN * max(self.steps[-1].rate, 0)

    def _close(self) -> None:
        self.partial.append(self.now)
        if len(self.partial) * BLOCK < self.length:
            return
        self.blocks.append(_merged(self.partial))
        self.partial = []
        if len(self.blocks) == MOST:
            self.blocks = [_merged(self.blocks[i : i + 2]) for i in range(0, MOST, 2)]
            self.length *= 2

    def state(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return {
            "step": self.step,
            "counted": self.counted,
            "length": self.length,
            "last_spaced": self.last_spaced,
            **{name: [list(row) for row in getattr(self, name)] for name in ROWS},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`, also after a way through JSON."""
        for name in ("step", "counted", "length", "last_spaced"):
            setattr(self, name, state[name])
        for name, kind in ROWS.items():
            kept = getattr(self, name)
            kept.clear()
            kept.extend(kind(*map(_frozen, row)) for row in state[name])


ROWS = {
    "steps": Step,
    "blocks": Block,
    "partial": Block,
    "layers": Layers,
    "held_out": HeldOut,
    "samples": Samples,
    "spaced": Samples,
}


def _merged(blocks: Sequence[Block]) -> Block:
    return Block(*(fmean(column) for column in zip(*blocks, strict=True)))


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def middle(values: Iterable[float]) -> float:
    """The median of the finite values; NaN without any."""
    finite = [value for value in values if math.isfinite(value)]
    return median(finite) if finite else math.nan
