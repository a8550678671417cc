"""Linear maps of many rows of float32 on CPUs, as the 1x1 convolutions that they are.

torch gives matrix products to one library and convolutions to another, oneDNN, which knows more chips: on a
Zen 5 its 1x1 convolutions run at 500 GFLOP/s, the same product as a matrix at 220 (LOG.md). Of little work,
setting up the convolution is the most. `torch.nn.functional.linear` is the plain twin.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

FEWEST = 8 * 2**20  # multiplications


def linear(
    x: Float[Tensor, "b n c"], weight: Float[Tensor, "out c"], bias: Float[Tensor, " out"] | None
) -> Float[Tensor, "b n out"]:
    """x weight' + bias."""
    if not suits(x, weight):
        return functional.linear(x, weight, bias)
    pixels = x.transpose(1, 2).unsqueeze(2)  # a picture of one line: channels last, so nothing is copied
    return functional.conv2d(pixels, weight[:, :, None, None], bias).squeeze(2).transpose(1, 2)


def suits(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.shape[0] * x.shape[1] * weight.numel() >= FEWEST
    )
