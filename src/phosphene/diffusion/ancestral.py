"""Solvers without memory: one evaluation a step, from level t to level s.

With D = x0_hat, eps_hat = (x - alpha_t D) / sigma_t and tau = 1 - (alpha_t sigma_s / (alpha_s sigma_t))^2:

    DDIM          x_s = alpha_s D + sigma_s sqrt(1 - eta^2 tau) eps_hat + eta sigma_s sqrt(tau) z
    DDPM          x_s ~ q(x_s | x_t, x0 = D)
    consistency   x_s = alpha_s D + sigma_s z

eta is the share of noise drawn anew: 0 follows the probability-flow ODE (Euler's method, in any units of
the schedule), 1 is DDPM with the small variance (Euler ancestral).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from phosphene.diffusion.level import Level
from phosphene.diffusion.plan import Step

Solver = Callable[[Level], Iterator[Step]]


def each_pair(step: Callable[[Level, Level], Step]) -> Solver:
    """The solver that takes this step from each level of a grid to the next."""
    return lambda grid: (step(grid.rows(i), grid.rows(i + 1)) for i in range(len(grid.alpha) - 1))


def ddim(eta: float = 0.0) -> Solver:
    """Song 2021, "Denoising diffusion implicit models", equation 12."""

    def step(t: Level, s: Level) -> Step:
        tau = 1 - (t.alpha * s.sigma / (s.alpha * t.sigma)) ** 2

        def update(x: Tensor, x0: Tensor, z: Tensor) -> Tensor:
            eps = (x - t.alpha * x0) / t.sigma
            kept, fresh = torch.sqrt(1 - eta**2 * tau), eta * torch.sqrt(tau)
            return s.alpha * x0 + s.sigma * (kept * eps + fresh * z)

        return Step(t, update)

    return each_pair(step)


class Posterior(NamedTuple):
    """q(x_s | x_t, x0), of mean of_x x_t + of_x0 x0 and the smallest of the variances, and the largest."""

    of_x: Tensor
    of_x0: Tensor
    small: Tensor
    large: Tensor


def posterior(t: Level, s: Level) -> Posterior:
    """Ho 2020, equations 6 and 7, between any two levels: small is beta_tilde, large is beta."""
    forward = t.alpha / s.alpha
    beta = t.sigma**2 - forward**2 * s.sigma**2
    # beta is a variance in the units of t; the ratio of total variances brings it to those of s.
    large = beta * (s.alpha**2 + s.sigma**2) / (t.alpha**2 + t.sigma**2)
    kept = s.sigma**2 / t.sigma**2
    return Posterior(forward * kept, s.alpha * beta / t.sigma**2, beta * kept, large)


def _ancestral(t: Level, s: Level, variance: Tensor, spread: Tensor) -> Step:
    """One draw from the posterior; the last step, to the clean picture, adds no noise (Ho 2020, Alg. 2)."""
    q = posterior(t, s)
    std = torch.where(s.sigma > 0, variance.sqrt(), 0)
    return Step(t, lambda x, x0, z: q.of_x * x + q.of_x0 * x0 + std * z, torch.where(s.sigma > 0, spread, 0))


def _small(t: Level, s: Level) -> Step:
    return _ancestral(t, s, posterior(t, s).small, torch.zeros(()))


def _large(t: Level, s: Level) -> Step:
    return _ancestral(t, s, posterior(t, s).large, torch.zeros(()))


def _learned(t: Level, s: Level) -> Step:
    q = posterior(t, s)
    return _ancestral(t, s, q.small, torch.log(q.large / q.small) / 2)


ddpm = each_pair(_small)
"""The variance of q(x_s | x_t, x0), beta_tilde: the lower bound of the reverse step's (Ho 2020)."""

ddpm_large = each_pair(_large)
"""The variance of q(x_t | x_s), beta: the upper bound (Ho 2020)."""

ddpm_learned = each_pair(_learned)
"""ln variance = f ln beta + (1 - f) ln beta_tilde, f from the network (Nichol & Dhariwal 2021, eq. 15)."""

consistency = each_pair(lambda t, s: Step(t, lambda x, x0, z: s.alpha * x0 + s.sigma * z + 0 * x))
"""All the way to x0_hat, then noise anew (Song 2023, Algorithm 1)."""
