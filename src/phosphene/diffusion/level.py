"""How noisy a picture is: x_t = alpha x0 + sigma eps.

The pair (alpha, sigma) is a level. Only the ratio sigma / alpha says how much can still be seen; the
common scale of the two is a choice of units, and each schedule makes its own.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

T = TypeVar("T")


class Level(NamedTuple):
    """Levels of a batch of rows, or of the points of a sampling grid."""

    alpha: Float[Tensor, "*b"]
    sigma: Float[Tensor, "*b"]

    @property
    def ratio(self) -> Float[Tensor, "*b"]:
        """sigma / alpha, EDM's sigma: 0 is a clean picture, infinity pure noise."""
        return self.sigma / self.alpha

    @property
    def log_snr(self) -> Float[Tensor, "*b"]:
        """lambda = ln(alpha / sigma), half the logarithm of the signal-to-noise ratio."""
        return torch.log(self.alpha) - torch.log(self.sigma)

    @property
    def snr(self) -> Float[Tensor, "*b"]:
        """Signal-to-noise ratio alpha^2 / sigma^2."""
        return (self.alpha / self.sigma) ** 2

    def rows(self, index: int | slice | Tensor | tuple[Tensor, ...]) -> "Level":
        return Level(self.alpha[index], self.sigma[index])

    def to(self, device: torch.device | str) -> "Level":
        return Level(self.alpha.to(device), self.sigma.to(device))

    def twice(self) -> "Level":
        """Each row once more, all below: of two questions asked at once."""
        return Level(torch.cat([self.alpha] * 2), torch.cat([self.sigma] * 2))

    def of(self, function: Callable[["Level"], T]) -> T:
        """function(self), or what is already known of it (`levels.py`)."""
        return function(self)

    def add(self, x0: Float[Tensor, "b *shape"], eps: Float[Tensor, "b *shape"]) -> Float[Tensor, "b *shape"]:
        """x_t = alpha x0 + sigma eps, one level a row."""
        return like(self.alpha, x0) * x0 + like(self.sigma, x0) * eps


def like(value: Float[Tensor, " b"], x: Float[Tensor, "b *shape"]) -> Tensor:
    """One number a row, shaped, typed and placed to multiply the rows of x."""
    return value.to(x).reshape(-1, *[1] * (x.ndim - 1))
