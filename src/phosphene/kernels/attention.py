"""Attention in training in bf16 on CPUs, whose gradient is five products of matrices.

    P = softmax(q k' / sqrt(d) + mask),  o = P v
    dv = P' do,   dS = P * (do v' - rowsum(do * o)),   dq = dS k / sqrt(d),   dk = dS' q / sqrt(d)

The rowsum is that of P * dP (Dao et al. 2022, appendix B.2), P is computed again. torch's own gradient in
bf16 took 7 to 28 times as long as its forward pass (LOG.md); where scores are many it is the better one, and
its forward always.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

MOST = 2**18  # scores a head: above, keeping all of them at once is slower than torch's blocks


def attend(
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    v: Float[Tensor, "b heads m d"],
    mask: Bool[Tensor, "b #heads #n m"] | None = None,
) -> Float[Tensor, "b heads n d"]:
    """softmax(q k' / sqrt(d)) v over those that count under the mask, of which every row has one."""
    if suits(q, k):
        return _Attention.apply(q, k, v, mask)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def suits(q: Tensor, k: Tensor) -> bool:
    """In training in bf16 on a CPU, up to MOST scores."""
    return (
        q.device.type == "cpu"
        and q.dtype == torch.bfloat16
        and torch.is_grad_enabled()
        and q.shape[2] * k.shape[2] <= MOST
    )


def gradients(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, o: Tensor, do: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the sum of do * o, by q, k and v."""
    scale = 1 / math.sqrt(q.shape[3])
    q, k, v, o, do = (t.contiguous() for t in (q, k, v, o, do))
    scores = (q * scale) @ k.transpose(2, 3)
    if mask is not None:
        scores = scores.masked_fill_(~mask, -torch.inf)
    p = scores.softmax(3)
    dv = p.transpose(2, 3) @ do
    ds = (do @ v.transpose(2, 3)).sub_((do * o).sum(3, keepdim=True)).mul_(p)
    return (ds @ k).mul_(scale), (ds.transpose(2, 3) @ q).mul_(scale), dv


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        o = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        ctx.save_for_backward(q, k, v, mask, o)
        return o

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        q, k, v, mask, o = ctx.saved_tensors
        return *gradients(q, k, v, mask, o, grad_outputs[0]), None
