"""The denoiser: the one learned object, D(x_t, level, condition) = E[x0 | x_t].

A network becomes a denoiser through a prediction type; everything that changes what it says (guidance,
thresholding, restoration) is a function from denoisers to denoisers. Score, noise and velocity follow:

    eps_hat = (x - alpha D) / sigma          score = -eps_hat / sigma

A network that learned its variance (Nichol & Dhariwal 2021) says, behind the channels of D, the fraction f
with which each value's variance lies between the smallest and the largest that the posterior allows.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import Level, like
from phosphene.diffusion.prediction import Prediction

Network = Callable[[Tensor, Tensor, Condition], Tensor]
Denoise = Callable[[Float[Tensor, "b c *shape"], Level, Condition], Float[Tensor, "b c2 *shape"]]


def denoiser(network: Network, prediction: Prediction) -> Denoise:
    """E[x0 | x_t] from what the network says. Coefficients are float64 until they meet the picture."""

    def denoise(x: Tensor, level: Level, condition: Condition) -> Tensor:
        at = level.of(prediction)
        said = network(like(at.inp, x) * x, at.noise.to(x), condition)
        prediction_, rest = split(said, x)
        x0 = like(at.skip, x) * x + like(at.out, x) * prediction_
        # The network says f in [-1, 1] (Nichol & Dhariwal 2021, section 3.1, as in their code).
        return x0 if rest is None else torch.cat([x0, (rest + 1) / 2], dim=1)

    return denoise


def split(said: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """What is said of the picture, and the variance fraction behind it, if any."""
    channels = x.shape[1]
    return said[:, :channels], said[:, channels:] if said.shape[1] > channels else None


def change_x0(denoise: Denoise, change: Callable[[Tensor, Level], Tensor]) -> Denoise:
    """A denoiser whose x0_hat is changed after the fact; a learned variance passes through."""

    def changed(x: Tensor, level: Level, condition: Condition) -> Tensor:
        x0, fraction = split(denoise(x, level, condition), x)
        x0 = change(x0, level)
        return x0 if fraction is None else torch.cat([x0, fraction], dim=1)

    return changed
