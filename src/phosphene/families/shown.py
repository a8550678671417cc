"""Models that were trained to make a picture of one that they are shown: what goes around sampling for them.

inpainting              outside the mask, the picture itself, exactly
super-resolution        of all pictures that shrink to the smaller one, the nearest to what was made
colouring               the picture's own light, exactly, in the colours of what was made
deblurring, denoising   nothing; a picture of any size, as the two before
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.noise import Between, Key
from phosphene.diffusion.plan import Plan
from phosphene.diffusion.resize import Resize
from phosphene.diffusion.restoration import projected
from phosphene.diffusion.tiles import tiled
from phosphene.families.around import PLAIN, Around
from phosphene.families.light import tinted
from phosphene.families.options import BATCH
from phosphene.families.ready import Ready
from phosphene.families.rows import Row
from phosphene.recipes.tasks import (
    ColouringTask,
    DeblurringTask,
    DenoisingTask,
    InpaintingTask,
    NoTask,
    SuperResolutionTask,
)
from phosphene.tasks.sight import Seen, Shown, face, together


@dataclass(frozen=True)
class Trained(Around):
    """What is shown is told in the request."""

    def describe(self) -> Mapping[str, Any]:
        return {"restored": "trained"}


class Pasted(Trained):
    """What is known is what it was, to the last bit."""

    def finish(self, made: Float[Tensor, "b c h w"], rows: Sequence[Row]) -> Float[Tensor, "b c h w"]:
        seen = _seen(rows)
        assert seen.mask is not None
        return torch.where(seen.mask > 0, seen.picture.to(made), made)


@dataclass(frozen=True)
class Tiled(Trained):
    """What is made is as large as what was shown, times `factor`, whatever its size.

    size: of the model's pictures; larger ones are made of tiles (`diffusion.tiles`) that share `overlap`
    pixels, or a quarter, `batch` of them a call. cut: height and width of what was shown, before it was
    padded to the size that one tile needs.
    """

    size: int
    overlap: int | None = None
    batch: int = BATCH
    cut: tuple[int, int] | None = None
    factor: int = 1

    def __post_init__(self) -> None:
        if self.overlap is not None and not 0 <= self.overlap <= self.size // 2:
            raise ValueError(
                f"overlap {self.overlap}: give pixels from 0 to {self.size // 2}, half of a tile"
            )

    def begin(
        self, plan: Plan, key: Key | Between, rows: Sequence[Row], shape: tuple[int, int, int]
    ) -> tuple[int, int, int]:
        height, width = _seen(rows).picture.shape[2:]
        return shape[0], height * self.factor, width * self.factor

    def whole(self, denoise: Denoise) -> Denoise:
        overlap = self.size // 4 if self.overlap is None else self.overlap
        return tiled(denoise, self.size, overlap, self.batch)

    def finish(self, made: Float[Tensor, "b c h w"], rows: Sequence[Row]) -> Float[Tensor, "b c h2 w2"]:
        height, width = self.given(rows).shape[2:]
        return made[..., : height * self.factor, : width * self.factor]

    def seen(self, rows: Sequence[Row], size: tuple[int, int], channels: int) -> Float[Tensor, "n c h w"]:
        return torch.stack([face(Shown(one), channels, size) for one in self.given(rows)])

    def given(self, rows: Sequence[Row]) -> Float[Tensor, "b c h w"]:
        """What was shown, without what it was padded with."""
        y = _seen(rows).picture
        height, width = self.cut or y.shape[2:]
        return y[..., :height, :width]


class Consistent(Tiled):
    """What is made shrinks to what was shown, up to rounding: a projection after the last step. In a cascade,
    where what was shown is not the truth, `Tiled` is enough."""

    def finish(self, made: Float[Tensor, "b c h w"], rows: Sequence[Row]) -> Float[Tensor, "b c h2 w2"]:
        return projected(super().finish(made, rows), Resize(self.factor), self.given(rows))


@dataclass(frozen=True)
class Lit(Tiled):
    """What was shown, in the colours of what was made (`families.light`). grey: it at its own size, where it
    was shown at another."""

    grey: Float[Tensor, "1 h w"] | None = None

    def finish(self, made: Float[Tensor, "b c h w"], rows: Sequence[Row]) -> Float[Tensor, "b c h2 w2"]:
        colours, light = super().finish(made, rows), self.light(rows)
        size = light.shape[2:]
        if colours.shape[2:] != size:
            smaller = size[0] < colours.shape[2]
            colours = functional.interpolate(colours, size, mode="bicubic", antialias=smaller)
        return tinted(light, colours)

    def seen(self, rows: Sequence[Row], size: tuple[int, int], channels: int) -> Float[Tensor, "n c h w"]:
        return self.light(rows).expand(-1, channels, -1, -1)

    def light(self, rows: Sequence[Row]) -> Float[Tensor, "b 1 h w"]:
        """The grey pictures."""
        return self.given(rows) if self.grey is None else self.grey.expand(len(rows), -1, -1, -1)


def _seen(rows: Sequence[Row]) -> Seen:
    return together([row.request.shown for row in rows if row.request.shown is not None])


def finishing(ready: Ready) -> Around:
    """What suits the model's task."""
    task = ready.model.header.task
    if isinstance(task, InpaintingTask):
        return Pasted()
    if isinstance(task, SuperResolutionTask):
        return Consistent(ready.size, factor=task.factor)
    if isinstance(task, ColouringTask):
        return Lit(ready.size)
    if isinstance(task, DeblurringTask | DenoisingTask):
        return Tiled(ready.size)
    return PLAIN if isinstance(task, NoTask) else Trained()
