"""Models that were trained to make a picture of one that they are shown: what goes around sampling for them.

inpainting         outside the mask, the picture itself, exactly
super-resolution   of all pictures that shrink to the smaller one, the nearest to what was made
restoration        a picture of any size, in tiles
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.noise import Between, Key
from phosphene.diffusion.plan import Plan
from phosphene.diffusion.resize import Resize
from phosphene.diffusion.restoration import projected
from phosphene.diffusion.tiles import tiled
from phosphene.families.around import PLAIN, Around
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
    pixels, `batch` of them a call. cut: height and width of what was shown, before it was padded to the size
    that one tile needs.
    """

    size: int
    overlap: int
    batch: int = BATCH
    cut: tuple[int, int] | None = None
    factor: int = 1

    def begin(
        self, plan: Plan, key: Key | Between, rows: Sequence[Row], shape: tuple[int, int, int]
    ) -> tuple[int, int, int]:
        height, width = _seen(rows).picture.shape[2:]
        return shape[0], height * self.factor, width * self.factor

    def whole(self, denoise: Denoise) -> Denoise:
        return tiled(denoise, self.size, self.overlap, self.batch)

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


def _seen(rows: Sequence[Row]) -> Seen:
    return together([row.request.shown for row in rows if row.request.shown is not None])


def finishing(ready: Ready) -> Around:
    """What suits the model's task."""
    task = ready.model.header.task
    if isinstance(task, InpaintingTask):
        return Pasted()
    if isinstance(task, SuperResolutionTask):
        return Consistent(ready.size, ready.size // 4, factor=task.factor)
    if isinstance(task, ColouringTask | DeblurringTask | DenoisingTask):
        return Tiled(ready.size, ready.size // 4)
    return PLAIN if isinstance(task, NoTask) else Trained()
