"""The layers that networks spend their time in: torch's own, weights and all, on faster operators."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phosphene.kernels.convolution import conv3x3, pack, suits
from phosphene.kernels.group_norm import group_norm
from phosphene.kernels.linear import linear


class Norm(nn.GroupNorm):
    """Group norm; then scale and shift by row, and SiLU, if asked for."""

    def forward(
        self,
        input: Float[Tensor, "b c h w"],
        scale: Float[Tensor, "b c"] | None = None,
        shift: Float[Tensor, "b c"] | None = None,
        silu: bool = False,
    ) -> Float[Tensor, "b c h w"]:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps, scale, shift, silu)


class Linear(nn.Linear):
    """A linear map of every position's channels."""

    def forward(self, input: Float[Tensor, "b n c"]) -> Float[Tensor, "b n out"]:
        return linear(input, self.weight, self.bias)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution, stride 1, a border of zeros. Outside of training it keeps its packed weights."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__(width, out, 3, padding=1)
        self._packed: tuple[tuple[int, int], Tensor] | None = None

    def forward(
        self,
        input: Float[Tensor, "b c h w"],
        told: Float[Tensor, "b out"] | None = None,
        rest: Float[Tensor, "b out h w"] | None = None,
    ) -> Float[Tensor, "b out h w"]:
        """told, rest: what is added to the answer, to all pixels of a row and to each."""
        return conv3x3(input, self.weight, self.bias, self._kept(input), told, rest)

    def _kept(self, x: Tensor) -> Tensor | None:
        """The packed weights, made again when the weights have changed."""
        if self.training or torch.is_grad_enabled() or not suits(x, self.weight):
            self._packed = None
            return None
        state = (self.weight.data_ptr(), self.weight._version)
        if self._packed is None or self._packed[0] != state:
            self._packed = (state, pack(self.weight))
        return self._packed[1]
