"""Muon (Jordan et al. 2024): momentum whose matrix is replaced by the nearest one with equal singular values.

    B_t = mu B_{t-1} + (1 - mu) G_t           momentum
    U_t = mu B_t + (1 - mu) G_t               Nesterov's look ahead
    O_t = NS(U_t)  ~  U V^T  of  U_t = U S V^T
    W_t = (1 - lr wd) W_{t-1} - lr 0.2 sqrt(max(rows, columns)) O_t

NS is five steps of X <- a X + (b A + c A^2) X, A = X X^T, on U / |U|_F. Its coefficients make the slope at
zero large rather than the limit exact: singular values end between 0.7 and 1.2, which trains as well as 1.
All steps are polynomials in A, which commute: for a wide X they are taken on the small A alone, and X is
multiplied once by their product,

    S = a + b A + c A^2,   Q <- S Q,   A <- S A S,   in the end X <- Q X.

The factor 0.2 sqrt(max(rows, columns)) gives the update the root mean square of AdamW's (Liu et al. 2025,
"Muon is scalable for LLM training", section 2.2), so that both use one learning rate and one weight decay.

The weight of a convolution is the matrix [out, in * height * width].
"""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
WIDE = 2  # columns a row from which steps on A take fewer operations: 2 n + 20 m against 10 n + 5 m
NORM_FLOOR = 1e-7  # a gradient of zeros stays zero
RMS_OF_ADAMW = 0.2


def orthogonalize(
    matrices: Float[Tensor, "k m n"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "k m n"]:
    """Newton-Schulz on k matrices at once: same singular vectors, all singular values near 1.

    `dtype` is that of the products; bfloat16 is faster on accelerators and as good.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices  # X X^T is the smaller of the two squares
    x = x.to(dtype)
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=NORM_FLOOR)
    if dtype == torch.float32 and x.shape[-1] >= WIDE * x.shape[-2]:
        x = _product(x @ x.mT) @ x
        return (x.mT if tall else x).to(matrices.dtype)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


def _product(gram: Float[Tensor, "k m m"]) -> Float[Tensor, "k m m"]:
    """Q of all steps from A of the first. Float32: A holds squares, for which bfloat16 has too few digits."""
    a, b, c = COEFFICIENTS
    unit = torch.eye(gram.shape[-1], device=gram.device)
    product = None
    for left in reversed(range(STEPS)):
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c) + a * unit
        product = step if product is None else step @ product
        if left:
            gram = step @ gram @ step
    assert product is not None
    return product


class Muon(Optimizer):
    """Muon for weights of two or more dimensions, each flattened to [first, rest].

    `lr` and `weight_decay` (decoupled) mean what they mean in AdamW. Weights of equal shape are
    orthogonalized in one product. State of a weight: `momentum_buffer`, of its shape.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "dtype": dtype}
        )
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim < 2:
                    shape = tuple(weight.shape)
                    raise ValueError(
                        f"Muon takes weights of two or more dimensions, not of shape {shape}: use AdamW"
                    )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every weight that has a gradient. `closure`, if given, computes the loss again."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: defaultdict[tuple[object, ...], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    rows = len(weight)
                    alike[rows, weight.numel() // rows, weight.device, weight.dtype].append(weight)
            for weights in alike.values():
                self._update(weights, group["lr"], group["weight_decay"], group["momentum"], group["dtype"])
        return loss

    def _update(
        self, weights: list[Tensor], lr: float, weight_decay: float, momentum: float, dtype: torch.dtype
    ) -> None:
        """One update of weights that are matrices of one shape."""
        ahead = []
        for weight in weights:
            grad, state = weight.grad, self.state[weight]
            assert grad is not None
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(weight)
            state["momentum_buffer"].lerp_(grad, 1 - momentum)
            ahead.append(grad.lerp(state["momentum_buffer"], momentum).flatten(1))
        updates = orthogonalize(torch.stack(ahead), dtype)
        scale = RMS_OF_ADAMW * math.sqrt(max(updates.shape[1:]))
        for weight, update in zip(weights, updates, strict=True):
            weight.mul_(1 - lr * weight_decay).add_(update.view(weight.shape), alpha=-lr * scale)
