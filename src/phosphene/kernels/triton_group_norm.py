"""The fused group norm for CUDA, in Triton: a program for each row and group, in any order of memory.

Imported only where Triton is. Formulas and names are those of source/group_norm.cpp; sums are in float32.
"""

# pyright: reportArgumentType=false
# Triton takes plain numbers where it says constexpr.

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096  # values of a group that a program holds at a time


@triton.jit
def _forward(
    x, gamma, beta, scale, shift, y, mean, rstd,
    pixels, channels, groups, told, eps, row_step, channel_step, pixel_step,
    scaled: tl.constexpr, silu: tl.constexpr, width: tl.constexpr, lanes: tl.constexpr, run: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) // groups
    group = tl.program_id(0) % groups
    lane = tl.arange(0, lanes)
    channel = group * width + lane
    own = lane < width
    base = row.to(tl.int64) * row_step + channel * channel_step
    n = pixels * width

    total = tl.zeros([lanes], tl.float32)
    for start in range(0, pixels, run):
        p = start + tl.arange(0, run)
        at = base[None, :] + p[:, None].to(tl.int64) * pixel_step
        total += tl.sum(tl.load(x + at, (p < pixels)[:, None] & own[None, :], 0.0).to(tl.float32), 0)
    centre = tl.sum(total, 0) / n
    square = tl.zeros([lanes], tl.float32)
    for start in range(0, pixels, run):
        p = start + tl.arange(0, run)
        at = base[None, :] + p[:, None].to(tl.int64) * pixel_step
        inside = (p < pixels)[:, None] & own[None, :]
        away = tl.where(inside, tl.load(x + at, inside, 0.0).to(tl.float32) - centre, 0.0)
        square += tl.sum(away * away, 0)
    inverse = 1 / tl.sqrt(tl.sum(square, 0) / n + eps)
    tl.store(mean + tl.program_id(0), centre)
    tl.store(rstd + tl.program_id(0), inverse)

    a = inverse * tl.load(gamma + channel, own, 0.0)
    b = tl.load(beta + channel, own, 0.0) - centre * a
    if scaled:
        more = 1 + tl.load(scale + row * told + channel, own, 0.0)
        a, b = a * more, b * more + tl.load(shift + row * told + channel, own, 0.0)
    for start in range(0, pixels, run):
        p = start + tl.arange(0, run)
        at = base[None, :] + p[:, None].to(tl.int64) * pixel_step
        inside = (p < pixels)[:, None] & own[None, :]
        z = tl.load(x + at, inside, 0.0).to(tl.float32) * a[None, :] + b[None, :]
        if silu:
            z = z * tl.sigmoid(z)
        tl.store(y + at, z.to(y.dtype.element_ty), inside)


@triton.jit
def _dz(x_hat, dy, gain, offset, silu: tl.constexpr):
    if silu:
        z = x_hat * gain + offset
        lit = tl.sigmoid(z)
        dy = dy * lit * (1 + z * (1 - lit))
    return dy


@triton.jit
def _backward(
    dy, x, gamma, beta, scale, shift, mean, rstd, dx, sums,
    rows, pixels, channels, groups, told, row_step, channel_step, pixel_step,
    scaled: tl.constexpr, silu: tl.constexpr, width: tl.constexpr, lanes: tl.constexpr, run: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) // groups
    group = tl.program_id(0) % groups
    lane = tl.arange(0, lanes)
    channel = group * width + lane
    own = lane < width
    base = row.to(tl.int64) * row_step + channel * channel_step
    n = pixels * width
    centre = tl.load(mean + tl.program_id(0))
    inverse = tl.load(rstd + tl.program_id(0))
    gain = tl.load(gamma + channel, own, 0.0)
    offset = tl.load(beta + channel, own, 0.0)
    if scaled:
        more = 1 + tl.load(scale + row * told + channel, own, 0.0)
        gain, offset = gain * more, offset * more + tl.load(shift + row * told + channel, own, 0.0)

    total = tl.zeros([lanes], tl.float32)
    product = tl.zeros([lanes], tl.float32)
    for start in range(0, pixels, run):
        p = start + tl.arange(0, run)
        at = base[None, :] + p[:, None].to(tl.int64) * pixel_step
        inside = (p < pixels)[:, None] & own[None, :]
        x_hat = (tl.load(x + at, inside, 0.0).to(tl.float32) - centre) * inverse
        d = _dz(x_hat, tl.load(dy + at, inside, 0.0).to(tl.float32), gain[None, :], offset[None, :], silu)
        total += tl.sum(d, 0)
        product += tl.sum(d * x_hat, 0)
    tl.store(sums + row * channels + channel, total, own)
    tl.store(sums + (rows + row) * channels + channel, product, own)
    first = tl.sum(gain * total, 0) / n
    second = tl.sum(gain * product, 0) / n
    for start in range(0, pixels, run):
        p = start + tl.arange(0, run)
        at = base[None, :] + p[:, None].to(tl.int64) * pixel_step
        inside = (p < pixels)[:, None] & own[None, :]
        x_hat = (tl.load(x + at, inside, 0.0).to(tl.float32) - centre) * inverse
        d = _dz(x_hat, tl.load(dy + at, inside, 0.0).to(tl.float32), gain[None, :], offset[None, :], silu)
        answer = inverse * (gain[None, :] * d - first - x_hat * second)
        tl.store(dx + at, answer.to(dx.dtype.element_ty), inside)


def _steps(x: Tensor, groups: int) -> dict[str, int]:
    """Distances in memory and the size of a tile, for pictures whose pixels lie evenly apart."""
    width = x.shape[1] // groups
    lanes = triton.next_power_of_2(width)
    return {
        "row_step": x.stride(0),
        "channel_step": x.stride(1),
        "pixel_step": x.stride(3),
        "width": width,
        "lanes": lanes,
        "run": max(1, min(TILE // lanes, triton.next_power_of_2(x.shape[2] * x.shape[3]))),
    }


def forward(
    x: Tensor,
    groups: int,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
    scale: Tensor | None,
    shift: Tensor | None,
    told: int,
    silu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, and for each row and group the mean and 1 / deviation. x is dense."""
    rows, channels, height, width = x.shape
    y = torch.empty_like(x)
    mean, rstd = x.new_empty((2, rows, groups), dtype=torch.float32)
    _forward[(rows * groups,)](
        x, gamma, beta, gamma if scale is None else scale, gamma if shift is None else shift, y, mean, rstd,
        height * width, channels, groups, told, eps, scaled=scale is not None, silu=silu, **_steps(x, groups),
    )  # fmt: skip
    return y, mean, rstd


def backward(
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
    """dx, and per row and channel the sums of dz and dz x_hat, (2, b, c). dy lies in memory as x does."""
    rows, channels, height, width = x.shape
    groups = mean.shape[1]
    dx = torch.empty_like(x)
    sums = x.new_empty((2, rows, channels), dtype=torch.float32)
    _backward[(rows * groups,)](
        dy, x, gamma, beta, gamma if scale is None else scale, gamma if shift is None else shift, mean, rstd,
        dx, sums, rows, height * width, channels, groups, told, scaled=scale is not None, silu=silu,
        **_steps(x, groups),
    )  # fmt: skip
    return dx, sums
