"""SwiGLU's gate (Shazeer 2020): y = silu(a) b, where a and b are the halves of a position's channels.

`plain` defines it; on CPUs C++ does it in one pass.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from phosphene.kernels.library import built, pointer
from phosphene.kernels.positions import suits


def swiglu(x: Float[Tensor, "b n both"]) -> Float[Tensor, "b n width"]:
    """silu of the first half times the second."""
    if not suits(x, x.shape[2] // 2):
        return plain(x)
    if torch.is_grad_enabled():
        return _SwiGLU.apply(x)
    return _forward(x.contiguous())


def plain(x: Tensor) -> Tensor:
    """The definition, in torch's operators."""
    gate, value = x.chunk(2, dim=2)
    return functional.silu(gate) * value


def _forward(x: Tensor) -> Tensor:
    operators = built().library
    assert operators is not None
    rows, positions, width = x.shape
    y = x.new_empty(rows, positions, width // 2)
    half, threads = x.dtype == torch.bfloat16, torch.get_num_threads()
    operators.swiglu_forward(pointer(x), pointer(y), rows * positions, width // 2, half, threads)
    return y


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        return _forward(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        operators = built().library
        assert operators is not None
        dy, dx = grad_outputs[0].to(x.dtype).contiguous(), torch.empty_like(x)
        rows, positions, width = x.shape
        half, threads = x.dtype == torch.bfloat16, torch.get_num_threads()
        operators.swiglu_backward(
            pointer(dy), pointer(x), pointer(dx), rows * positions, width // 2, half, threads
        )
        return dx
