"""Linear maps of many rows of float32 on CPUs, as the 1x1 convolutions that they are.

torch gives matrix products to one library and convolutions to another, oneDNN, which knows more chips: on a
Zen 5 its 1x1 convolutions run at 500 GFLOP/s, the same product as a matrix at 220 (LOG.md). Of little work,
setting up the convolution is the most. `torch.nn.functional.linear` is the plain twin.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from phosphene.kernels import amx

FEWEST = 8 * 2**20  # multiplications


def linear(
    x: Float[Tensor, "b n c"],
    weight: Float[Tensor, "out c"],
    bias: Float[Tensor, " out"] | None,
    packed: Tensor | None = None,
    rest: Float[Tensor, "b n out"] | None = None,
) -> Float[Tensor, "b n out"]:
    """x weight' + bias + rest. packed: as `convolution.packer` packs, if the caller keeps it."""
    if amx.suits(x, weight):
        return amx.linear(x, weight, bias, packed, rest)
    y = _linear(x, weight, bias)
    return y if rest is None else rest + y


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not suits(x, weight):
        return functional.linear(x, weight, bias)
    # One line of a picture whose channels come last. Written as a view, so that no stride is left to guess.
    line = x.reshape(1, 1, -1, x.shape[2]).permute(0, 3, 1, 2)
    answer = functional.conv2d(line, weight[:, :, None, None], bias)
    return answer.permute(0, 2, 3, 1).reshape(*x.shape[:2], -1)


def suits(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.shape[0] * x.shape[1] * weight.numel() >= FEWEST
    )
