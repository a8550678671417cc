"""Contrast: pictures and texts as unit vectors x, y, alike where they belong together (SigLIP, Zhai 2023).

    loss = -sum_ij log sigmoid(z_ij (e^t' x_i . y_j + b)) / B,      z_ij = 1 where they belong together, or -1

Every picture of a batch meets every text of it. Those of one caption belong together, whichever picture it
was written for; a picture without any is left out of both sums.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.families.family import Batch
from phosphene.networks.clip import ClipNetwork, Pair


class Together(NamedTuple):
    """What belongs together in a batch. captioned: rows that have a text; same: rows of one text."""

    captioned: Bool[Tensor, " b"]
    same: Bool[Tensor, "b b"]


def together(condition: Condition) -> Together:
    """By the states that are heard: texts that the language model cannot tell apart are one."""
    assert condition.tokens is not None
    assert condition.mask is not None
    heard = torch.where(condition.mask[:, :, None], condition.tokens, 0).flatten(1)
    number = torch.unique(heard, dim=0, return_inverse=True)[1]
    return Together(condition.mask.any(1), number[:, None] == number)


def siglip(
    pair: Pair, sharpness: Float[Tensor, ""], bias: Float[Tensor, ""], belongs: Together
) -> Float[Tensor, " b"]:
    """The loss of each picture of a batch: its row of the sum, in float32; their mean is the loss."""
    with torch.autocast(pair.pictures.device.type, enabled=False):
        logits = sharpness.exp() * pair.pictures.float() @ pair.texts.float().T + bias
    losses = -functional.logsigmoid(torch.where(belongs.same, logits, -logits))
    counts = belongs.captioned[:, None] & belongs.captioned
    return torch.where(counts, losses, 0).sum(1)


class Retrieval(NamedTuple):
    """How often the nearest of `among` is right. text: to a picture, picture: to a text."""

    text: float
    picture: float
    among: int


def retrieval(pair: Pair, belongs: Together) -> Retrieval:
    """Retrieval@1 among the captioned rows of a batch: anything of the same caption is right. NaN of none."""
    rows = belongs.captioned
    if not rows.any():
        return Retrieval(math.nan, math.nan, 0)
    alike, same = pair.pictures[rows] @ pair.texts[rows].T, belongs.same[rows][:, rows]
    right = [same.gather(1, way.argmax(1, keepdim=True)).float().mean() for way in (alike, alike.T)]
    return Retrieval(float(right[0]), float(right[1]), len(alike))


@dataclass(frozen=True)
class Contrast:
    """A network of two towers, network(pictures, condition) -> Pair; sharpness and bias are the network's."""

    network: nn.Module
    whole = True

    def with_network(self, network: nn.Module) -> "Contrast":
        """The same around another network (averaged weights)."""
        return replace(self, network=network)

    def answer(
        self, network: nn.Module, x: Float[Tensor, "b c h w"], condition: Condition
    ) -> Float[Tensor, "b d"]:
        return network(x, condition).pictures

    def loss(self, player: str, batch: Batch) -> Float[Tensor, " b"]:
        assert player == "network"
        network = self.network
        assert isinstance(network, ClipNetwork)
        pair = network(batch.x0, batch.condition)
        return siglip(pair, network.sharpness, network.bias, together(batch.condition))

    def explain(self, batch: Batch, row: int) -> str:
        return "compared with every text of its batch"
