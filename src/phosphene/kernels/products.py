"""3x3 convolutions of small pictures in bf16 on CPUs, whose weights' gradient is one product of matrices.

With the columns X (pixels x 9 channels, each pixel's neighbourhood) and dY (pixels x outputs): dW = dY' X.

On a chip with AMX, oneDNN's weight gradients of 8x8 and 4x4 pictures ran at a tenth to four tenths of the
rate of its forward; as a product of matrices a 4x4 one was six times as fast (LOG.md). The forward and the
gradient of the input are torch's.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

MOST = 64  # pixels of a picture


def suits(x: Tensor) -> bool:
    """In training under autocast to bf16 on a CPU, up to 8x8 pixels."""
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and x.shape[2] * x.shape[3] <= MOST
    )


def conv3x3(
    x: Float[Tensor, "b c h w"], weight: Float[Tensor, "out c 3 3"], bias: Float[Tensor, " out"] | None
) -> Float[Tensor, "b out h w"]:
    """Stride 1, a border of zeros, in bf16."""
    half = torch.bfloat16
    return _Convolution.apply(x.to(half), weight.to(half), None if bias is None else bias.to(half))


def weight_gradient(
    x: Float[Tensor, "b c h w"], dy: Float[Tensor, "b out h w"]
) -> Float[Tensor, "out c 3 3"]:
    """Of the sum of dy * conv3x3(x, w), by w."""
    rows, channels, height, width = x.shape
    wide = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    b, i, j, c = wide.stride()
    # A pixel's three by three neighbours are views of the padded picture: only the columns are copied.
    shape, stride = (rows, height, width, 3, 3, channels), (b, i, j, i, j, c)
    columns = wide.as_strided(shape, stride).reshape(rows * height * width, 9 * channels)
    product = dy.permute(1, 0, 2, 3).flatten(1) @ columns
    return product.view(-1, 3, 3, channels).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dy, needs = grad_outputs[0], ctx.needs_input_grad
        one = [1, 1]
        dx, _, db = torch.ops.aten.convolution_backward(
            dy, x, weight, [len(weight)], one, one, one, False, [0, 0], 1, [needs[0], False, needs[2]]
        )
        return dx, weight_gradient(x, dy) if needs[1] else None, db
