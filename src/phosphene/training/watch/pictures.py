"""Samples whose colours drift away from the data's, and samples that are all alike.

The first samples of a run are neither right in colour nor various. So both detectors want AGREE looks in a
row that are bad, and either as many spaced out over the run of which the last is no better than the first, or
a look before them that was much better.
"""

import math
from collections.abc import Callable
from statistics import fmean

from phosphene.training.watch.finding import Said
from phosphene.training.watch.history import History
from phosphene.training.watch.observation import About, Samples

AGREE = 3
BETTER, WORSE = 0.8, 1.5  # times
# In units of the deviation between real pictures' means, of which 64 samples know theirs to 0.13. A shift of
# one makes an ordinary picture one of the palest sixth.
DRIFT, SURE = 0.75, 4.0
# A channel's deviation beside the real one: half as much again is harsh, half of it is washed out. A network
# that has learnt little says the mean of what may be, and means deviate less: no drift unless it was better.
HARSH, WASHED = math.log(1.5), math.log(2)
# Of the distances between real pictures: half of that of any two, which is a quarter of the variance; or
# three tenths of that of neighbours, as when samples are a few pictures again and again. Pictures with less
# contrast are nearer to one another without being alike, down to those that are nearly FLAT.
ALIKE, AGAIN, FLAT = 0.5, 0.3, 0.25


def colour_drift(history: History, about: About) -> Said | None:
    """The mean of a channel, or how much it deviates, is not the data's and does not come nearer."""
    rules = ((_stays, _shift, DRIFT), (_stays, _contrast, HARSH), (_worsened, _fading, WASHED))
    for rule, off, limit in rules:
        if rule(history, off, limit):
            look = history.samples[-1]
            means = ", ".join(f"{a:.2f} ({b:.2f})" for a, b in zip(look.mean, look.real_mean, strict=True))
            widths = ", ".join(
                f"{a:.2f} ({b:.2f})" for a, b in zip(look.deviation, look.real_deviation, strict=True)
            )
            return Said(
                f"samples have channel means of {means} and deviations of {widths}, "
                "in brackets those of real pictures",
                "train longer or with a lower learning rate; try --set diffusion.schedule=flow or "
                "linear_zero_terminal, which reach pure noise, and sample with --guidance 1 --threshold clip",
            )
    return None


def mode_collapse(history: History, about: About) -> Said | None:
    """Samples differ from one another, or from their nearest, much less than real pictures do."""
    alike = _stays(history, lambda look: 1 - look.spread / _share(look), 1 - ALIKE)
    if not alike and not _stays(history, lambda look: 1 - look.apart / _share(look), 1 - AGAIN):
        return None
    look = history.samples[-1]
    return Said(
        f"two samples differ by {look.spread:.0%} of what two real pictures do, "
        f"a sample and its nearest by {look.apart:.0%}",
        "look at the newest sheet in samples/; lower --guidance towards 1, check that labels or captions are "
        "not all the same, and go back to the last good checkpoint with a lower learning rate",
    )


def _shift(look: Samples) -> float:
    """Of the mean that is furthest off, in deviations between real pictures; 0 if it may be chance."""
    off = 0.0
    for mean, real, between in zip(look.mean, look.real_mean, look.real_between, strict=True):
        shift = abs(mean - real) / max(between, 1e-3)
        off = max(off, shift if shift > SURE / math.sqrt(look.pictures) else 0.0)
    return off


def _contrasts(look: Samples) -> list[float]:
    """The logarithm of each channel's deviation over the real one's."""
    pairs = zip(look.deviation, look.real_deviation, strict=True)
    return [math.log(max(mine, 1e-3) / max(real, 1e-3)) for mine, real in pairs]


def _contrast(look: Samples) -> float:
    return max(_contrasts(look))


def _fading(look: Samples) -> float:
    return -min(_contrasts(look))


def _share(look: Samples) -> float:
    """Of the real pictures' contrast, between FLAT and all of it."""
    return min(max(math.exp(fmean(_contrasts(look))), FLAT), 1.0)


def _stays(history: History, badness: Callable[[Samples], float], limit: float) -> bool:
    """Bad, and it does not get better, or has been."""
    slow = [badness(look) for look in history.spaced][-AGREE:]
    stuck = len(slow) == AGREE and min(slow) > limit and slow[-1] >= BETTER * slow[0]
    return _worsened(history, badness, limit) or (stuck and min(_recent(history, badness)) > limit)


def _worsened(history: History, badness: Callable[[Samples], float], limit: float) -> bool:
    """Bad in the newest looks, and much better in one before."""
    recent, best = _recent(history, badness), min(map(badness, history.spaced), default=math.inf)
    return len(recent) == AGREE and min(recent) > max(limit, WORSE * best)


def _recent(history: History, badness: Callable[[Samples], float]) -> list[float]:
    return [badness(look) for look in history.samples][-AGREE:]
