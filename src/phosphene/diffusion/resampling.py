"""Resampling: a solver that goes forward again, so that what is known spreads (RePaint, Lugmayr 2022).

Every `jump` steps down, from level t to level s, noise takes x back up to t and the steps are taken anew:

    x_t = (alpha_t / alpha_s) x_s + sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2) z

until they were taken `times` times in all. Going up asks no network: it is linear, and one map with the step
before it, whose own noise joins its noise. So this is a plan like any other, with one slot.

The steps down are DDPM's, q(x_s | x_t, x0_hat). Where x0_hat is known (`restoration.known`), x_s then has
the distribution q(x_s | x0) that RePaint pastes there: the same mean of the whole picture, exactly. x_s and
x_t together have theirs too, which a paste with new noise has not.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from phosphene.diffusion.ancestral import Solver, posterior
from phosphene.diffusion.level import Level
from phosphene.diffusion.plan import Step


def resampled(jump: int = 10, times: int = 10) -> Solver:
    """DDPM with jumps, which times = 1 has none of. n steps take jump + (n - jump) times evaluations.

    The first `jump` steps are taken once, as in the paper: up from there lies noise alone.
    """
    if jump < 1 or times < 1:
        raise ValueError(f"jump {jump}, times {times}: give 1 or more")

    def solver(grid: Level) -> Iterator[Step]:
        for t, s, back in walk(len(grid.alpha) - 1, jump, times):
            yield _down_and_up(grid.rows(t), grid.rows(s), grid.rows(back))

    return solver


def walk(steps: int, jump: int, times: int) -> Iterator[tuple[int, int, int]]:
    """Each evaluation as places of the grid: from t down to s, and from there up to where the next begins."""
    for start in range(0, steps, jump):
        end = min(start + jump, steps)
        turns = times if start else 1
        for turn in range(turns):
            for t in range(start, end):
                again = t + 1 == end and turn + 1 < turns
                yield t, t + 1, start if again else t + 1


def _down_and_up(t: Level, s: Level, back: Level) -> Step:
    q = posterior(t, s)
    up = back.alpha / s.alpha
    added = back.sigma**2 - (up * s.sigma) ** 2
    std = torch.sqrt(up**2 * torch.where(s.sigma > 0, q.small, 0) + added.clamp(min=0))

    def update(x: Tensor, x0: Tensor, z: Tensor) -> Tensor:
        return up * (q.of_x * x + q.of_x0 * x0) + std * z

    return Step(t, update)
