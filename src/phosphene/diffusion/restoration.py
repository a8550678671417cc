"""Restoration without training: pictures that a measurement y = A x0 + tau n could be of (`measurement.py`).

A denoiser that says E[x0 | x_t] becomes one that says E[x0 | x_t, y]; every solver and guidance goes on as it
did. By Bayes' rule and Tweedie's formula, with J = dD/dx,

    E[x0 | x_t, y] = D + (sigma^2 / alpha) grad_x ln p(y | x_t)
    p(y | x_t) ~ N(A D, A V A' + tau^2 I),   grad ~ J' A' (A V A' + tau^2 I)^-1 (y - A D)

and what differs is the covariance V of x0 given x_t:

    mmps     V = (sigma^2 / alpha) J, the true one: exact where p(x0 | x_t) is Gaussian     (Rozet 2024)
    pigdm    V = r^2 I, 1 / r^2 = 1 / s^2 + alpha^2 / sigma^2: exact for data N(m, s^2 I)    (Song 2023)
    known    no derivative: of all pictures that y could be of, the nearest to D

`known` alone lets the unknown part learn of the known one only through x_t: noise has to be gone through
again and again (`resampling.py`). On a mask that is RePaint (Lugmayr 2022), on others DDNM (Wang 2022).

At a level without signal (alpha = 0) J says nothing of x0, and mmps and pigdm leave the denoiser as it is:
let grids begin at a level with some (`schedule.with_signal`).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise, change_x0, split
from phosphene.diffusion.level import Level, like
from phosphene.diffusion.measurement import Measurement

Linear = Callable[[Tensor], Tensor]
ROUNDS = 30  # of projections, where what is made lies outside [-1, 1]


def mmps(
    denoise: Denoise,
    measurement: Measurement,
    y: Float[Tensor, "#b c2 h2 w2"],
    tau: float,
    iterations: int = 3,
) -> Denoise:
    """Moment matching posterior sampling (Rozet 2024, "Learning diffusion priors from observations by
    expectation maximization", section 4): iterations of conjugate gradients, a product with J' each.

    tau: above 0, as A V A' is singular where the data are. Costs iterations + 1 backward passes a call.
    """

    def push(pull: Linear, level: Level, residual: Tensor) -> Tensor:
        def covariance(w: Tensor) -> Tensor:
            return like(_gain(level), w) * pull(w)

        def of_y(u: Tensor) -> Tensor:
            return measurement.apply(covariance(measurement.adjoint(u))) + tau**2 * u

        return covariance(measurement.adjoint(conjugate_gradients(of_y, residual, iterations)))

    return _posterior(denoise, measurement, y, push)


def pigdm(
    denoise: Denoise,
    measurement: Measurement,
    y: Float[Tensor, "#b c2 h2 w2"],
    tau: float,
    deviation: float = 0.75,
) -> Denoise:
    """Pseudo-inverse guidance (Song 2023, "Pseudoinverse-guided diffusion models for inverse problems").

    deviation: s, of the data; the paper's r^2 = sigma^2 / (1 + sigma^2) has s = 1. Of the paper's further
    weights, which depend on its solver, there are none: this is Bayes' rule. One backward pass a call.
    """

    def push(pull: Linear, level: Level, residual: Tensor) -> Tensor:
        precision = deviation**-2 + level.snr
        direction = measurement.fit(residual, tau**2 * precision)
        return like(_gain(level) * precision, direction) * pull(direction)

    return _posterior(denoise, measurement, y, push)


def known(denoise: Denoise, measurement: Measurement, y: Float[Tensor, "#b c2 h2 w2"]) -> Denoise:
    """x0_hat with what is known put in, D - A^+ A D + A^+ y, for a y without noise.

    On a mask the known pixels are y's, exactly, and so are those of the picture that a solver ends with.
    """

    return change_x0(denoise, lambda x0, _: put_in(x0, measurement, y))


def put_in(x0: Tensor, measurement: Measurement, y: Tensor) -> Tensor:
    """Of all pictures that measure y, the nearest to x0."""
    return x0 - measurement.fit(measurement.apply(x0)) + measurement.fit(y.to(x0))


def projected(
    made: Float[Tensor, "b c h w"], measurement: Measurement, y: Float[Tensor, "#b c2 h2 w2"]
) -> Float[Tensor, "b c h w"]:
    """Pictures in [-1, 1], as files hold them, that measure y: projections onto either in turn, which end in
    both where both meet (von Neumann 1933)."""
    for _ in range(ROUNDS):
        made = put_in(made, measurement, y)
        if float(made.abs().max()) <= 1:
            break
        made = made.clamp(-1, 1)
    return made


def conjugate_gradients(
    matrix: Linear, b: Float[Tensor, "b *shape"], iterations: int
) -> Float[Tensor, "b *shape"]:
    """matrix^-1 b, row by row, for one symmetric and positive (Hestenes & Stiefel 1952).

    A row stops where it is solved, and where its matrix is not positive, as that of a network may be.
    """
    x, r = torch.zeros_like(b), b
    p, square = r, _dot(r, r)
    first = square
    for _ in range(iterations):
        q = matrix(p)
        curvature = _dot(p, q)
        goes_on = (curvature > 0) & (square > torch.finfo(b.dtype).eps ** 2 * first)
        step = torch.where(goes_on, square / curvature, 0)
        x, r = x + like(step, b) * p, r - like(step, b) * q
        before, square = square, _dot(r, r)
        p = r + like(torch.where(goes_on, square / before, 0), b) * p
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _gain(level: Level) -> Tensor:
    """sigma^2 / alpha, by which a gradient of ln p(x_t) moves x0_hat; 0 where there is no signal."""
    return torch.where(level.alpha > 0, level.sigma**2 / level.alpha, 0)


def _posterior(
    denoise: Denoise,
    measurement: Measurement,
    y: Tensor,
    push: Callable[[Linear, Level, Tensor], Tensor],
) -> Denoise:
    """The denoiser with push(w -> J' w, level, y - A D) added to what it says."""

    def restored(x: Tensor, level: Level, condition: Condition) -> Tensor:
        # Derivatives go through copies: what was made for inference cannot be kept for a backward pass.
        with torch.inference_mode(False), torch.enable_grad():
            at = x.detach().clone().requires_grad_()
            copies = Level(level.alpha.clone(), level.sigma.clone()), condition.each(torch.clone)
            said = denoise(at, *copies)
            x0, fraction = split(said, at)

            def pull(w: Tensor) -> Tensor:
                (gradient,) = torch.autograd.grad(x0, at, w, retain_graph=True)
                return gradient

            answer = x0.detach()
            with torch.no_grad():
                answer = answer + push(pull, copies[0], y.to(answer) - measurement.apply(answer))
            return answer if fraction is None else torch.cat([answer, fraction.detach()], dim=1)

    return restored
