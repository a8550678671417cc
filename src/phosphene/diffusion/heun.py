"""Heun's method with churn: two evaluations a step (Karras 2022, Algorithm 2).

In units where alpha = 1, x = y / alpha and r = sigma / alpha, the probability-flow ODE is dx/dr = eps_hat:

    x' = x_t + (r_s - r_t) eps_hat(x_t, r_t)                                    Euler
    x_s = x_t + (r_s - r_t) (eps_hat(x_t, r_t) + eps_hat(x', r_s)) / 2           corrected

The last step, to r = 0, is Euler's, and so is one from r = infinity, where eps_hat = x / sigma is exact.
Churn raises r_t to (1 + gamma) r_t with fresh noise before the step; here that noise is added at the end of
the step before, and the first step simply begins at the raised level.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from phosphene.diffusion.ancestral import Solver
from phosphene.diffusion.level import Level
from phosphene.diffusion.plan import Step


def heun(churn: float = 0.0, low: float = 0.0, high: float = math.inf, swell: float = 1.0) -> Solver:
    """churn, low, high, swell: S_churn, S_min, S_max, S_noise of the paper; without churn deterministic."""

    def raised(t: Level, steps: int) -> Level:
        inside = (t.ratio >= low) & (t.ratio <= high)
        gamma = min(churn / steps, math.sqrt(2) - 1)
        return Level(t.alpha, torch.where(inside, (1 + gamma) * t.sigma, t.sigma))

    def solver(grid: Level) -> Iterator[Step]:
        steps = len(grid.alpha) - 1
        for i in range(steps):
            s = grid.rows(i + 1)
            following = raised(s, steps) if i + 1 < steps else s
            yield from _step(raised(grid.rows(i), steps), s, following, swell)

    return solver


def _step(t: Level, s: Level, following: Level, swell: float) -> Iterator[Step]:
    """From t to s, and by fresh noise on to the level where the following step begins."""
    fresh = swell * torch.sqrt(following.sigma**2 - s.sigma**2)
    once = s.sigma == 0 or t.alpha == 0

    def euler(x: Tensor, base: Tensor, slope: Tensor, x0: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        eps = (x - t.alpha * x0) / t.sigma
        return s.alpha * x0 + s.sigma * eps + (fresh if once else 0) * z, x, eps

    def corrected(x: Tensor, base: Tensor, slope: Tensor, x0: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        eps = (x - s.alpha * x0) / s.sigma
        return s.alpha * (base / t.alpha + (s.ratio - t.ratio) * (slope + eps) / 2) + fresh * z, base, slope

    yield Step(t, euler)
    if not once:
        yield Step(s, corrected)
