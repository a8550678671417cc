"""Sampling grids: at which levels of a schedule a solver stops.

A grid of n steps is n + 1 levels, noisiest first, the last one clean. Three are even in time and differ in
which end they miss; two are laid out by the ratio r = sigma / alpha.

    trailing   t = 1, (n - 1)/n, ..., 1/n, 0: begins where training ended; prefer it     (Lin 2024, table 2)
    leading    t = ((n - 1) floor(T/n) + 1)/T, ..., 1/T, 0: DDPM's and DDIM's; never reaches t = 1
    linspace   from t = 1 to t = 1/T evenly, then 0
    karras     r^(1/7) evenly from the largest ratio to the smallest, then 0             (Karras 2022, eq. 5)
    log_snr    ln r evenly from the largest ratio to the smallest, then 0                (Lu 2022)
"""

from collections.abc import Callable, Mapping

import torch

from phosphene.diffusion.level import Level
from phosphene.diffusion.schedule import Schedule

Grid = Callable[[Schedule, int], Level]


def trailing(schedule: Schedule, steps: int) -> Level:
    """Even in time from t = 1. On a discrete schedule, times are rounded to whole ones."""
    t = 1 - torch.arange(steps + 1, dtype=torch.float64) / steps
    whole = schedule.steps
    return schedule.level(t if whole is None else (t * _at_least(steps, whole)).round() / whole)


def leading(schedule: Schedule, steps: int) -> Level:
    """Even in time from below: the last evaluation is at the first training time."""
    whole = schedule.steps or 1000
    stride = _at_least(steps, whole) // steps
    k = torch.arange(steps - 1, -1, -1, dtype=torch.float64) * stride + 1
    return _then_clean(schedule.level(k / whole))


def linspace(schedule: Schedule, steps: int) -> Level:
    """Even in time over both ends."""
    whole = schedule.steps or 1000
    k = torch.linspace(_at_least(steps, whole) - 1, 0, steps, dtype=torch.float64)
    return _then_clean(schedule.level(((k if schedule.steps is None else k.round()) + 1) / whole))


def karras(schedule: Schedule, steps: int, rho: float = 7.0) -> Level:
    """Even in r^(1/rho): short steps where little noise is left."""
    low, high = (end ** (1 / rho) for end in schedule.span)
    return _then_clean(schedule.at(torch.linspace(high, low, steps, dtype=torch.float64) ** rho))


def log_snr(schedule: Schedule, steps: int) -> Level:
    """Even in ln r: every step removes the same share of noise."""
    low, high = torch.tensor(schedule.span, dtype=torch.float64).log().tolist()
    return _then_clean(schedule.at(torch.linspace(high, low, steps, dtype=torch.float64).exp()))


def _then_clean(level: Level) -> Level:
    one = torch.ones(1, dtype=torch.float64)
    return Level(torch.cat([level.alpha, one]), torch.cat([level.sigma, 0 * one]))


def _at_least(steps: int, whole: int) -> int:
    if steps > whole:
        raise ValueError(f"steps {steps}: this schedule has {whole} times; take {whole} steps or fewer")
    return whole


GRIDS: Mapping[str, Grid] = {
    "trailing": trailing,
    "leading": leading,
    "linspace": linspace,
    "karras": karras,
    "log_snr": log_snr,
}
