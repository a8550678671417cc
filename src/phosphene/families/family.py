"""The protocol between a family of models and those who train it and ask it."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import Key


class Batch(NamedTuple):
    """Pictures to learn from. key, step: whose randomness; place: each row's place in the whole batch of
    `total` rows, of which this may be a part."""

    x0: Float[Tensor, "b c h w"]
    condition: Condition
    key: Key
    step: int
    total: int


class Family(Protocol):
    """All that a trainer knows of a model family."""

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """The networks that are trained, by name, in the order of their turns."""
        ...

    def loss(self, player: str, batch: Batch) -> Float[Tensor, " b"]:
        """The loss of each row for one player: a pure function of weights, batch and its key."""
        ...

    def explain(self, batch: Batch, row: int) -> str:
        """In words, what was asked of the network in this row ("sigma / alpha 0.51")."""
        ...
