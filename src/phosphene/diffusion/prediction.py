"""Prediction types: what the network's output means, as four numbers per level.

    x0_hat = skip x + out net(inp x, noise)          target of net = (x0 - skip x) / out

With s^2 = alpha^2 + sigma^2, r = sigma / alpha and the data's standard deviation sd:

    eps        the noise:            x0 = (x - sigma eps) / alpha
    x0         the picture itself
    v          (alpha eps - sigma x0) / s:       x0 = (alpha x - s sigma v) / s^2        (Salimans & Ho 2022)
    velocity   eps - x0:             x0 = (x - sigma u) / (alpha + sigma)                (Liu 2022)
    edm        skip, out and inp so that input and target have variance 1               (Karras 2022, table 1)

All are written for any units of (alpha, sigma): a network trained on one schedule says the same at every
level of the same ratio on another. `noise` is how the network hears the level.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from phosphene.diffusion.level import Level, like
from phosphene.diffusion.schedule import Schedule

Heard = Callable[[Level], Tensor]


class Coefficients(NamedTuple):
    """x0_hat = skip x + out net(inp x, noise), one row a level, float64."""

    skip: Float64[Tensor, "*b"]
    out: Float64[Tensor, "*b"]
    inp: Float64[Tensor, "*b"]
    noise: Float64[Tensor, "*b"]

    def target(self, x0: Tensor, x: Tensor) -> Tensor:
        """What the network should have said."""
        return (x0 - like(self.skip, x) * x) / like(self.out, x)


Prediction = Callable[[Level], Coefficients]


def eps(heard: Heard) -> Prediction:
    """The network predicts the noise (Ho 2020). Undefined where alpha = 0."""
    return lambda at: Coefficients(at.alpha.reciprocal(), -at.ratio, _norm(at).reciprocal(), heard(at))


def x0(heard: Heard) -> Prediction:
    """The network predicts the picture."""
    return lambda at: Coefficients(
        torch.zeros_like(at.alpha), torch.ones_like(at.alpha), 1 / _norm(at), heard(at)
    )


def v(heard: Heard) -> Prediction:
    """The network predicts the direction along the circle from picture to noise."""
    return lambda at: Coefficients(at.alpha / _norm(at) ** 2, -at.sigma / _norm(at), 1 / _norm(at), heard(at))


def velocity(heard: Heard) -> Prediction:
    """The network predicts the straight way from picture to noise."""

    def coefficients(at: Level) -> Coefficients:
        total = at.alpha + at.sigma
        return Coefficients(1 / total, -at.sigma / total, 1 / total, heard(at))

    return coefficients


def edm(heard: Heard, sd: float = 0.5) -> Prediction:
    """The network predicts a mixture of picture and noise of unit variance, for data of deviation sd."""

    def coefficients(at: Level) -> Coefficients:
        square = at.sigma**2 + (at.alpha * sd) ** 2
        return Coefficients(
            at.alpha * sd**2 / square, at.sigma * sd / square.sqrt(), square.rsqrt(), heard(at)
        )

    return coefficients


def hear_timestep(schedule: Schedule) -> Heard:
    """The network hears the time of the schedule that it was trained on, in thousandths."""
    return lambda at: schedule.timestep(at.ratio)


def hear_log_ratio(at: Level) -> Tensor:
    """The network hears ln(sigma / alpha) / 4 (EDM's c_noise)."""
    return -at.log_snr / 4


def _norm(at: Level) -> Tensor:
    return torch.hypot(at.alpha, at.sigma)


NEED_SIGNAL = frozenset({"eps"})
"""Predictions without a meaning where alpha = 0: grids for them walk `schedule.with_signal`."""

PREDICTIONS: Mapping[str, Callable[[Heard], Prediction]] = {
    "eps": eps,
    "x0": x0,
    "v": v,
    "velocity": velocity,
    "edm": edm,
}
