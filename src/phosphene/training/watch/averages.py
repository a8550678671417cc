"""Averages of the weights that lag behind the weights: what is shipped is worse than what was learnt."""

import math
from statistics import fmean

from phosphene.training.watch.finding import Said, handy
from phosphene.training.watch.history import History
from phosphene.training.watch.observation import About, HeldOut

# An average of length s looks back over about 2 s of the run (0.2 for 0.1). In a run's second half losses
# fall as 1 / sqrt(t) at most, which makes the average's 1.1 times what it is now. More means that the average
# still holds weights from before the network had learnt anything.
LAGS = 1.15
SURE = 4.0  # standard errors of a difference picture by picture: 3e-5 by chance
HALFWAY = 0.5  # of the run: before, losses fall fast and averages are worse in every run
AGREE = 2  # looks in a row


def ema_lag(history: History, about: About) -> Said | None:
    """The averaged weights do much worse than the live ones on held-out pictures, late in the run."""
    looks = list(history.held_out)[-AGREE:]
    if len(looks) < AGREE or not history.share >= HALFWAY or not all(map(lags, looks)):
        return None
    averaged, behind = fmean(looks[-1].averaged), fmean(looks[-1].behind)
    shipped, shortest = about.ema[0], min(about.ema)
    advice = f"train longer, or try a shorter average: --set training.ema=[{handy(min(shipped, 0.1) / 2)}]"
    if shortest < shipped:
        advice = f"train longer, or ship the shorter average: phosphene sample RUN --ema {shortest:g}"
    return Said(
        f"the averaged weights (length {shipped:g}) have a held-out loss of {averaged:.4g}, "
        f"the live ones {averaged - behind:.4g}",
        advice,
    )


def lags(look: HeldOut) -> bool:
    """Whether averaged weights are worse by more than a loss that falls explains, and than chance does."""
    averaged, behind = fmean(look.averaged), fmean(look.behind)
    error = math.hypot(*look.behind_error) / len(look.levels)
    return averaged > LAGS * (averaged - behind) and behind > SURE * error
