"""A learning rate that is too high or too low for the run.

The measure of both is the change of a matrix in a step, |update| / |weight|, the median over the matrices. It
is known before the loss can tell, and means the same for every optimizer, width and loss.
"""

import math

from phosphene.training import optimizer
from phosphene.training.watch.finding import Said, handy
from phosphene.training.watch.history import BLOCK, History, middle
from phosphene.training.watch.observation import About

# A step that changes weights by a tenth is not small beside them: after ten nothing need be left of what they
# were. Runs that learn well change them by 0.0005 to 0.03.
TURNS, GOOD = 0.1, 0.01
# A loss that rises by a third over its best block, by more than chance: a median over 32 steps has a standard
# error of 1.25 / sqrt(32) of their deviation, which is 1.48 times their median distance from it.
RISES, SURE = 1.3, 6.0
ERROR = 1.25 * 1.48 / math.sqrt(BLOCK)
BLOCKS = 3
# The sum of all changes of the run. If every step went the same way, the weights would end a tenth away from
# where they began at random.
STAYS = 0.1
LOOKS = 5  # steps 1 to 16: by then a budget's number of steps is known well enough
CLIPPED, TIMES = 8, 10.0  # steps, and their gradients' norm beside the clip
SAMPLED = 200  # steps at which the rate of a whole run is asked for


def too_high(history: History, about: About) -> Said | None:
    """Steps that are large beside the weights, or a loss that rises."""
    change = max((look.change for look in history.layers), default=0.0)
    if change > TURNS:
        return Said(
            f"a step changed the weights by {change:.0%} of their size",
            f"try --set training.learning_rate={handy(about.learning_rate * GOOD / change)}",
        )
    if len(history.blocks) < BLOCKS:
        return None
    best, now = min(block.loss for block in history.blocks), history.now
    limit = max(RISES * best, best + SURE * ERROR * now.spread)
    if min(now.loss, history.blocks[-1].loss) <= limit:
        return None
    return Said(
        f"the loss rose from {best:.4g} to {now.loss:.4g}",
        f"begin again with --set training.learning_rate={handy(about.learning_rate / 3)}",
    )


def too_low(history: History, about: About) -> Said | None:
    """Weights that will hardly have moved when the run ends; but where the clip takes nearly all of the
    gradient, it is not the learning rate that holds them."""
    looks, now = list(history.layers)[-LOOKS:], history.steps[-1]
    if len(looks) < LOOKS or math.isnan(now.total) or not all(look.rate for look in looks):
        return None
    if middle(step.gradient for step in history.last(CLIPPED)) > TIMES * about.clip:
        return None
    share = mean_rate(round(now.total), about.warmup, about.decay)
    way = max(look.change / look.rate for look in looks) * share * now.total
    if way >= STAYS:
        return None
    wanted = about.learning_rate * min(1 / max(way, 1e-9), 1000.0)
    advice = f"try --set training.learning_rate={handy(wanted)}, or a longer run"
    if about.warmup > now.total / 2:
        advice = f"most of them warm up: try --set training.warmup={now.total / 10:.0f}, or a longer run"
    return Said(
        f"in all {now.total:,.0f} steps of the run the weights move by {way:.2g} of their size at most",
        advice,
    )


def mean_rate(total: int, warmup: int, decay: float) -> float:
    """The mean learning rate of a run, as a share of the recipe's."""
    count = min(total, SAMPLED)
    steps = (i * total // count for i in range(count))
    return sum(optimizer.rate(step, warmup, total, decay) for step in steps) / max(count, 1)
