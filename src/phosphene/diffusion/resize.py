"""The antialiased bicubic resize as a measurement of pictures of any size: no matrix is held.

`measurement.downsampling` is the same map, decomposed; its matrices grow with the picture, this one's memory
is that of a few pictures. Its inverse is found by conjugate gradients: A A' has no small eigenvalue, as
neighbours overlap little.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion.level import like
from phosphene.diffusion.restoration import conjugate_gradients

ITERATIONS = 30  # after which A A^+ y is y up to float32's rounding


@dataclass(frozen=True)
class Resize:
    """To 1 / factor; height and width must be its multiples."""

    factor: int

    def apply(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A x."""
        size = (x.shape[2] // self.factor, x.shape[3] // self.factor)
        return functional.interpolate(x, size, mode="bicubic", antialias=True)

    def adjoint(self, y: Float[Tensor, "b c2 h2 w2"]) -> Float[Tensor, "b c h w"]:
        """A' y: the gradient of <A x, y>."""
        shape = (*y.shape[:2], y.shape[2] * self.factor, y.shape[3] * self.factor)
        with torch.inference_mode(False), torch.enable_grad():
            x = torch.zeros(shape, dtype=y.dtype, device=y.device, requires_grad=True)
            (gradient,) = torch.autograd.grad(self.apply(x), x, y.clone())
        return gradient

    def fit(
        self, y: Float[Tensor, "b c2 h2 w2"], ridge: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """A' (A A' + ridge I)^-1 y."""

        def matrix(u: Tensor) -> Tensor:
            plain = self.apply(self.adjoint(u))
            return plain if ridge is None else plain + like(ridge, u) * u

        return self.adjoint(conjugate_gradients(matrix, y, ITERATIONS))
