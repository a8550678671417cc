"""What a network is shown of a picture, beside the noisy one: the same function in training and for requests.

    draw(values, key, step) -> Seen       in training: what could be known of a picture
    seen(shown) -> Seen                   of a request: what is known
    show(seen, key, step) -> channels     both: what the network is shown of it

What is drawn is rounded to bytes, as a file would hold it: a request of that file is the same question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion.noise import Key

PICTURE, MASK, LEVEL, GIVEN = "picture", "mask", "level", "given"
"""Parts of what is shown: the picture itself, or its luma; where it is known; how much noise is on it; that
there is one."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Of one picture. picture: values in [-1, 1]; mask: 1 where it is known, 0 where it is missing; level:
    how much noise is laid on it, a share of the way from picture to noise."""

    picture: Float[Tensor, "c h w"]
    mask: Float[Tensor, "1 h w"] | None = None
    level: float = 0.0


class Seen(NamedTuple):
    """The same of a batch."""

    picture: Float[Tensor, "b c h w"]
    mask: Float[Tensor, "b 1 h w"] | None = None
    level: Float[Tensor, " b"] | None = None

    def shown(self, level: float = 0.0) -> list[Shown]:
        """Row by row, with this level, on the CPU."""
        masks = [None] * len(self.picture) if self.mask is None else list(self.mask.cpu())
        return [Shown(*row, level) for row in zip(self.picture.cpu(), masks, strict=True)]


@runtime_checkable
class Sight(Protocol):
    """A kind of task."""

    @property
    def usual(self) -> float:
        """The level of noise that is laid on what is shown, unless the caller says otherwise."""
        ...

    @property
    def ask(self) -> str:
        """How it is asked on the command line."""
        ...

    def parts(self, channels: int) -> Mapping[str, int]:
        """What it shows of pictures of so many channels, in order, with the channels of each part. Parts of
        one name mean the same to a network in every kind."""
        ...

    def draw(self, values: Float[Tensor, "b c h w"], key: Key, step: int) -> Seen:
        """What could be known of pictures: a function of (key, step)."""
        ...

    def show(self, seen: Seen, key: Key, step: int) -> Float[Tensor, "b parts h w"]:
        """What the network is shown of it."""
        ...


def blank(sight: Sight, rows: int, shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """As large as what is shown of so many pictures of this shape, and empty."""
    return torch.zeros(rows, sum(sight.parts(shape[0]).values()), *shape[1:], device=device)


def together(shown: Sequence[Shown]) -> Seen:
    """A batch of what is shown of some pictures, all of one size."""
    masks = [one.mask for one in shown if one.mask is not None]
    assert len(masks) in (0, len(shown))
    level = torch.tensor([one.level for one in shown], dtype=torch.float32)
    return Seen(torch.stack([one.picture for one in shown]), torch.stack(masks) if masks else None, level)


def face(shown: Shown, channels: int, size: tuple[int, int]) -> Float[Tensor, "c h w"]:
    """What is shown as a person sees it, as large as what is made of it: missing parts are grey, smaller
    pictures are enlarged, each pixel a square."""
    picture = shown.picture if shown.mask is None else shown.mask * shown.picture
    picture = functional.interpolate(picture[None], size, mode="nearest")[0]
    return picture if len(picture) == channels else picture[:1].expand(channels, -1, -1)
