"""A network that knows its training pictures by heart."""

import math

from phosphene.training.watch.finding import Said
from phosphene.training.watch.history import History
from phosphene.training.watch.observation import About, HeldOut, Samples

# Where held-out pictures cost half as much again as training pictures, the network knows something of these
# that is theirs alone. While it generalises the two are equal within a tenth or two, as in Kadkhodaie et al.
# 2024, "Generalization in diffusion models arises from geometry-adaptive harmonic representations", figure 2.
GAP = 1.5
SURE = 4.0  # standard errors
AGREE = 2  # looks in a row
# Of the samples, beyond the share of held-out pictures that look copied too.
COPIED = 0.05


def memorisation(history: History, about: About) -> Said | None:
    """Held-out pictures cost much more than training pictures, or samples are copies of these."""
    remedy = _remedy(about)
    copied = [_copies(look) for look in list(history.samples)[-AGREE:]]
    if len(copied) == AGREE and all(copied):
        return Said(copied[-1], remedy)
    looks = [gap(look) for look in list(history.held_out)[-AGREE:]]
    if len(looks) < AGREE or not all(looks):
        return None
    assert looks[-1] is not None
    level, ratio = looks[-1]
    return Said(
        f"at noise level sigma / alpha = {level:.3g} held-out pictures have {ratio:.2f} times the loss of "
        "training pictures",
        remedy,
    )


def _remedy(about: About) -> str:
    if about.rank is not None:
        return (
            f"so it is to be expected of {about.pictures} pictures; a shorter --budget, a --rank below "
            f"{about.rank}, less of it in sampling (--adapter PLACE:0.5) or more pictures help"
        )
    return (
        "stop here, or go back: the best model is an earlier one; more pictures, "
        f"--set network.dropout={max(0.1, min(2 * about.dropout, 0.4)):g}, --set data.flip=true or "
        "data.augment=0.12, or a smaller --set network.width help"
    )


def gap(look: HeldOut) -> tuple[float, float] | None:
    """The level where held-out pictures cost most beside training pictures, and how many times as much; None
    where that is little or may be chance."""
    worst = None
    for level, held_out, training, error in zip(
        look.levels, look.averaged, look.training, look.training_error, strict=True
    ):
        ratio = held_out / training
        if ratio > GAP and held_out - training > SURE * error and (worst is None or ratio > worst[1]):
            worst = (level, ratio)
    return worst


def _copies(look: Samples) -> str:
    """What is to be said of copies among the samples; nothing where they may be chance."""
    if math.isnan(look.copied):
        return ""
    null = 0.0 if math.isnan(look.copied_real) else look.copied_real
    # One standard error of a share, with one copy more than there were so that it is never 0.
    error = math.sqrt((null + 1 / look.pictures) / look.pictures)
    if look.copied <= null + max(COPIED, 3 * error):
        return ""
    names = f", of {', '.join(look.nearest)} and others" if look.nearest else ""
    return f"{look.copied:.0%} of the samples are copies of training pictures{names} ({null:.0%} by chance)"
