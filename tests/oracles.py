"""Exact answers: data whose denoiser has a closed form, and helpers to drive reference implementations."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.diffusion import exact
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import Level
from phosphene.diffusion.measurement import Measurement


def mixture() -> exact.Mixture:
    """Three Gaussians in the plane (as 1x1 pictures of two channels)."""
    means = torch.tensor([[-0.7, 0.2], [0.5, 0.6], [0.3, -0.8]]).reshape(3, 2, 1, 1)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    return exact.Mixture(means, torch.tensor([0.1, 0.2, 0.3]), weights.log())


def one_gaussian() -> exact.Mixture:
    return exact.gaussian(torch.full((1, 1, 1), 0.3), 0.4)


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def levels(alpha: list[float], sigma: list[float]) -> Level:
    return Level(torch.tensor(alpha, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64))


def slope(steps: list[int], errors: list[float]) -> float:
    """The order of convergence: minus the slope of ln error over ln steps."""
    x, y = torch.tensor(steps).double().log(), torch.tensor(errors).double().log()
    x, y = x - x.mean(), y - y.mean()
    return -float((x * y).sum() / (x * x).sum())


@dataclass(frozen=True)
class Correlated:
    """Data N(mean, covariance) of any covariance, over pictures flattened to n values; float64."""

    mean: Tensor
    covariance: Tensor

    def posterior(self, a: Tensor, noise: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """E[x0 | y] (b, n) and Cov[x0 | y] of y = a x0 + N(0, noise), y (b, m)."""
        gain = self.covariance @ a.mT @ torch.linalg.inv(a @ self.covariance @ a.mT + noise)
        return self.mean + (y - self.mean @ a.mT) @ gain.mT, self.covariance - gain @ a @ self.covariance

    def denoise(self, x: Tensor, level: Level, condition: Condition) -> Tensor:
        """E[x0 | x_t], a `Denoise`."""
        del condition
        alpha, sigma = level.alpha[:, None, None], level.sigma[:, None, None]
        one = torch.eye(len(self.mean), dtype=x.dtype)
        of_x = alpha**2 * self.covariance + sigma**2 * one
        far = x.flatten(1) - level.alpha[:, None] * self.mean
        near = (alpha * self.covariance @ torch.linalg.solve(of_x, far[..., None]))[..., 0]
        return (self.mean + near).reshape(x.shape)


def correlated(values: int) -> Correlated:
    """A Gaussian whose values all depend on each other, of deviations from 0.4 to 1.2."""
    factor = points(values, values, seed=5) / values**0.5
    own = 0.1 * torch.eye(values, dtype=torch.float64)
    return Correlated(points(values, seed=6) / 3, 0.6 * factor @ factor.mT + own)


def matrix(measurement: Measurement, shape: tuple[int, ...]) -> Tensor:
    """A, (values of y, values of x): what a measurement makes of the unit vectors."""
    values = math.prod(shape)
    return measurement.apply(torch.eye(values, dtype=torch.float64).reshape(values, *shape)).flatten(1).mT
