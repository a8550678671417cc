"""The layers that networks spend their time in: torch's own, weights and all, on faster operators."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phosphene.kernels.convolution import Pack, conv1x1, conv3x3, conv_half, packer
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


class Packing(nn.Module):
    """A layer that outside of training keeps its weight in the order in which its operator reads it."""

    weight: Tensor
    halves = False  # whether it reads every other pixel
    _packed: tuple[tuple[Pack, int, int], Tensor] | None = None

    def packed(self, x: Tensor) -> Tensor | None:
        """The packed weight for pictures like x, made again when the weight has changed."""
        kept = not (self.training or torch.is_grad_enabled() or self.weight.is_inference())
        pack = packer(x, self.weight, 1 + self.halves) if kept else None
        if pack is None:
            self._packed = None
            return None
        state = (pack, self.weight.data_ptr(), self.weight._version)
        if self._packed is None or self._packed[0] != state:
            self._packed = (state, pack(self.weight))
        return self._packed[1]


class Linear(Packing, nn.Linear):
    """A linear map of every position's channels."""

    def forward(
        self, input: Float[Tensor, "b n c"], rest: Float[Tensor, "b n out"] | None = None
    ) -> Float[Tensor, "b n out"]:
        """rest: what is added to the answer."""
        return linear(input, self.weight, self.bias, self.packed(input), rest)


class Conv3x3(Packing, nn.Conv2d):
    """A 3x3 convolution, stride 1, a border of zeros."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__(width, out, 3, padding=1)

    def forward(
        self,
        input: Float[Tensor, "b c h w"],
        told: Float[Tensor, "b out"] | None = None,
        rest: Float[Tensor, "b out h2 w2"] | None = None,
        twice: bool = False,
    ) -> Float[Tensor, "b out h2 w2"]:
        """told, rest: what is added to the answer, to all pixels of a row and to each. twice: of a picture
        that is first made twice as large, every pixel repeated."""
        return conv3x3(input, self.weight, self.bias, self.packed(input), told, rest, twice)


class Conv1x1(Packing, nn.Conv2d):
    """The same linear map at every pixel."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__(width, out, 1)

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h w"]:
        return conv1x1(input, self.weight, self.bias, self.packed(input))


class ConvHalf(Packing, nn.Conv2d):
    """A 3x3 convolution with stride 2. The border of zeros is all around, or only below and to the right."""

    halves = True

    def __init__(self, width: int, out: int, below: bool) -> None:
        super().__init__(width, out, 3, stride=2, padding=1)
        self.below = below

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h2 w2"]:
        return conv_half(input, self.weight, self.bias, self.below, self.packed(input))
