"""What a step tells at almost no cost: two passes over its pictures, some over the weights now and then."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phosphene.training.optimizer import EMBEDDINGS
from phosphene.training.watch.observation import Layers

EVERY = 16  # steps between looks at the weights
FAINT = 1e-8  # AdamW's eps: a gradient below it moves no weight as the learning rate says
DEAD = 1e-6  # of the strongest unit's gradient: ten times float32's rounding
MANY = 0.1  # share of a layer's units


def pixels(values: Float[Tensor, "b c h w"]) -> Float[Tensor, "6"]:
    """The last six of `Step`: lowest, highest, mean, deviation, constant, checksum."""
    rows = values.flatten(1)
    variance, mean = torch.var_mean(rows, 1, correction=0)
    low, high = rows.aminmax(dim=1)
    # Unequal weights, so that the order of the pictures counts.
    order = torch.arange(1, len(rows) + 1, device=rows.device).sqrt()
    deviation = (variance.mean() + mean.var(correction=0)).sqrt()
    constant = (low == high).to(mean).mean()
    return torch.stack([low.amin(), high.amax(), mean.mean(), deviation, constant, (order * mean).sum()])


def looks(step: int) -> bool:
    """Whether the weights are looked at in a step counted from 1: every EVERY steps, and at 1, 2, 4 and 8, as
    weights that grow too fast are large, and their changes small beside them, after a few steps."""
    return step % EVERY == 0 or (step < EVERY and step.bit_count() == 1)


class Before(NamedTuple):
    """Of each matrix before the optimizer's step: itself, and the norm of each unit's gradient."""

    weights: list[Tensor]
    units: list[Tensor]


class Probe:
    """The matrices of a network: weights of two or more dimensions, without tables of labels, of which a
    batch needs a few rows only."""

    def __init__(self, network: nn.Module) -> None:
        tables = {
            weight
            for module in network.modules()
            if isinstance(module, EMBEDDINGS)
            for weight in module.parameters()
        }
        self.matrices = {
            name: weight
            for name, weight in network.named_parameters()
            if weight.ndim >= 2 and weight.requires_grad and weight not in tables
        }

    @torch.no_grad()
    def before(self) -> Before:
        """After the gradients are known and clipped, before the weights move."""
        weights = [weight.clone() for weight in self.matrices.values()]
        return Before(weights, [_units(weight) for weight in self.matrices.values()])

    @torch.no_grad()
    def after(self, before: Before, rate: float) -> Layers:
        """After the weights have moved at that share of the learning rate. One question to the device."""
        matrices: list[Tensor] = list(self.matrices.values())
        norms = torch._foreach_norm(before.weights)
        moved = torch._foreach_norm(torch._foreach_sub(before.weights, matrices))
        size = [weight.numel() ** 0.5 for weight in matrices]
        gradients = [torch.linalg.vector_norm(units) / n for units, n in zip(before.units, size, strict=True)]
        dead = [(units <= DEAD * units.amax()).float().mean() for units in before.units]
        told = torch.stack([torch.stack(column) for column in (norms, moved, gradients, dead)])
        norm, change, gradient, share = told.double().cpu()
        named = list(zip(self.matrices, gradient.tolist(), share.tolist(), strict=True))
        begun = norm > 0
        return Layers(
            len(matrices),
            rate,
            float((change[begun] / norm[begun]).median()),
            tuple(name for name, rms, _ in named if rms < FAINT),
            tuple(name for name, rms, part in named if rms > 0 and part >= MANY),
        )


def _units(weight: Tensor) -> Tensor:
    """The norm of the gradient of each row; of nothing, where no gradient came."""
    if weight.grad is None:
        return weight.new_zeros(len(weight))
    return torch.linalg.vector_norm(weight.grad, dim=tuple(range(1, weight.ndim)))
