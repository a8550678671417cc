"""RMS norm of positions (Zhang & Sennrich 2019), then scale and shift by row, as transformers read them.

    y = x_hat gain (1 + scale) + shift,   x_hat = x / sqrt(mean(x^2) + eps)

`plain` defines it; on CPUs C++ does it in one pass, where torch takes one for each operation.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from phosphene.kernels.library import built, pointer
from phosphene.kernels.positions import suits, wide


def rms_norm(
    x: Float[Tensor, "b n width"],
    gain: Float[Tensor, " width"] | None,
    eps: float,
    scale: Float[Tensor, "b width"] | None = None,
    shift: Float[Tensor, "b width"] | None = None,
) -> Float[Tensor, "b n width"]:
    """Float32 sums whatever x is in; the answer is in x's precision. What is absent is 1, 0 and 0."""
    if not suits(x, x.shape[2]):
        return plain(x, gain, eps, scale, shift)
    if torch.is_grad_enabled():
        return _RMSNorm.apply(x, gain, eps, scale, shift)
    return _forward(x.contiguous(), gain, eps, scale, shift)[0]


def plain(
    x: Tensor, gain: Tensor | None, eps: float, scale: Tensor | None = None, shift: Tensor | None = None
) -> Tensor:
    """The definition, in torch's operators."""
    # A gain in the precision of x, without which autocast would leave the fused kernel of GPUs.
    y = functional.rms_norm(x, x.shape[2:], None if gain is None else gain.to(x.dtype), eps)
    y = y if scale is None else y * (1 + scale[:, None, :].to(x.dtype))
    return y if shift is None else y + shift[:, None, :].to(x.dtype)


def _forward(
    x: Tensor, gain: Tensor | None, eps: float, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor]:
    """y, and 1 / root mean square of each position."""
    operators = built().library
    assert operators is not None
    rows, positions, width = x.shape
    y = torch.empty_like(x)
    rstd = torch.empty(rows, positions)
    gain, scale, shift = wide(gain), wide(scale), wide(shift)
    operators.rms_norm_forward(
        pointer(x),
        pointer(gain),
        pointer(scale),
        pointer(shift),
        pointer(y),
        pointer(rstd),
        rows,
        positions,
        width,
        eps,
        x.dtype == torch.bfloat16,
        torch.get_num_threads(),
    )
    return y, rstd


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor | None, eps: float, scale: Tensor | None, shift: Tensor | None
    ) -> Tensor:
        x = x.contiguous()
        y, rstd = _forward(x, gain, eps, scale, shift)
        ctx.save_for_backward(x, gain, scale, shift, rstd)
        return y

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, gain, scale, shift, rstd = ctx.saved_tensors
        operators = built().library
        assert operators is not None
        rows, positions, width = x.shape
        dy = grad_outputs[0].to(x.dtype).contiguous()
        dx, sums = torch.empty_like(x), torch.empty(2, rows, width)
        gain_, scale_ = wide(gain), wide(scale)
        operators.rms_norm_backward(
            pointer(dy),
            pointer(x),
            pointer(gain_),
            pointer(scale_),
            pointer(rstd),
            pointer(dx),
            pointer(sums),
            rows,
            positions,
            width,
            x.dtype == torch.bfloat16,
            torch.get_num_threads(),
        )
        total, product = sums
        of_gain = product if scale_ is None else product * (1 + scale_)
        of_scale = product if gain_ is None else product * gain_
        return (
            dx,
            None if gain is None else of_gain.sum(0).to(gain),
            None,
            None if scale is None else of_scale.to(scale),
            None if shift is None else total.to(shift),
        )
