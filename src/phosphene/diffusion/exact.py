"""Denoisers in closed form: data whose E[x0 | x_t] needs no network. Oracles for tests, and for teaching.

Gaussian mixture, weights w_i, means m_i, deviations s_i:
    p(x_t) = sum_i w_i N(alpha m_i, v_i I),  v_i = alpha^2 s_i^2 + sigma^2
    E[x0 | x_t] = sum_i p(i | x_t) (m_i + alpha s_i^2 / v_i (x_t - alpha m_i))
A finite data set is the mixture of its pictures with s_i = 0: the ideal denoiser of a training set, which
a network that has memorised would equal.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import Level, like


@dataclass(frozen=True)
class Mixture:
    """Isotropic Gaussians. log_weights sums to 1 in probabilities; a deviation may be 0."""

    means: Float[Tensor, "k *shape"]
    deviations: Float[Tensor, " k"]
    log_weights: Float[Tensor, " k"]

    def denoise(self, x: Float[Tensor, "b *shape"], level: Level, condition: Condition) -> Tensor:
        """E[x0 | x_t], float64 inside. A `Denoise`; the condition asks nothing of a mixture."""
        del condition
        flat, means = x.double().flatten(1), self.means.double().flatten(1)
        responsibility = torch.softmax(self._log_joint(flat, level), dim=1)
        alpha, sigma = level.alpha[:, None], level.sigma[:, None]
        variance = self.deviations.double() ** 2
        shrink = alpha * variance / (alpha**2 * variance + sigma**2)
        toward_means = (responsibility * (1 - shrink * alpha)) @ means
        toward_x = (responsibility * shrink).sum(1, keepdim=True) * flat
        return (toward_means + toward_x).reshape(x.shape).to(x.dtype)

    def log_density(self, x: Float[Tensor, "b *shape"], level: Level) -> Float[Tensor, " b"]:
        """ln p(x_t), in nats."""
        return torch.logsumexp(self._log_joint(x.double().flatten(1), level), dim=1)

    def _log_joint(self, x: Tensor, level: Level) -> Tensor:
        """ln w_i N(x; alpha m_i, v_i I), a column a component."""
        means = self.means.double().flatten(1)
        alpha, sigma = level.alpha[:, None], level.sigma[:, None]
        v = (alpha * self.deviations.double()) ** 2 + sigma**2
        square = (x**2).sum(1, keepdim=True) - 2 * alpha * (x @ means.T) + alpha**2 * (means**2).sum(1)
        return self.log_weights - square / (2 * v) - x.shape[1] / 2 * torch.log(2 * math.pi * v)


def gaussian(mean: Float[Tensor, "*shape"], deviation: float) -> Mixture:
    """One Gaussian."""
    return Mixture(mean[None], torch.tensor([deviation]), torch.zeros(1))


def finite(pictures: Float[Tensor, "k *shape"]) -> Mixture:
    """Every picture of a data set equally often, and nothing else."""
    count = len(pictures)
    return Mixture(pictures, torch.zeros(count), torch.full((count,), -math.log(count)))


def gaussian_flow(x: Tensor, mean: Tensor, deviation: float, t: Level, s: Level) -> Tensor:
    """Where the probability-flow ODE of one Gaussian takes x from level t to level s, exactly."""

    def std(at: Level) -> Tensor:
        return torch.hypot(at.alpha * deviation, at.sigma)

    return like(s.alpha, x) * mean + like(std(s) / std(t), x) * (x - like(t.alpha, x) * mean)
