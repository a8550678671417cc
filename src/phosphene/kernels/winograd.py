"""3x3 convolutions of float32 pictures on CPUs by Winograd's F(4x4, 3x3): a quarter of the products.

Lavin & Gray 2016, "Fast algorithms for convolutional neural networks"; the formulas stand in winograd.cpp.
Its error is a few units in the last place of float32. `torch.nn.functional.conv2d` is the plain twin.
"""

import ctypes
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from phosphene.kernels.library import built, library, pointer

PLACES, LANES = 36, 8
WORKSPACE = 2 * 2**20  # bytes of transformed tiles at a time: they stay in the cache,
LEAST = 96  # but so many tiles at least, against which the weights are read once.
FEWEST_IN_TRAINING = 16  # tiles: with fewer, transforming the weights at every step costs more than is saved


def convolution(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "out c 3 3"],
    bias: Float[Tensor, " out"] | None,
    packed: Tensor | None = None,
    told: Float[Tensor, "b out"] | None = None,
    rest: Float[Tensor, "b out h w"] | None = None,
) -> Float[Tensor, "b out h w"]:
    """`conv3x3` of what suits. packed: `pack(weight)`, if the caller keeps it; not for training."""
    x = x.contiguous(memory_format=torch.channels_last)
    told = None if told is None else told.float().contiguous()
    rest = None if rest is None else rest.float().contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled():
        return _Convolution.apply(x, weight, bias, told, rest)
    return _forward(x, pack(weight) if packed is None else packed, bias, told, rest, len(weight))


def suits(x: Tensor, weight: Tensor, kept: bool) -> bool:
    """Whether it is faster and possible: float32 on a CPU, whole vectors of channels, enough tiles.

    kept: the packed weights are kept between calls.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and weight.shape[0] % LANES == weight.shape[1] % LANES == 0
        and _tiles(x) >= (1 if kept else FEWEST_IN_TRAINING)
        and library() is not None
    )


def pack(weight: Float[Tensor, "out c 3 3"], turned: bool = False) -> Float[Tensor, " u"]:
    """G g G' of every 3x3 filter, in the order in which it is read.

    turned: of the convolution that takes the gradient of the outputs to that of the inputs.
    """
    operators = built().library
    assert operators is not None
    pitch = list(weight.stride())
    outputs, inputs = weight.shape[:2]
    if turned:
        outputs, inputs = inputs, outputs
        pitch[0], pitch[1] = pitch[1], pitch[0]
    u = weight.new_empty(operators.winograd_weights_size(inputs, outputs))
    operators.winograd_weights(
        pointer(weight),
        (ctypes.c_int64 * 4)(*pitch),
        turned,
        inputs,
        outputs,
        pointer(u),
        torch.get_num_threads(),
    )
    return u


def _tiles(x: Tensor) -> int:
    rows, _, height, width = x.shape
    return rows * -(-height // 4) * -(-width // 4)


def _chunk(x: Tensor, channels: int) -> int:
    """Tiles at a time, of which `channels` are kept in all."""
    most = WORKSPACE // (4 * PLACES * channels)
    return max(1, min(_tiles(x), max(LEAST, most // 6 * 6)))


def _forward(
    x: Tensor, packed: Tensor, bias: Tensor | None, told: Tensor | None, rest: Tensor | None, outputs: int
) -> Tensor:
    operators = built().library
    assert operators is not None
    rows, inputs, height, width = x.shape
    chunk = _chunk(x, inputs + outputs)
    y = torch.empty((rows, outputs, height, width), memory_format=torch.channels_last)
    work = torch.empty(operators.winograd_work_size(inputs, outputs, chunk, False))
    operators.winograd_forward(
        pointer(x),
        pointer(packed),
        pointer(bias),
        pointer(told),
        pointer(rest),
        pointer(y),
        rows,
        height,
        width,
        inputs,
        outputs,
        pointer(work),
        chunk,
        torch.get_num_threads(),
    )
    return y


def _weight_gradient(
    x: Tensor, dy: Tensor, weight: Tensor, sums: bool
) -> tuple[Tensor, Float[Tensor, "b out"] | None]:
    """That of the weights, and the sums of dy over the pixels of each row."""
    operators = built().library
    assert operators is not None
    rows, inputs, height, width = x.shape
    outputs = len(weight)
    chunk = _chunk(x, inputs + outputs)
    dw = torch.empty_like(weight)
    told = weight.new_empty(rows, operators.winograd_panels(outputs)) if sums else None
    work = torch.empty(operators.winograd_work_size(inputs, outputs, chunk, True))
    operators.winograd_weight_gradient(
        pointer(x),
        pointer(dy),
        pointer(dw),
        (ctypes.c_int64 * 4)(*dw.stride()),
        pointer(told),
        rows,
        height,
        width,
        inputs,
        outputs,
        pointer(work),
        chunk,
        torch.get_num_threads(),
    )
    return dw, None if told is None else told[:, :outputs]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, told: Tensor | None, rest: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _forward(x, pack(weight), bias, told, rest, len(weight))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy = grad_outputs[0].contiguous(memory_format=torch.channels_last)
        of_x, of_weight, of_bias, of_told, of_rest = ctx.needs_input_grad
        dx = dw = sums = None
        if of_x:
            dx = _forward(dy, pack(weight, turned=True), None, None, None, x.shape[1])
        if of_weight:
            dw, sums = _weight_gradient(x, dy, weight, of_bias or of_told)
        elif of_bias or of_told:
            sums = dy.sum((2, 3))
        db = sums.sum(0) if of_bias and sums is not None else None
        return dx, dw, db, sums if of_told else None, dy if of_rest else None
