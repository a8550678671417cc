"""SDEdit: a picture is noised up to a level and made anew from there (Meng 2022).

    x_t = alpha x0 + sigma eps           strength = sigma / (alpha + sigma)

Strength 0 is the picture itself; at 1/2 it weighs as much as the noise; 1 is noise alone, of which plain
sampling makes its pictures. So a strength means the same on every schedule. Below the start a grid is as it
always was, and its solver begins there as at any first level: without a memory.

For data N(m, s^2) the probability-flow ODE brings a picture y to N(m + k alpha (y - m), k^2 sigma^2), with
k = s / sqrt(alpha^2 s^2 + sigma^2).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion import noise as draw
from phosphene.diffusion.level import Level
from phosphene.diffusion.noise import Between, Key
from phosphene.diffusion.plan import Plan
from phosphene.diffusion.schedule import Schedule


def begun(schedule: Schedule, grid: Level, strength: float) -> Level:
    """The grid from a strength in (0, 1] on: its nearest level is moved there, those above are left out.

    Nearest in the angle atan(sigma / alpha), which pure noise has too. A discrete schedule begins at a whole
    step, since its network knows no others; a grid that never was as noisy, where it always did.
    """
    assert 0 < strength <= 1
    ratio = torch.tensor(strength / (1 - strength) if strength < 1 else torch.inf, dtype=torch.float64)
    start = schedule.at(ratio)
    if schedule.steps is not None:
        start = schedule.level((schedule.time(ratio) * schedule.steps).round().clamp(min=1) / schedule.steps)
    if start.ratio >= grid.ratio[0]:
        return grid
    angle = torch.atan(grid.ratio[:-1])  # the last level, the clean picture, stays
    nearest = int((angle - torch.atan(start.ratio)).abs().argmin())
    return Level(*(torch.cat([a[None], b[nearest + 1 :]]) for a, b in zip(start, grid, strict=True)))


def noised(
    plan: Plan, key: Key | Between, picture: Float[Tensor, "b c *shape"]
) -> Float[Tensor, "b c *shape"]:
    """The pictures at the first level of a plan, with the noise that plain sampling begins with."""
    level = plan.level.rows(torch.zeros(len(picture), dtype=torch.int64, device=plan.level.alpha.device))
    eps = draw.normal(key, 0, tuple(picture.shape[1:]))
    return level.to(picture.device).add(picture, eps.to(picture))
