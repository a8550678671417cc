"""Time densities: which levels training visits, and how often.

A density is its inverse distribution function: it turns uniform numbers u in (0, 1) into levels of a
schedule. So u can be drawn in strata, one a row, which covers the levels evenly in every batch
(Kingma 2021, appendix I.1) without changing the distribution of any single row.

    uniform        t ~ U(0, 1); on a discrete schedule k ~ U{1 .. T}                    (Ho 2020)
    log_normal     ln(sigma / alpha) ~ N(mean, std^2)                                   (Karras 2022)
    logit_normal   ln(t / (1 - t)) ~ N(mean, std^2); on a flow this is log_normal       (Esser 2024)
"""

from collections.abc import Callable

import torch
from jaxtyping import Float64
from torch import Tensor

from phosphene.diffusion.level import Level
from phosphene.diffusion.schedule import Schedule

Density = Callable[[Schedule, Float64[Tensor, " b"]], Level]


def uniform(schedule: Schedule, u: Float64[Tensor, " b"]) -> Level:
    """Every time equally often."""
    if schedule.steps is None:
        return schedule.level(u)
    return schedule.level((torch.floor(u * schedule.steps) + 1) / schedule.steps)


def log_normal(mean: float = -1.2, std: float = 1.2) -> Density:
    """EDM's: most often where noise and picture are of the same size."""
    return lambda schedule, u: schedule.at(torch.exp(mean + std * torch.special.ndtri(u)))


def logit_normal(mean: float = 0.0, std: float = 1.0) -> Density:
    """Stable Diffusion 3's: most often in the middle of the schedule's time."""

    def density(schedule: Schedule, u: Tensor) -> Level:
        t = torch.sigmoid(mean + std * torch.special.ndtri(u))
        whole = schedule.steps
        return schedule.level(t if whole is None else (torch.floor(t * whole) + 1) / whole)

    return density


def strata(u: Float64[Tensor, ""], row: Tensor, rows: int) -> Float64[Tensor, " b"]:
    """One uniform number for a batch and each row's place in it -> one number a row, one row a stratum."""
    return torch.frac(u + row.double() / rows).clamp(2.0**-33, 1 - 2.0**-33)
