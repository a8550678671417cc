"""Bits per dimension: how well a diffusion model compresses pictures, in two ways.

A picture of d bytes k has values x = 2 (k + 1/2) / 256 - 1, bins of width 1/128.

ELBO (Kingma 2021, "Variational diffusion models", equations 11 to 14), with SNR = alpha^2 / sigma^2 and x_i
at the levels of a grid from nearly clean (i = 0) to noise (i = n):

    -ln p(x) <= KL(q(x_n | x) | N(0, sigma_n^2))                                           prior
              + sum_i (SNR_{i-1} - SNR_i) / 2 E |x - D(x_i)|^2                       diffusion
              - E ln p(x | x_0),  p(k | x_0) ~ exp(-(x_0 / alpha_0 - x(k))^2 SNR_0 / 2)  decoder

Probability flow (Song 2021, section 4.3): with y = x_t / alpha and r = sigma / alpha,

    dy/dr = (y - D) / r,     ln p(y_0) = ln N(y_T; 0, r_T^2) + int div (y - D) / r dr

The flow gives the density of continuous values; uniform noise within the bins makes it a bound for bytes.
It is solved by SciPy's RK45 to a stated tolerance. The divergence is exact (one derivative a dimension) or,
above a number of dimensions, Hutchinson's unbiased estimate.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from scipy.integrate import solve_ivp
from torch import Tensor

from phosphene.diffusion import noise
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise, split
from phosphene.diffusion.level import Level
from phosphene.diffusion.noise import Key
from phosphene.diffusion.schedule import exploding
from phosphene.pictures.pixels import to_values

BIN = 1 / 128
VALUES = to_values(torch.arange(256, dtype=torch.uint8)).double()
EXACT_BELOW = 256  # dimensions up to which the divergence is computed exactly


class Bound(NamedTuple):
    """The three parts of the ELBO, in bits per dimension, a row a picture."""

    prior: Float64[Tensor, " b"]
    diffusion: Float64[Tensor, " b"]
    decoder: Float64[Tensor, " b"]

    @property
    def total(self) -> Float64[Tensor, " b"]:
        return self.prior + self.diffusion + self.decoder


def elbo(
    denoise: Denoise, pictures: UInt8[Tensor, "b c h w"], grid: Level, condition: Condition, key: Key
) -> Bound:
    """An upper bound on bits per dimension, from one draw of noise a level.

    grid: levels from noise to nearly clean (a sampling grid without its clean end); more are tighter.
    """
    x, grid = to_values(pictures), grid.to(pictures.device)
    scale = 1 / (math.log(2) * x[0].numel())
    cleanest = grid.rows(-1)
    eps = noise.normal(key, len(grid.alpha), tuple(x.shape[1:])).to(x)
    seen = x.double() + cleanest.ratio * eps.double()
    first = grid.rows(0).snr
    # KL(N(alpha x, sigma^2) | N(0, sigma^2)) = SNR |x|^2 / 2.
    prior = first / 2 * (x.double() ** 2).flatten(1).sum(1)
    return Bound(
        prior * scale,
        diffusion_term(denoise, x, grid, condition, key) * scale,
        decoder_term(seen, pictures, cleanest) * scale,
    )


def diffusion_term(
    denoise: Denoise, x: Float[Tensor, "b *shape"], grid: Level, condition: Condition, key: Key
) -> Float64[Tensor, " b"]:
    """sum (SNR_{i-1} - SNR_i) / 2 |x - D(x_i)|^2 in nats, over the steps of a grid that starts with noise."""
    grid = grid.to(x.device)
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for i in range(len(grid.alpha) - 1):
        level = grid.rows(torch.full((len(x),), i, device=x.device))
        noisy = level.add(x, noise.normal(key, i, tuple(x.shape[1:])).to(x))
        said, _ = split(denoise(noisy, level, condition), noisy)
        gain = grid.rows(i + 1).snr - grid.rows(i).snr
        total += gain / 2 * ((x - said).double() ** 2).flatten(1).sum(1)
    return total


def decoder_term(
    seen: Float64[Tensor, "b c h w"], pictures: UInt8[Tensor, "b c h w"], level: Level
) -> Float64[Tensor, " b"]:
    """-ln p(k | x_0) in nats: which byte each slightly noisy value x_0 / alpha_0 was, all equally likely."""
    nats, every = [], VALUES.to(seen.device)
    seen, k = seen.flatten(1)[:, :, None], pictures.flatten(1).long()[:, :, None]
    for row in range(len(seen)):
        logits = -((seen[row] - every) ** 2) * level.snr / 2
        nats.append((torch.logsumexp(logits, 1) - logits.gather(1, k[row])[:, 0]).sum())
    return torch.stack(nats)


class Flow(NamedTuple):
    """-log2 p per dimension of each row, the tolerance it was solved to, and network evaluations."""

    bits: Float64[Tensor, " b"]
    tolerance: float
    evaluations: int


def probability_flow(
    denoise: Denoise,
    values: Float[Tensor, "b *shape"],
    condition: Condition,
    key: Key,
    span: tuple[float, float] = (2e-3, 80.0),
    tolerance: float = 1e-5,
    exact_below: int = EXACT_BELOW,
) -> Flow:
    """The density of continuous values under the probability flow between two ratios sigma / alpha.

    tolerance: relative and absolute, of RK45's steps. exact_below: dimensions up to which the divergence is
    exact. In s = ln r: dy/ds = y - D, dln p/ds = -div(y - D).
    """
    shape, rows, dimensions = values.shape, len(values), values[0].numel()
    divergence = exact_divergence if dimensions <= exact_below else hutchinson(key, tuple(shape[1:]))
    calls = 0

    def rate(s: float, state: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        y = torch.from_numpy(state[: rows * dimensions].reshape(shape)).to(values).requires_grad_()
        level = exploding(torch.full((rows,), math.exp(s), dtype=torch.float64, device=y.device))
        with torch.enable_grad():
            x0, _ = split(denoise(y, level, condition), y)
            slope = y - x0
        spread = divergence(slope, y)
        return np.concatenate([on_host(slope.detach()), on_host(spread)])

    start, end = (math.log(ratio) for ratio in span)
    begin = np.concatenate([on_host(values), np.zeros(rows)])
    solved = solve_ivp(rate, (start, end), begin, method="RK45", rtol=tolerance, atol=tolerance)
    assert solved.success, solved.message
    last = torch.from_numpy(solved.y[:, -1])
    y, gained = last[: rows * dimensions].reshape(rows, dimensions), last[rows * dimensions :]
    variance = span[1] ** 2
    log_p = -(y**2).sum(1) / (2 * variance) - dimensions / 2 * math.log(2 * math.pi * variance) + gained
    return Flow(-log_p / (math.log(2) * dimensions), tolerance, calls)


def flow_bits_of_bytes(
    denoise: Denoise,
    pictures: UInt8[Tensor, "b c h w"],
    condition: Condition,
    key: Key,
    span: tuple[float, float] = (2e-3, 80.0),
    tolerance: float = 1e-5,
    exact_below: int = EXACT_BELOW,
) -> Flow:
    """Bits per dimension of pictures of bytes: uniform noise fills each bin (Theis 2016), of width 1/128."""
    shape = tuple(pictures.shape[1:])
    spread = (noise.uniform(key, 0, shape, noise.DEQUANTIZE) - 0.5) * BIN
    values = (to_values(pictures).double() + spread.to(pictures.device)).float()
    flow = probability_flow(denoise, values, condition, key, span, tolerance, exact_below)
    return flow._replace(bits=flow.bits - math.log2(BIN))


def on_host(value: Tensor) -> np.ndarray:
    """All values in a row, as SciPy takes them."""
    return value.double().cpu().numpy().ravel()


def exact_divergence(slope: Tensor, y: Tensor) -> Float[Tensor, " b"]:
    """The trace of d slope / d y of each row: rows do not touch, so one derivative serves them all."""
    total = torch.zeros(len(y), dtype=y.dtype, device=y.device)
    flat = slope.flatten(1)
    for i in range(flat.shape[1]):
        (gradient,) = torch.autograd.grad(flat[:, i].sum(), y, retain_graph=True)
        total += gradient.flatten(1)[:, i]
    return total


def hutchinson(key: Key, shape: tuple[int, ...]) -> Callable[[Tensor, Tensor], Tensor]:
    """v . (d slope / d y) v with v of fair signs, the same along the whole flow: unbiased for the trace."""
    signs = torch.where(noise.uniform(key, 1, shape, noise.DEQUANTIZE) < 0.5, -1.0, 1.0)

    def divergence(slope: Tensor, y: Tensor) -> Tensor:
        v = signs.to(y)
        (product,) = torch.autograd.grad((slope * v).sum(), y)
        return (product * v).flatten(1).sum(1)

    return divergence
