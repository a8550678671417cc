"""Heads out of a transformer's projection: queries and keys normalised (Dehghani et al. 2023) and turned by
the angle of their place (Su et al. 2021), values as they are.

    z = gain x_hat,   x_hat = x / sqrt(mean(x^2) + eps),   y = (z1 cos p - z2 sin p, z1 sin p + z2 cos p)

z1 and z2 are the halves of a head. `plain` defines it; on CPUs C++ does it in one pass over the projection.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from phosphene.kernels.library import built, pointer
from phosphene.kernels.positions import suits, wide

Heads = Float[Tensor, "b heads n d"]


def turned(
    qkv: Float[Tensor, "b n three_widths"],
    q_gain: Float[Tensor, " d"],
    k_gain: Float[Tensor, " d"],
    angle: Float[Tensor, "n half_d"],
    eps: float,
) -> tuple[Heads, Heads, Heads]:
    """Queries, keys and values of every head; d = len(q_gain) divides the width."""
    if not suits(qkv, len(q_gain) // 2):
        return plain(qkv, q_gain, k_gain, angle, eps)
    if torch.is_grad_enabled():
        return _Turned.apply(qkv, q_gain, k_gain, angle, eps)
    return _forward(qkv.contiguous(), q_gain, k_gain, angle, eps)[0]


def plain(
    qkv: Tensor, q_gain: Tensor, k_gain: Tensor, angle: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The definition, in torch's operators."""
    d = len(q_gain)
    q, k, v = (part.unflatten(2, (-1, d)).transpose(1, 2) for part in qkv.chunk(3, dim=2))
    q, k = (
        turn(functional.rms_norm(part, (d,), gain.to(part.dtype), eps), angle)
        for part, gain in ((q, q_gain), (k, k_gain))
    )
    return q, k, v


def turn(x: Heads, angle: Float[Tensor, "n half_d"]) -> Heads:
    """x with its pairs (channel i and i + d / 2) turned by `angle`."""
    a, b = x.chunk(2, dim=3)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=3)


def _forward(
    qkv: Tensor, q_gain: Tensor, k_gain: Tensor, angle: Tensor, eps: float
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The heads, and 1 / root mean square of those that were normalised."""
    operators = built().library
    assert operators is not None
    rows, positions, width = qkv.shape
    width, d = width // 3, len(q_gain)
    cos, sin = angle.float().cos(), angle.float().sin()
    made, known = [], []
    for number, gain in enumerate((wide(q_gain), wide(k_gain))):
        y, rstd = qkv.new_empty(rows, positions, width // d, d), torch.empty(rows, positions, width // d)
        operators.turned_forward(
            _part(qkv, number),
            pointer(gain),
            pointer(cos),
            pointer(sin),
            pointer(y),
            pointer(rstd),
            rows,
            positions,
            width // d,
            d,
            3 * width,
            eps,
            qkv.dtype == torch.bfloat16,
            torch.get_num_threads(),
        )
        made.append(y.transpose(1, 2))
        known.append(rstd)
    v = qkv[:, :, 2 * width :].unflatten(2, (-1, d)).contiguous().transpose(1, 2)
    return (made[0], made[1], v), (known[0], known[1])


def _part(qkv: Tensor, number: int) -> int:
    """Where the first position's queries (0), keys (1) or values (2) begin."""
    return qkv.data_ptr() + number * (qkv.shape[2] // 3) * qkv.element_size()


class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, q_gain: Tensor, k_gain: Tensor, angle: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        qkv = qkv.contiguous()
        made, known = _forward(qkv, q_gain, k_gain, angle, eps)
        ctx.save_for_backward(qkv, q_gain, k_gain, angle, *known)
        return made

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        qkv, q_gain, k_gain, angle, *known = ctx.saved_tensors
        operators = built().library
        assert operators is not None
        rows, positions, width = qkv.shape
        width, d = width // 3, len(q_gain)
        cos, sin = angle.float().cos(), angle.float().sin()
        dqkv, of_gains = torch.empty_like(qkv), []
        for number, gain in enumerate((q_gain, k_gain)):
            dy = grad_outputs[number].to(qkv.dtype).transpose(1, 2).contiguous()
            sums, gain_ = torch.empty(rows, d), wide(gain)
            operators.turned_backward(
                pointer(dy),
                _part(qkv, number),
                pointer(gain_),
                pointer(cos),
                pointer(sin),
                pointer(known[number]),
                _part(dqkv, number),
                pointer(sums),
                rows,
                positions,
                width // d,
                d,
                3 * width,
                qkv.dtype == torch.bfloat16,
                torch.get_num_threads(),
            )
            of_gains.append(sums.sum(0).to(gain))
        dqkv[:, :, 2 * width :].unflatten(2, (-1, d)).copy_(grad_outputs[2].transpose(1, 2))
        return dqkv, *of_gains, None, None
