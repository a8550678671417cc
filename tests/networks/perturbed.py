"""Networks whose zeros are gone, and questions for them."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition

N = TypeVar("N", bound=nn.Module)


def perturbed(network: N, seed: int = 0) -> N:
    """The network, to be evaluated, with a random number added to every parameter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return network.eval()


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def question(rows: int, channels: int, height: int, width: int) -> tuple[Tensor, Tensor, Condition]:
    """x, noise and a condition with every field but the picture: 5 classes, 6 tokens of width 7, 9 augment
    labels; some rows have no label, some no token."""
    label = torch.arange(rows) % 5
    label[::3] = -1
    mask = torch.arange(6) < torch.arange(rows)[:, None] % 4
    condition = Condition(label, normal(rows, 6, 7, seed=2), mask, augment=normal(rows, 9, seed=3))
    return normal(rows, channels, height, width), 999 * torch.rand(rows).sort().values, condition
