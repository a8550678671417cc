"""Schedules: the curves of levels that training visits and sampling walks back.

    DDPM linear      alpha_k = sqrt(prod_{i<=k} (1 - beta_i)), sigma = sqrt(1 - alpha^2), k = T t   (Ho 2020)
    cosine           alpha = cos(pi t / 2), sigma = sin(pi t / 2)                     (Nichol & Dhariwal 2021)
    EDM              alpha = 1, sigma = 80 t                                          (Karras 2022)
    rectified flow   alpha = 1 - t, sigma = t                                         (Liu 2022, Lipman 2022)

Time t runs from 0 (the picture) to 1 (noise). All schedules pass through the same ratios sigma / alpha;
they differ in how long they stay at each, and in their units: variance preserving (alpha^2 + sigma^2 = 1),
exploding (alpha = 1) or straight (alpha + sigma = 1).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from phosphene.diffusion.level import Level

Curve = Callable[[Tensor], Tensor]


def preserving(ratio: Float64[Tensor, "*b"]) -> Level:
    """The level of this ratio with alpha^2 + sigma^2 = 1."""
    return Level((1 + ratio**2).rsqrt(), (1 + ratio**-2).rsqrt())


def exploding(ratio: Float64[Tensor, "*b"]) -> Level:
    """The level of this ratio with alpha = 1."""
    return Level(torch.ones_like(ratio), ratio)


def straight(ratio: Float64[Tensor, "*b"]) -> Level:
    """The level of this ratio with alpha + sigma = 1."""
    return Level(1 / (1 + ratio), 1 / (1 + 1 / ratio))


@dataclass(frozen=True)
class Schedule:
    """A curve of levels, by time and by ratio (both float64).

    level: time in [0, 1] -> level.      at: ratio in [0, inf] -> level in this schedule's units.
    time: ratio -> time, the inverse.    span: smallest and largest ratio of grids laid out by ratio.
    steps: discrete training times k / steps, k = 1 .. steps; None where time is continuous.
    """

    level: Callable[[Tensor], Level]
    at: Callable[[Tensor], Level]
    time: Curve
    span: tuple[float, float]
    steps: int | None = None

    def timestep(self, ratio: Float64[Tensor, "*b"]) -> Float64[Tensor, "*b"]:
        """Time as networks hear it: the whole numbers 0 .. steps - 1, 0 being already one step noisy, of a
        discrete schedule; 1000 t of a continuous one."""
        time = self.time(ratio)
        return 1000 * time if self.steps is None else time * self.steps - 1


def from_betas(betas: Float64[Tensor, " T"]) -> Schedule:
    """The discrete variance-preserving schedule of given betas (Ho 2020, equation 4)."""
    return _from_alphas(torch.cumprod(1 - betas, 0).sqrt())


class _Table(NamedTuple):
    """A discrete schedule: its levels after 0 .. T steps; ratios and their logarithms after 1 .. T.

    gaps: from each logarithm to the next.
    """

    levels: Level
    ratios: Float64[Tensor, " T"]
    logs: Float64[Tensor, " T"]
    gaps: Float64[Tensor, " T-1"]


def _from_alphas(alphas: Float64[Tensor, " T"]) -> Schedule:
    """alphas[k - 1] is the share of signal after k steps. Between whole steps ln(ratio) is interpolated."""
    steps = len(alphas)
    sigmas = (1 - alphas**2).sqrt()
    clean = torch.ones_like(alphas[:1])
    levels = Level(torch.cat([clean, alphas]), torch.cat([0 * clean, sigmas]))
    ratios = sigmas / alphas
    home = _Table(levels, ratios, ratios.log(), ratios.log().diff())
    without_signal = not bool(torch.isfinite(ratios).all())
    copies = {ratios.device: home}

    def table(device: torch.device) -> _Table:
        """The table where the times are, copied there once: each copy would be waited for."""
        if device not in copies:
            with torch.inference_mode(False):  # training may come after sampling
                copies[device] = _Table(home.levels.to(device), *(each.to(device) for each in home[1:]))
        return copies[device]

    def level(t: Tensor) -> Level:
        k = t * steps
        whole = k.round().long().clamp(0, steps)
        on_step = (k - whole).abs() < 1e-9
        exact = table(t.device).levels.rows(whole)
        between = preserving(ratio(k))
        return Level(
            torch.where(on_step, exact.alpha, between.alpha), torch.where(on_step, exact.sigma, between.sigma)
        )

    def ratio(k: Tensor) -> Tensor:
        _, ratios, logs, gaps = table(k.device)
        low = (k.floor().long() - 1).clamp(0, steps - 2)
        share = k - 1 - low
        # Below the first step the ratio falls to 0 in a straight line.
        return torch.where(k < 1, k * ratios[0], (logs[low] + share * gaps[low]).exp())

    def time(ratio: Tensor) -> Tensor:
        _, ratios, logs, gaps = table(ratio.device)
        low = (torch.searchsorted(ratios, ratio, right=True) - 1).clamp(0, steps - 2)
        share = (ratio.log() - logs[low]) / gaps[low]
        inside = low + 1 + share
        if without_signal:  # its end is infinitely far in ln(ratio)
            inside = torch.where(torch.isinf(logs[low + 1]), low + 1 + (ratio == ratios[low + 1]), inside)
        return torch.where(ratio < ratios[0], ratio / ratios[0], inside).clamp(0, steps) / steps

    finite = ratios[torch.isfinite(ratios)]
    return Schedule(level, preserving, time, (finite[0].item(), finite[-1].item()), steps)


def linear(steps: int = 1000, first: float = 1e-4, last: float = 2e-2) -> Schedule:
    """DDPM's schedule: betas in a straight line (Ho 2020, section 4)."""
    return from_betas(torch.linspace(first, last, steps, dtype=torch.float64))


def scaled_linear(steps: int = 1000, first: float = 0.00085, last: float = 0.012) -> Schedule:
    """Latent diffusion's schedule: square roots of betas in a straight line (Rombach 2022)."""
    return from_betas(torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2)


def zero_terminal(schedule: Schedule) -> Schedule:
    """The same discrete schedule, shifted and scaled so that nothing of the picture is left at t = 1.

    Lin 2024, "Common diffusion noise schedules and sample steps are flawed", Algorithm 1. A network that
    predicts eps says nothing at a level without signal: use it with v or x0.
    """
    assert schedule.steps is not None, "a continuous schedule already ends without signal"
    t = torch.arange(1, schedule.steps + 1, dtype=torch.float64) / schedule.steps
    alphas = schedule.level(t).alpha
    return _from_alphas((alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1]))


def with_signal(schedule: Schedule) -> Schedule:
    """The schedule as grids walk it for a prediction that says nothing of x0 where alpha = 0 (eps).

    Where a schedule ends without signal, this one ends, at t = 1, at the largest ratio of its span: a
    discrete schedule at its last step with signal, a continuous one at sigma = 500 alpha. That is where
    Nichol & Dhariwal's cosine (2021, section 3.2) starts to clip beta to 0.999: the last of their 1000
    steps that is not clipped is at a ratio of 640. There x0_hat is a difference of numbers 500 times its own.
    """
    one = torch.ones((), dtype=torch.float64)
    if bool(torch.isfinite(schedule.level(one).ratio)):
        return schedule
    end = float(schedule.time(schedule.span[1] * one))
    return Schedule(
        level=lambda t: schedule.level(end * t),
        at=schedule.at,
        time=lambda ratio: schedule.time(ratio) / end,
        span=schedule.span,
        steps=None if schedule.steps is None else round(end * schedule.steps),
    )


def linear_zero_terminal() -> Schedule:
    """DDPM's schedule, rescaled to end without signal."""
    return zero_terminal(linear())


def cosine() -> Schedule:
    """Variance preserving with a quarter turn from picture to noise."""
    turn = math.pi / 2
    return Schedule(
        level=lambda t: Level(torch.sin(turn * (1 - t)), torch.sin(turn * t)),
        at=preserving,
        time=lambda ratio: torch.atan(ratio) / turn,
        span=(2e-3, 500.0),
    )


def cosine_capped(steps: int = 1000, offset: float = 0.008, most: float = 0.999) -> Schedule:
    """The cosine as it was published: discrete, a little later, no beta above 0.999."""
    t = (torch.arange(steps + 1, dtype=torch.float64) / steps + offset) / (1 + offset)
    bars = torch.cos(math.pi / 2 * t) ** 2
    return from_betas((1 - bars[1:] / bars[:-1]).clamp(max=most))


def edm(largest: float = 80.0) -> Schedule:
    """Variance exploding: sigma is the time (Karras 2022)."""
    return Schedule(
        level=lambda t: exploding(largest * t),
        at=exploding,
        time=lambda ratio: ratio / largest,
        span=(2e-3, largest),
    )


def flow() -> Schedule:
    """Rectified flow: a straight line from picture to noise."""
    return Schedule(
        level=lambda t: Level(1 - t, t), at=straight, time=lambda r: 1 / (1 + 1 / r), span=(2e-3, 500.0)
    )


SCHEDULES: Mapping[str, Callable[[], Schedule]] = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "linear_zero_terminal": linear_zero_terminal,
    "cosine": cosine,
    "cosine_capped": cosine_capped,
    "edm": edm,
    "flow": flow,
}
