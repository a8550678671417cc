"""Convolutions and linear maps in bf16 on CPUs with AMX, whose units multiply matrices; sums are in float32.

Formulas and the order of weights stand in source/amx_convolution.cpp. The answer is in bf16, that of torch
in float32 on the same rounded numbers up to the order of the sum. A row's bits do not depend on its batch.
"""

import ctypes
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from phosphene.kernels.library import pointer, tiles


class Taps(NamedTuple):
    """Which pixels a convolution reads: side x side of them, from `border` above and to the left on; every
    other one with stride 2; of a picture made twice as large by repeating its pixels."""

    side: int
    stride: int = 1
    border: int = 0
    twice: bool = False


ONE = Taps(1)
SAME = Taps(3, border=1)
DOUBLED = Taps(3, border=1, twice=True)
HALF = Taps(3, stride=2, border=1)
HALF_BELOW = Taps(3, stride=2)


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether x is multiplied in bf16 on a CPU that has the units."""
    if x.device.type != "cpu" or not x.numel() or tiles() is None:
        return False
    if torch.is_autocast_enabled("cpu"):
        known = weight.dtype in (torch.float32, torch.bfloat16)
        return known and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == weight.dtype == torch.bfloat16


def convolution(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "out c side side"],
    bias: Float[Tensor, " out"] | None,
    taps: Taps,
    packed: Tensor | None = None,
    told: Float[Tensor, "b out"] | None = None,
    rest: Float[Tensor, "b out h2 w2"] | None = None,
) -> Float[Tensor, "b out h2 w2"]:
    """Of what suits; told and rest are added. packed: `pack(weight)`, if it is kept; not for training.

    With gradients: only stride 1, and not doubled.
    """
    x = x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    bias = None if bias is None else bias.float()
    told = None if told is None else told.float().contiguous()
    rest = None if rest is None else rest.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled():
        assert (taps.stride, taps.twice) == (1, False)
        return _Convolution.apply(x, weight, bias, taps, told, rest)
    return _forward(x, pack(weight) if packed is None else packed, bias, taps, told, rest, len(weight))


def linear(
    x: Float[Tensor, "b n c"],
    weight: Float[Tensor, "out c"] | Float[Tensor, "out c 1 1"],
    bias: Float[Tensor, " out"] | None,
    packed: Tensor | None = None,
    rest: Float[Tensor, "b n out"] | None = None,
) -> Float[Tensor, "b n out"]:
    """x weight' + bias + rest: the 1x1 convolution of a column of pixels."""
    weight = weight if weight.ndim == 4 else weight[:, :, None, None]
    rest = None if rest is None else _column(rest)
    y = convolution(_column(x), weight, bias, ONE, packed, rest=rest)
    return y.permute(0, 2, 3, 1).reshape(*x.shape[:2], -1)


def pack(weight: Tensor, turned: bool = False) -> Tensor:
    """Weights of two or four dimensions, float32 or bf16, in bf16 in the order in which they are read.

    turned: of the convolution that takes the gradient of the outputs to that of the inputs.
    """
    operators = tiles()
    assert operators is not None
    outputs, inputs = weight.shape[:2]
    side = weight.shape[2] if weight.ndim == 4 else 1
    pitch = [*weight.stride(), 0, 0][:4]
    if turned:
        outputs, inputs = inputs, outputs
        pitch[0], pitch[1] = pitch[1], pitch[0]
    packed = torch.empty(operators.amx_weights_size(inputs, outputs, side * side), dtype=torch.uint8)
    operators.amx_weights(
        pointer(weight),
        weight.dtype == torch.bfloat16,
        (ctypes.c_int64 * 4)(*pitch),
        turned,
        inputs,
        outputs,
        side,
        pointer(packed),
        torch.get_num_threads(),
    )
    return packed


def _column(x: Tensor) -> Tensor:
    """(b, n, c) as the pixels of one picture, one a line."""
    return x.reshape(1, -1, 1, x.shape[2]).permute(0, 3, 1, 2)


def _forward(
    x: Tensor,
    packed: Tensor,
    bias: Tensor | None,
    taps: Taps,
    told: Tensor | None,
    rest: Tensor | None,
    outputs: int,
) -> Tensor:
    operators = tiles()
    assert operators is not None
    rows, inputs, height, width = x.shape
    if taps.twice:
        height, width = 2 * height, 2 * width
    height, width = height // taps.stride, width // taps.stride
    shape, threads = (rows, height, width, inputs, outputs, *taps), torch.get_num_threads()
    y = torch.empty((rows, height, width, outputs), dtype=torch.bfloat16).permute(0, 3, 1, 2)
    work = torch.empty(operators.amx_work_size(*shape, threads), dtype=torch.uint8)
    operators.amx_convolution(
        pointer(x),
        pointer(packed),
        pointer(bias),
        pointer(told),
        pointer(rest),
        pointer(y),
        *shape,
        pointer(work),
        threads,
    )
    return y


def _weight_gradient(
    x: Tensor, dy: Tensor, weight: Tensor, sums: bool
) -> tuple[Tensor, Float[Tensor, "b out"] | None]:
    """That of the weights, and the sums of dy over the pixels of each row, float32."""
    operators = tiles()
    assert operators is not None
    rows, inputs, height, width = x.shape
    outputs, _, side, _ = weight.shape
    if side == 1:  # one product of matrices, which torch does faster, and rounds
        above = dy.permute(0, 2, 3, 1).flatten(0, 2)
        dw = above.T @ x.permute(0, 2, 3, 1).flatten(0, 2)
        return dw.to(weight.dtype).view_as(weight), pixel_sums(dy) if sums else None
    shape = (rows, height, width, inputs, outputs)
    dw = torch.empty_like(weight, dtype=torch.float32)
    told = x.new_empty((rows, outputs), dtype=torch.float32) if sums else None
    work = torch.empty(operators.amx_gradient_size(*shape), dtype=torch.uint8)
    operators.amx_weight_gradient(
        pointer(x),
        pointer(dy),
        pointer(dw),
        (ctypes.c_int64 * 4)(*dw.stride()),
        pointer(told),
        *shape,
        pointer(work),
        torch.get_num_threads(),
    )
    return dw.to(weight.dtype), told


def pixel_sums(dy: Float[Tensor, "b out h w"]) -> Float[Tensor, "b out"]:
    """Of each row, of bf16 in float32, channels last: what told and a bias get. torch makes all of dy float32
    before it sums, which takes 25 times as long (LOG.md)."""
    operators = tiles()
    assert operators is not None
    rows, outputs, height, width = dy.shape
    told = dy.new_empty((rows, outputs), dtype=torch.float32)
    operators.sums(pointer(dy), pointer(told), rows, height * width, outputs, torch.get_num_threads())
    return told


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        taps: Taps,
        told: Tensor | None,
        rest: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.taps = taps
        return _forward(x, pack(weight), bias, taps, told, rest, len(weight))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy = grad_outputs[0].to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        of_x, of_weight, of_bias, _, of_told, of_rest = ctx.needs_input_grad
        dx = dw = sums = None
        if of_x:
            dx = _forward(dy, pack(weight, turned=True), None, ctx.taps, None, None, x.shape[1])
        if of_weight:
            dw, sums = _weight_gradient(x, dy, weight, of_bias or of_told)
        elif of_bias or of_told:
            sums = pixel_sums(dy)
        db = sums.sum(0) if of_bias and sums is not None else None
        return dx, dw, db, None, sums if of_told else None, dy if of_rest else None
