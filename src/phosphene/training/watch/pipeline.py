"""A data pipeline that gives the same again, nothing at all, too late, or in the wrong units."""

from statistics import fmean

from phosphene.training.watch.finding import Said
from phosphene.training.watch.history import RECENT, History
from phosphene.training.watch.observation import About

LAST = 16  # steps
FEW = 4  # pictures below which equal batches come by chance
HALF = 0.5  # constant pictures: then as many teach nothing as teach something
WAITS = 0.25  # of the time: a run could be a third shorter
# Values are middles of 256 bins of [-1, 1]: none lies outside. Pixels of photographs and drawings deviate by
# 0.3 to 0.8 and networks expect 0.5. With a tenth of that the levels that are trained at drown a picture.
OUTSIDE, FLAT = 1.001, 0.05
NEAR_ZERO = 0.02  # the darkest value of LAST batches of pictures in [0, 1]; in [-1, 1] it is near -1


def same_batch(history: History, about: About) -> Said | None:
    """Fewer different batches than the order of pictures would give.

    Within an epoch all differ, and the last 16 steps hold 8 of one epoch or a whole one. Pictures of a single
    colour are another matter: they are alike.
    """
    steps = history.last(LAST)
    if len(steps) < LAST or about.pictures < FEW or fmean(step.constant for step in steps) >= HALF:
        return None
    different = len({step.checksum for step in steps})
    expected = max(2, min(LAST // 2, about.pictures // about.batch))
    if different >= expected:
        return None
    return Said(
        f"the last {LAST} steps saw {different} different batch{'es' * (different > 1)} of pictures, "
        f"of {about.pictures} pictures to train on",
        "the loader hands out the same again: look at what was put between the data set and the trainer; "
        "phosphene doctor DATA shows copies",
    )


def constant_pictures(history: History, about: About) -> Said | None:
    """Half of the pictures or more are one value throughout."""
    steps = history.last(LAST)
    share = fmean(step.constant for step in steps)
    if len(steps) < LAST or share < HALF:
        return None
    return Said(
        f"{share:.0%} of the last {LAST} batches' pictures are a single colour, mean {steps[-1].mean:.2f}",
        "look at the files with phosphene doctor DATA: black or empty pictures teach nothing",
    )


def waiting(history: History, about: About) -> Said | None:
    """Steps wait for their pictures. The longest wait is not counted: a disk may have woken up."""
    steps = history.last(RECENT)
    longest = max(range(len(steps)), key=lambda i: steps[i].waited)
    rest = [step for i, step in enumerate(steps) if i != longest]
    spent = sum(step.seconds for step in rest)
    if len(steps) < RECENT or sum(step.waited for step in rest) < WAITS * spent:
        return None
    share = sum(step.waited for step in rest) / spent
    return Said(
        f"{share:.0%} of the time of the last {RECENT} steps went into waiting for pictures",
        "put the data and $PHOSPHENE_CACHE on a local disk; or take less from it: a smaller --size",
    )


def value_range(history: History, about: About) -> Said | None:
    """Values that are not those of pictures in [-1, 1]."""
    steps = history.last(LAST)
    if len(steps) < LAST:
        return None
    low, high = min(step.lowest for step in steps), max(step.highest for step in steps)
    deviation = fmean(step.deviation for step in steps)
    seen = f"the pictures' values lie in [{low:.3g}, {high:.3g}], deviation {deviation:.3g}"
    if low < -OUTSIDE or high > OUTSIDE:
        units = ", as bytes do" if low >= 0 and high > 2 else ""
        return Said(f"{seen}{units}: expected are [-1, 1]", _ADVICE)
    if 0 <= low < NEAR_ZERO:
        return Said(f"{seen}: as of pictures in [0, 1], where [-1, 1] is expected", _ADVICE)
    if deviation < FLAT and any(step.constant < HALF for step in steps):
        return Said(f"{seen}: nearly flat, where 0.2 to 0.8 is usual", _ADVICE)
    return None


_ADVICE = (
    "make values with phosphene.pictures.pixels.to_values(bytes), which is 2 (k + 1/2) / 256 - 1; "
    "phosphene doctor DATA shows what the files hold"
)
