"""3x3 convolutions of float32 pictures on CPUs by Winograd's F(4x4, 3x3): a quarter of the products.

Lavin & Gray 2016, "Fast algorithms for convolutional neural networks"; the formulas stand in winograd.cpp.
Its error is a few units in the last place of float32. `torch.nn.functional.conv2d` is the plain twin, and
what runs wherever this does not suit.
"""

import ctypes
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from phosphene.kernels import products
from phosphene.kernels.library import built, library, pointer

PLACES, LANES = 36, 8
WORKSPACE = 2 * 2**20  # bytes of transformed tiles at a time: they stay in the cache,
LEAST = 96  # but so many tiles at least, against which the weights are read once.
# Below these numbers of tiles the transformed weights, four times as large, cost more than is saved.
FEWEST, FEWEST_IN_TRAINING = 4, 32


def conv3x3(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "out c 3 3"],
    bias: Float[Tensor, " out"] | None,
    packed: Tensor | None = None,
) -> Float[Tensor, "b out h w"]:
    """Stride 1, a border of zeros. packed: `pack(weight)`, if the caller keeps it; not for training."""
    if not suits(x, weight, FEWEST if packed is not None else FEWEST_IN_TRAINING):
        if products.suits(x):
            return products.conv3x3(x, weight, bias)
        return functional.conv2d(x, weight, bias, padding=1)
    x = x.contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled():
        return _Convolution.apply(x, weight, bias)
    return _forward(x, pack(weight) if packed is None else packed, bias, len(weight))


def suits(x: Tensor, weight: Tensor, fewest: int) -> bool:
    """Whether it is faster and possible: float32 on a CPU, whole vectors of channels, enough tiles."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and weight.shape[0] % LANES == weight.shape[1] % LANES == 0
        and _tiles(x) >= fewest
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
    u = weight.new_empty(PLACES * operators.winograd_panels(outputs) * inputs)
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


def _forward(x: Tensor, packed: Tensor, bias: Tensor | None, outputs: int) -> Tensor:
    operators = built().library
    assert operators is not None
    rows, inputs, height, width = x.shape
    channels = inputs + operators.winograd_panels(outputs)
    chunk = _chunk(x, channels)
    y = torch.empty((rows, outputs, height, width), memory_format=torch.channels_last)
    work = torch.empty(PLACES * chunk * channels)
    operators.winograd_forward(
        pointer(x),
        pointer(packed),
        pointer(bias),
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


def _weight_gradient(x: Tensor, dy: Tensor, weight: Tensor, bias: bool) -> tuple[Tensor, Tensor | None]:
    operators = built().library
    assert operators is not None
    rows, inputs, height, width = x.shape
    outputs = len(weight)
    panels = operators.winograd_panels(outputs)
    chunk = _chunk(x, inputs + panels)
    dw = torch.empty_like(weight)
    db = weight.new_empty(outputs) if bias else None
    work = torch.empty(PLACES * (chunk * (inputs + panels) + inputs * panels))
    operators.winograd_weight_gradient(
        pointer(x),
        pointer(dy),
        pointer(dw),
        (ctypes.c_int64 * 4)(*dw.stride()),
        pointer(db),
        rows,
        height,
        width,
        inputs,
        outputs,
        pointer(work),
        chunk,
        torch.get_num_threads(),
    )
    return dw, db


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _forward(x, pack(weight), bias, len(weight))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dy = grad_outputs[0].contiguous(memory_format=torch.channels_last)
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            dx = _forward(dy, pack(weight, turned=True), None, x.shape[1])
        if ctx.needs_input_grad[1]:
            dw, db = _weight_gradient(x, dy, weight, ctx.needs_input_grad[2])
        elif ctx.needs_input_grad[2]:
            db = dy.sum((0, 2, 3))
        return dx, dw, db
