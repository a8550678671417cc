"""Loss weights: how much an error |x0 - x0_hat|^2 counts at each level.

uniform        1 / out^2: the mean squared error of what the network says (for eps: SNR)   (Ho 2020)
snr            SNR = alpha^2 / sigma^2: the squared error of eps
v              SNR + 1: the squared error of v                                 (Salimans & Ho 2022)
velocity       1 / max(t, 0.05)^2, t = sigma / (alpha + sigma): the squared error of the velocity
                                                                               (Liu 2022; Li & He 2025)
min_snr        min(SNR, gamma)                                                         (Hang 2023)
soft_min_snr   SNR gamma / (SNR + gamma)                                               (Crowson 2024)
edm            (r^2 + sd^2) / (r sd)^2, r = sigma / alpha                              (Karras 2022)
"""

from collections.abc import Callable, Mapping

from jaxtyping import Float64
from torch import Tensor

from phosphene.diffusion.level import Level
from phosphene.diffusion.prediction import Coefficients

Weight = Callable[[Level, Coefficients], Float64[Tensor, " b"]]


def uniform(level: Level, coefficients: Coefficients) -> Tensor:
    """Every error in what the network says counts the same."""
    return coefficients.out**-2 + 0 * level.alpha


def snr(level: Level, coefficients: Coefficients) -> Tensor:
    """Errors count by the signal-to-noise ratio: DDPM's simple loss, whatever is predicted."""
    return level.snr + 0 * coefficients.out


def v(level: Level, coefficients: Coefficients) -> Tensor:
    """Errors count as those of v do, whatever is predicted."""
    return level.snr + 1 + 0 * coefficients.out


def velocity(least: float = 0.05) -> Weight:
    """Errors count as those of the velocity eps - x0 do, whatever is predicted.

    least: t below which the weight grows no more, as in "Back to basics" (Li & He 2025, JiT), where a
    network that predicts x0 is trained by its velocity, divided by max(t, 0.05).
    """
    return lambda level, _: ((level.alpha + level.sigma) / level.sigma).clamp(max=1 / least) ** 2


def min_snr(gamma: float = 5.0) -> Weight:
    """As snr, but almost clean pictures count no more than gamma."""
    return lambda level, _: level.snr.clamp(max=gamma)


def soft_min_snr(gamma: float = 4.0) -> Weight:
    """As min_snr without the kink."""
    return lambda level, _: level.snr * gamma / (level.snr + gamma)


def edm(sd: float = 0.5) -> Weight:
    """Errors count by the inverse variance of EDM's target, for data of deviation sd."""
    return lambda level, _: 1 / level.ratio**2 + 1 / sd**2


WEIGHTS: Mapping[str, Weight] = {
    "uniform": uniform,
    "snr": snr,
    "v": v,
    "velocity": velocity(),
    "min_snr": min_snr(),
    "soft_min_snr": soft_min_snr(),
    "edm": edm(),
}
