"""Solvers that remember earlier x0_hat: one evaluation a step, higher order.

Between levels t and s the probability-flow ODE is solved exactly but for the curve that D = x0_hat follows
in lambda = ln(alpha / sigma); h = lambda_s - lambda_t. The curve is taken through earlier answers:

    x_s = (sigma_s / sigma_t) x - alpha_s int_0^h e^{u - h} D(lambda_t + u) du

Where the memory is missing (the first steps), infinitely far (a first level without signal) or of no use
(the last step, to the clean picture) the order falls.
"""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from phosphene.diffusion.ancestral import Solver
from phosphene.diffusion.level import Level
from phosphene.diffusion.plan import Step

FEW = 15  # grids shorter than this lower the order towards their end (diffusers' rule, after Lu 2022)


def _order(wanted: int, i: int, log_snr: Tensor) -> int:
    """The order of step i: no more than the finite past and, on short grids, the steps that are left."""
    steps = len(log_snr) - 1
    known = i + 1 - int(torch.isinf(log_snr[:i]).sum())
    left = steps - i if steps < FEW else wanted
    return 1 if torch.isinf(log_snr[i + 1]) else min(wanted, known, left)


def dpmpp(order: int = 2, eta: float = 0.0, curvature: float = 1.0) -> Solver:
    """DPM-Solver++ of order 1, 2 or 3, multistep (Lu 2022, Algorithm 2); eta = 1 is its SDE form.

    With g = (1 + eta) h, the derivatives D', D'' from differences, in units of h, and
    phi_1 = -expm1(-g), phi_2 = 1 - phi_1/g, phi_3 = 1/2 - phi_2/g:
        x_s = sigma_s/sigma_t e^{-eta h} x + alpha_s [phi_1 D + phi_2 D' + phi_3 D''] + noise,
    of variance sigma_s^2 (1 - e^{-2 eta h}). Order 2 uses phi_1/2 in place of phi_2 (midpoint).

    curvature: the share of D'' that counts. The published code of order 3 (Lu's, and every library that
    follows it) takes the second divided difference, D''/2, for D'': 0.5 is that code, and of order 2.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order {order}: DPM-Solver++ has orders 1, 2 and 3")

    def solver(grid: Level) -> Iterator[Step]:
        lam = grid.log_snr
        for i in range(len(lam) - 1):
            used = _order(order, i, lam)
            t, s, h = grid.rows(i), grid.rows(i + 1), lam[i + 1] - lam[i]
            r0 = (lam[i] - lam[i - 1]) / h if used > 1 else torch.tensor(1.0)
            r1 = (lam[i - 1] - lam[i - 2]) / h if used > 2 else torch.tensor(1.0)
            yield Step(t, _dpmpp_update(t, s, h, r0, r1, used, eta, curvature))

    return solver


def _dpmpp_update(
    t: Level, s: Level, h: Tensor, r0: Tensor, r1: Tensor, order: int, eta: float, curvature: float
) -> Callable[..., tuple[Tensor, ...]]:
    g = (1 + eta) * h
    keep = s.sigma / t.sigma * torch.exp(-eta * h) if eta else s.sigma / t.sigma
    fresh = s.sigma * torch.sqrt(-torch.expm1(-2 * eta * h)) if eta else torch.zeros(())
    phi1 = -torch.expm1(-g)
    phi2 = 1 - phi1 / g
    phi3 = 0.5 - phi2 / g

    def update(x: Tensor, last: Tensor, before: Tensor, x0: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        slope = (x0 - last) / r0
        if order == 1:
            line = phi1 * x0
        elif order == 2:
            line = phi1 * (x0 + slope / 2)
        else:
            earlier = (last - before) / r1
            first = slope + r0 / (r0 + r1) * (slope - earlier)
            second = 2 * curvature * (slope - earlier) / (r0 + r1)
            line = phi1 * x0 + phi2 * first + phi3 * second
        return keep * x + s.alpha * line + fresh * z, x0, last

    return update


class _Interval:
    """What both halves of UniPC know of one step from t to s: its order and B(h) = expm1(-h)."""

    def __init__(self, grid: Level, lam: Tensor, i: int) -> None:
        self.t, self.s = grid.rows(i), grid.rows(i + 1)
        self.h = lam[i + 1] - lam[i]
        self.order = _order(2, i, lam)
        self.r = (lam[i - 1] - lam[i]) / self.h if self.order == 2 else torch.tensor(-1.0)

    def to(self, x: Tensor, line: Tensor) -> Tensor:
        """x_s, when D is replaced by this mean of answers."""
        return self.s.sigma / self.t.sigma * x - self.s.alpha * torch.expm1(-self.h) * line

    def predict(self, x: Tensor, x0: Tensor, last: Tensor) -> Tensor:
        slope = (last - x0) / self.r
        return self.to(x, x0 + slope / 2 if self.order == 2 else x0)

    def correct(self, x: Tensor, x0: Tensor, last: Tensor, new: Tensor) -> Tensor:
        if self.order == 1:
            return self.to(x, x0 + (new - x0) / 2)
        # The two conditions of order: rho_0 + rho_1 = b_1 and r rho_0 + rho_1 = b_2.
        b1 = -1 / self.h - 1 / torch.expm1(-self.h)
        b2 = (-b1 / self.h - 0.5 / torch.expm1(-self.h)) * 2
        rho0 = (b1 - b2) / (1 - self.r)
        return self.to(x, x0 + rho0 * (last - x0) / self.r + (b1 - rho0) * (new - x0))


def unipc(grid: Level) -> Iterator[Step]:
    """UniPC of order 2, B(h) = expm1(-h) ("bh2"), predicting x0 (Zhao 2023, Algorithms 5 and 6).

    The predictor is DPM-Solver++(2M). Its x is only where the network is asked: the answer then redoes the
    step by which it was reached (the corrector), and the next step starts from there.
    Slots: predicted x, the x that the last step started from, its x0_hat, the x0_hat before.
    """
    lam = grid.log_snr
    intervals = [_Interval(grid, lam, i) for i in range(len(lam) - 1)]
    yield Step(
        intervals[0].t, lambda x, start, last, before, x0, z: (intervals[0].predict(x, x0, x0), x, x0, x0)
    )
    for earlier, interval in itertools.pairwise(intervals):
        yield Step(interval.t, _unipc_update(earlier, interval))


def _unipc_update(earlier: _Interval, interval: _Interval) -> Callable[..., tuple[Tensor, ...]]:
    def update(
        x: Tensor, start: Tensor, last: Tensor, before: Tensor, x0: Tensor, z: Tensor
    ) -> tuple[Tensor, ...]:
        x = earlier.correct(start, last, before, x0)
        return interval.predict(x, x0, last), x, x0, last

    return update
