"""The protocol between a family of models and those who train it and ask it."""

from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import Key

S = TypeVar("S")


class Batch(NamedTuple):
    """Pictures to learn from. key, step: whose randomness; key.picture is each row's place in the whole batch
    of `total` rows, of which this may be a part."""

    x0: Float[Tensor, "b c h w"]
    condition: Condition
    key: Key
    step: int
    total: int


@runtime_checkable
class Family(Protocol):
    """All that a trainer knows of a model family."""

    @property
    def network(self) -> nn.Module: ...

    @property
    def whole(self) -> bool:
        """Whether a row's loss depends on the other rows, so that a batch cannot be computed in parts."""
        ...

    def with_network(self: S, network: nn.Module) -> S:
        """The same around another network (averaged weights, a data-parallel wrapper)."""
        ...

    def answer(self, network: nn.Module, x: Float[Tensor, "b c h w"], condition: Condition) -> Tensor:
        """What a network says of these pictures, to see how long that takes."""
        ...

    def loss(self, player: str, batch: Batch) -> Float[Tensor, " b"]:
        """The loss of each row for one of the networks, by name ("network" where there is one): a pure
        function of weights, batch and its key."""
        ...

    def explain(self, batch: Batch, row: int) -> str:
        """In words, what was asked of the network in this row ("sigma / alpha 0.51")."""
        ...
