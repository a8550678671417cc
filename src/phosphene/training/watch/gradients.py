"""Gradients that overflow float16, and gradients that explode."""

import math

from phosphene.training.watch.finding import Said, handy
from phosphene.training.watch.history import RECENT, History, middle
from phosphene.training.watch.observation import About

# A scale that fits doubles every 2000 steps and falls by one overflow each time: 0.03 in 64 steps. Four or
# more of them by chance: 5e-8. A run's first steps find the scale: from 2^16 down to 16 it falls 12 times,
# and with less than 16 the gradients that float16 cannot hold (below 6e-8 / 16) are no longer few.
OVERFLOWS, AT_FIRST = 4, 12

# The norm is clipped, so single spikes do no harm; the median of 8 steps is moved by four of them at least.
# Medians of 32 steps vary by less than three in healthy runs, and the norm falls while a network learns.
SPIKES, TIMES = 8, 10.0
EARLIER = 2  # blocks that there must be, the first not counted: in it the norm falls
FAR = 1000.0  # times the clip: then a step keeps a thousandth of what the loss asked for


def overflow(history: History, about: About) -> Said | None:
    """The scaled loss overflows again and again."""
    steps = history.last(RECENT)
    over = sum(not math.isfinite(step.gradient) for step in steps)
    limit = AT_FIRST if history.step < 2 * RECENT else OVERFLOWS
    if over < limit:
        return None
    return Said(
        f"{over} of the last {len(steps)} steps overflowed in float16 and were left out, "
        f"the loss's scale fell to {steps[-1].scale:g}",
        "try --set training.precision=bf16 (or fp32), or "
        f"--set training.learning_rate={handy(about.learning_rate / 3)}",
    )


def exploding(history: History, about: About) -> Said | None:
    """The gradient's norm stays far above what it was, or far above its clip."""
    now = middle(step.gradient for step in history.last(SPIKES))
    usual = middle(block.gradient for block in history.blocks[1:])
    grown = len(history.blocks) > EARLIER and now > max(TIMES * usual, about.clip)
    if not grown and not (history.step >= 2 * SPIKES and now > FAR * about.clip):
        return None
    before = f" (before: {usual:.3g})" if math.isfinite(usual) else ""
    return Said(
        f"the norm of the gradient is {now:.3g}{before}, clipped to {about.clip:g}",
        f"try --set training.learning_rate={handy(about.learning_rate / 3)}; if it began there: "
        "look at the pictures of these steps and at what was changed in the network",
    )
