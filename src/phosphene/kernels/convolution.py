"""Convolutions of pictures, by whichever operator suits: in bf16 by AMX, in float32 by Winograd's, torch's.

What is added to the answer, and doubling of the picture that is read, cost no passes of their own where an
operator of ours does it. torch's operators are the plain twins.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from phosphene.kernels import amx, winograd
from phosphene.kernels.amx import DOUBLED, HALF, HALF_BELOW, SAME

Pack = Callable[[Tensor], Tensor]


def conv3x3(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "out c 3 3"],
    bias: Float[Tensor, " out"] | None,
    packed: Tensor | None = None,
    told: Float[Tensor, "b out"] | None = None,
    rest: Float[Tensor, "b out h2 w2"] | None = None,
    twice: bool = False,
) -> Float[Tensor, "b out h2 w2"]:
    """Stride 1, a border of zeros. told is added to every pixel of a row, and rest.

    packed: what `packer` makes of the weight, if the caller keeps it; not for training.
    twice: every pixel of x is repeated first, to twice the height and width.
    """
    if amx.suits(x, weight) and not (twice and torch.is_grad_enabled()):
        return amx.convolution(x, weight, bias, DOUBLED if twice else SAME, packed, told, rest)
    x = functional.interpolate(x, scale_factor=2, mode="nearest") if twice else x
    if amx.suits(x, weight):
        return amx.convolution(x, weight, bias, SAME, packed, told, rest)
    if winograd.suits(x, weight, packed is not None):
        return winograd.convolution(x, weight, bias, packed, told, rest)
    y = functional.conv2d(x, weight, bias, padding=1)
    y = y if told is None else y + told[:, :, None, None]
    return y if rest is None else rest + y


def conv1x1(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "out c 1 1"],
    bias: Float[Tensor, " out"] | None,
    packed: Tensor | None = None,
) -> Float[Tensor, "b out h w"]:
    """The same linear map at every pixel."""
    if not amx.suits(x, weight):
        return functional.conv2d(x, weight, bias)
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
    y = amx.linear(pixels, weight, bias, packed)
    return y.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def conv_half(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "out c 3 3"],
    bias: Float[Tensor, " out"] | None,
    below: bool,
    packed: Tensor | None = None,
) -> Float[Tensor, "b out h2 w2"]:
    """3x3 with stride 2 and a border of zeros: all around, or only below and to the right."""
    if amx.suits(x, weight) and not torch.is_grad_enabled() and x.shape[2] % 2 == x.shape[3] % 2 == 0:
        return amx.convolution(x, weight, bias, HALF_BELOW if below else HALF, packed)
    x = functional.pad(x, (0, 1, 0, 1)) if below else x
    return functional.conv2d(x, weight, bias, stride=2, padding=0 if below else 1)


def packer(x: Tensor, weight: Tensor, stride: int = 1) -> Pack | None:
    """How the weight of a convolution or a linear map of x is packed outside of training; None: it is not."""
    if amx.suits(x, weight):
        return amx.pack
    whole = stride == 1 and weight.shape[2:] == (3, 3) and winograd.suits(x, weight, kept=True)
    return winograd.pack if whole else None
