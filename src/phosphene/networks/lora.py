"""Low-rank adaptation (Hu et al. 2021): a network that stays as it is, and a small change that is learned.

    W' = W + (alpha / r) B A,      A (r, columns) random, B (rows, r) zero at first

for the weight W of every linear map and convolution. That of a convolution is the matrix (out, in h w): then
x -> B (A x) is a convolution to r channels and a 1x1 convolution back. Here W' is formed, once a step, which
is little work where pixels are many, and what reads W' is the layer as it was: every fast operator stays.
"""

import copy
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from phosphene.diffusion.condition import Condition

ADAPTED = (nn.Linear, nn.Conv2d)


class Factors(NamedTuple):
    """B A, the change of one weight."""

    a: Float[Tensor, "r columns"]
    b: Float[Tensor, "rows r"]


def matrices(network: nn.Module) -> dict[str, Tensor]:
    """The weights that are adapted, by their names: those of linear maps and convolutions."""
    named = network.named_modules()
    return {f"{name}.weight": module.weight for name, module in named if isinstance(module, ADAPTED)}


def changed(weight: Tensor, factors: Factors, scale: float) -> Tensor:
    """W + scale B A. The change may be summed to another: changes of one network add up."""
    return weight + scale * (factors.b @ factors.a).view(weight.shape)


class LowRank(nn.Module):
    """The factors of one weight; rank is at most what its matrix can have. Their product is zero at first."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        rank = min(rank, rows, columns)
        self.a = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        self.b = nn.Parameter(torch.zeros(rows, rank))


class Adapted(nn.Module):
    """network(x, noise, condition) with the weights W', of which only A and B are learned. Weights that want
    no gradient stay as they are.

    While it is asked rather than trained it keeps a network with W' for weights, made again when A or B have
    changed.
    """

    def __init__(self, base: nn.Module, rank: int, alpha: float) -> None:
        super().__init__()
        learned = {name: weight for name, weight in matrices(base).items() if weight.requires_grad}
        self.base = base.requires_grad_(False)
        self.config = base.config
        self.scale = alpha / rank
        self.low = nn.ModuleDict(
            {name.replace(".", "/"): LowRank(weight, rank) for name, weight in learned.items()}
        )
        self._merged: tuple[object, nn.Module] | None = None

    def forward(
        self, x: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Condition
    ) -> Float[Tensor, "b c_out h w"]:
        if self.training or torch.is_grad_enabled():
            self._merged = None
            return functional_call(self.base, self.weights(), (x, noise, condition))
        return self._kept()(x, noise, condition)

    def factors(self) -> dict[str, Factors]:
        """By the names of the weights that they change."""
        return self.named(dict(self.named_parameters()))

    def named(self, weights: Mapping[str, Tensor]) -> dict[str, Factors]:
        """The factors in a state_dict of this module, by the names of the weights that they change."""
        return {
            place.replace("/", "."): Factors(weights[f"low.{place}.a"], weights[f"low.{place}.b"])
            for place in self.low
        }

    def weights(self) -> dict[str, Tensor]:
        """W' by name."""
        own = matrices(self.base)
        return {name: changed(own[name], factors, self.scale) for name, factors in self.factors().items()}

    def merged(self) -> nn.Module:
        """A network of its own with W' for weights."""
        return merged(self.base, self.weights())

    def _kept(self) -> nn.Module:
        state = [(weight.data_ptr(), weight._version) for weight in self.low.parameters()]
        if self._merged is None or self._merged[0] != state:
            with torch.inference_mode(False), torch.no_grad():
                self._merged = (state, self.merged())
        return self._merged[1]


def merged(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the network with these weights in the place of its own."""
    other = copy.deepcopy(network)
    own = dict(other.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            own[name].copy_(weight)
    return other.eval()
