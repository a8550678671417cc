"""The cheap figures of a run: made pictures beside training pictures and held-out ones.

Each is a function of `phosphene.measures`, called as it stands; names of figures bear the encoder's.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from phosphene.measures.colour import colour
from phosphene.measures.diversity import diversity
from phosphene.measures.interval import Interval
from phosphene.measures.kernel import kernel_distance
from phosphene.measures.left_out import left_out
from phosphene.measures.memorisation import Memorised, Views, memorisation

DRAWS = 200  # of the bootstrap: enough for an interval that is looked at, not reported
ENOUGH = 64  # held-out pictures from which their kernel distance says which model is best
NULL = 20  # held-out pictures from which they say what looks like a copy by chance


class Made(NamedTuple):
    """Pictures that were made, and their features; small: also of mirror images, to find copies."""

    pictures: UInt8[Tensor, "n c h w"]
    features: Float32[np.ndarray, "n d"]
    small: Views


class Known(NamedTuple):
    """What they are compared with.

    encoder: its name. training, held_out: features. beside: as many training pictures as are made, of the
    same labels, and their features. small: of training pictures, to find copies, with their numbers in the
    data set; null: of held-out ones.
    """

    encoder: str
    training: Float32[np.ndarray, "m d"]
    held_out: Float32[np.ndarray, "k d"]
    beside: UInt8[Tensor, "n c h w"]
    beside_features: Float32[np.ndarray, "n d"]
    small: Views
    numbers: np.ndarray
    null: Views


def kernel(made: Made, known: Known) -> dict[str, float]:
    """The kernel distance to training pictures, and to held-out ones where there are a few."""
    found = _named(f"kd_{known.encoder}", distance(made.features, known.training))
    if len(known.held_out) >= NULL:
        found |= _named(f"kd_held_out_{known.encoder}", distance(made.features, known.held_out))
    return found


def distance(made: Float[np.ndarray, "n d"], real: Float[np.ndarray, "m d"]) -> Interval:
    """As it is measured during training."""
    return kernel_distance(made, real, draws=DRAWS)


def colours(made: Made, known: Known) -> dict[str, float]:
    """How far each quantity of colour is from the real ones', and the farthest in standard errors."""
    drifts = colour(made.pictures, known.beside)
    named = {f"colour_{drift.quantity.replace(' ', '_')}": drift.difference.value for drift in drifts}
    return named | {"colour_drift": max(abs(drift.errors) for drift in drifts)}


def diversities(made: Made, known: Known) -> dict[str, float]:
    """How diverse the made pictures are beside as many real ones."""
    found = diversity(made.features, known.beside_features)
    return {
        f"spread_{known.encoder}": found.spread.value,
        f"vendi_{known.encoder}": found.vendi.value,
    }


def copies(made: Made, known: Known) -> Memorised | None:
    """Which made pictures are copies; None where there are too few training pictures to say."""
    if len(known.null.plain) >= NULL:
        return memorisation(made.small, known.small.plain, known.null)
    return left_out(made.small, known.small) if len(known.small.plain) > NEEDED else None


NEEDED = 3


def copied(found: Memorised) -> dict[str, float]:
    """The shares of copies as figures."""
    return {"copied": found.share.value, "copied_by_chance": found.null.value}


def criterion(known: Known) -> str:
    """The figure by which models of a run are compared: what was held out says most, if it is enough."""
    return f"kd_{'held_out_' if len(known.held_out) >= ENOUGH else ''}{known.encoder}"


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Those that JSON and model cards can hold."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _named(name: str, found: Interval) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
