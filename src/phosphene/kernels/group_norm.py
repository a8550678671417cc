"""Group norm, then scale and shift by row, then SiLU: what stands before every convolution of a U-Net.

    y = act((gamma x_hat + beta) (1 + scale) + shift),      x_hat = (x - mean) / sqrt(variance + eps)

mean and variance over the pixels and channels of a group (Wu & He 2018). Three ways to the same numbers:
`plain`, which defines it; C++ for CPUs, channels last; Triton for CUDA.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.compiler import is_compiling
from torch.nn import functional

from phosphene.kernels.library import built, library, pointer

LANES = 8  # channels a vector


def group_norm(
    x: Float[Tensor, "b c h w"],
    groups: int,
    gamma: Float[Tensor, " c"],
    beta: Float[Tensor, " c"],
    eps: float,
    scale: Float[Tensor, "b c"] | None = None,
    shift: Float[Tensor, "b c"] | None = None,
    silu: bool = False,
) -> Float[Tensor, "b c h w"]:
    """Float32 sums whatever x is in; the answer is in x's precision. scale and shift come together."""
    assert (scale is None) == (shift is None)
    if _suits(x, gamma):
        if torch.is_grad_enabled():
            return _GroupNorm.apply(x, groups, gamma, beta, eps, scale, shift, silu)
        return _forward(x, groups, gamma, beta, eps, scale, shift, silu)[0]
    return plain(x, groups, gamma, beta, eps, scale, shift, silu)


def plain(
    x: Tensor,
    groups: int,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    silu: bool = False,
) -> Tensor:
    """The definition, in torch's operators."""
    wide = torch.promote_types(x.dtype, torch.float32)
    y = functional.group_norm(x.to(wide), groups, gamma.to(wide), beta.to(wide), eps)
    if scale is not None and shift is not None:
        y = y * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
    return (functional.silu(y) if silu else y).to(x.dtype)


def _suits(x: Tensor, gamma: Tensor) -> bool:
    """Whether an operator of ours takes it: on a CPU, whole vectors of channels, channels last; on CUDA any
    dense order of memory."""
    if gamma.dtype != torch.float32 or not x.numel() or x.is_meta:
        return False
    last = x.is_contiguous(memory_format=torch.channels_last)
    if x.device.type == "cpu":
        known = x.dtype in (torch.float32, torch.bfloat16)
        return known and last and x.shape[1] % LANES == 0 and library() is not None
    known = x.dtype in (torch.float32, torch.bfloat16, torch.float16)
    # A compiler sees through the plain form and fuses more than this.
    return known and (last or x.is_contiguous()) and triton_operators() is not None and not is_compiling()


@cache
def triton_operators() -> ModuleType | None:
    """The Triton kernels, where Triton is installed."""
    if find_spec("triton") is None:
        return None
    return import_module("phosphene.kernels.triton_group_norm")


def _told(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor | None, Tensor | None, int]:
    """scale and shift in float32, and the distance between their rows."""
    if scale is None or shift is None:
        return None, None, 0
    scale, shift = scale.float(), shift.float()
    if scale.stride() != shift.stride() or scale.stride(1) != 1:
        scale, shift = scale.contiguous(), shift.contiguous()
    return scale, shift, scale.stride(0)


def _forward(
    x: Tensor,
    groups: int,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
    scale: Tensor | None,
    shift: Tensor | None,
    silu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, and for each row and group the mean and 1 / deviation."""
    rows, channels, height, width = x.shape
    scale, shift, told = _told(x, scale, shift)
    if x.device.type != "cpu":
        fused = triton_operators()
        assert fused is not None
        return fused.forward(x, groups, gamma, beta, eps, scale, shift, told, silu)
    operators = built().library
    assert operators is not None
    y = torch.empty_like(x)
    mean, rstd = x.new_empty((2, rows, groups), dtype=torch.float32)
    operators.group_norm_forward(
        pointer(x),
        pointer(gamma),
        pointer(beta),
        pointer(scale),
        pointer(shift),
        told,
        pointer(y),
        pointer(mean),
        pointer(rstd),
        rows,
        height * width,
        channels,
        groups,
        eps,
        silu,
        x.dtype == torch.bfloat16,
        torch.get_num_threads(),
    )
    return y, mean, rstd


def _backward(
    dy: Tensor,
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    told: int,
    mean: Tensor,
    rstd: Tensor,
    silu: bool,
) -> tuple[Tensor, Tensor]:
    """dx, and the sums over the pixels of dz and of dz x_hat, (2, b, c)."""
    if x.device.type != "cpu":
        fused = triton_operators()
        assert fused is not None
        return fused.backward(dy, x, gamma, beta, scale, shift, told, mean, rstd, silu)
    operators = built().library
    assert operators is not None
    rows, channels, height, width = x.shape
    dx = torch.empty_like(x)
    sums = x.new_empty((2, rows, channels), dtype=torch.float32)
    operators.group_norm_backward(
        pointer(dy),
        pointer(x),
        pointer(gamma),
        pointer(beta),
        pointer(scale),
        pointer(shift),
        told,
        pointer(mean),
        pointer(rstd),
        pointer(dx),
        pointer(sums),
        rows,
        height * width,
        channels,
        mean.shape[1],
        silu,
        x.dtype == torch.bfloat16,
        torch.get_num_threads(),
    )
    return dx, sums


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        groups: int,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        scale: Tensor | None,
        shift: Tensor | None,
        silu: bool,
    ) -> Tensor:
        y, mean, rstd = _forward(x, groups, gamma, beta, eps, scale, shift, silu)
        ctx.save_for_backward(x, gamma, beta, scale, shift, mean, rstd)
        ctx.silu = silu
        return y

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, gamma, beta, scale, shift, mean, rstd = ctx.saved_tensors
        (dy,) = grad_outputs
        scale_, shift_, told = _told(x, scale, shift)
        last = x.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        dy = dy.to(x.dtype).contiguous(memory_format=layout)
        dx, sums = _backward(dy, x, gamma, beta, scale_, shift_, told, mean, rstd, ctx.silu)
        total, product = sums
        if scale_ is None:
            return dx, None, product.sum(0), total.sum(0), None, None, None, None
        more = 1 + scale_
        return (
            dx,
            None,
            (more * product).sum(0),
            (more * total).sum(0),
            None,
            (gamma * product + beta * total).to(scale),
            total.to(shift),
            None,
        )
