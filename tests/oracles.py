"""Exact answers: data whose denoiser has a closed form, and helpers to drive reference implementations."""

import torch
from torch import Tensor

from phosphene.diffusion import exact
from phosphene.diffusion.level import Level


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
