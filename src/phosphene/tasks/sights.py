"""The kinds of tasks by name: inpainting, super-resolution, colouring, deblurring, denoising, editing.

    inpainting         mask, picture where it is known; elsewhere 0, or what continues it smoothly
    super-resolution   smaller picture with noise laid on it, enlarged; the level of that noise
    colouring          luma
    deblurring         the blurred picture; how much is not told
    denoising          the noisy picture; how much is not told
    editing            the picture before, and that there is one: of none, zeros everywhere (InstructPix2Pix)

Noise on the smaller picture is the conditioning augmentation of cascades (Ho et al. 2022, "Cascaded diffusion
models", section 4.2): alpha y + sigma eps with (alpha, sigma) = (cos, sin) of level pi / 2, the level uniform
in training and told to the network as a channel of its own, so that any network hears it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion import noise
from phosphene.diffusion.level import Level, like
from phosphene.diffusion.measurement import blur, luma
from phosphene.diffusion.noise import Key
from phosphene.diffusion.resize import Resize
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.recipes.tasks import (
    ColouringTask,
    DeblurringTask,
    DenoisingTask,
    EditingTask,
    InpaintingTask,
    SuperResolutionTask,
    TaskSettings,
)
from phosphene.tasks import masks
from phosphene.tasks.filling import smooth
from phosphene.tasks.sight import GIVEN, LEVEL, MASK, PICTURE, Seen, Sight

BLURS = 16  # widths of blur that training draws from
USUAL = 0.1  # level of noise at which super-resolution is asked


def filed(values: Tensor) -> Tensor:
    """As a file would give them back."""
    return to_values(to_bytes(values))


@dataclass(frozen=True)
class Inpainting:
    """Shows the mask, and the picture where it is known, the rest grey or filled from the rim."""

    fill: Literal["grey", "smooth"]
    usual: float = 0.0
    ask: str = "phosphene inpaint RUN --image PICTURE --mask MASK"

    def parts(self, channels: int) -> dict[str, int]:
        return {MASK: 1, PICTURE: channels}

    def draw(self, values: Tensor, key: Key, step: int) -> Seen:
        return Seen(values, masks.known(key, step, *values.shape[2:]))

    def show(self, seen: Seen, key: Key, step: int) -> Tensor:
        assert seen.mask is not None
        mask = seen.mask.to(seen.picture)
        known = smooth(seen.picture, mask) if self.fill == "smooth" else mask * seen.picture
        return torch.cat([mask, known], dim=1)


@dataclass(frozen=True)
class SuperResolution:
    """Shows a smaller picture with noise on it, enlarged, and how much noise."""

    factor: int
    augmentation: float
    ask: str = "phosphene upscale RUN --image PICTURE"

    @property
    def usual(self) -> float:
        return min(USUAL, self.augmentation)

    def parts(self, channels: int) -> dict[str, int]:
        return {PICTURE: channels, LEVEL: 1}

    def draw(self, values: Tensor, key: Key, step: int) -> Seen:
        level = self.augmentation * noise.uniform(key, step, stream=noise.SIGHT)
        return Seen(filed(Resize(self.factor).apply(values)), level=level.float())

    def show(self, seen: Seen, key: Key, step: int) -> Tensor:
        y, share = seen.picture, seen.level
        assert share is not None
        share = share.to(y.device, torch.float64)
        level = Level(torch.cos(share * math.pi / 2), torch.sin(share * math.pi / 2))
        eps = noise.normal(key, step, tuple(y.shape[1:]), noise.SHOWN).to(y)
        noisy = level.add(y, eps)
        larger = functional.interpolate(noisy, scale_factor=self.factor, mode="bicubic")
        told = like(share, y).to(y).expand(-1, 1, *larger.shape[2:])
        return torch.cat([larger, told], dim=1)


@dataclass(frozen=True)
class Seeing:
    """Shows what is known as it is."""

    known: Callable[[Tensor, Key, int], Tensor]
    channels: int | None = None
    usual: float = 0.0
    ask: str = "phosphene restore RUN --image PICTURE"

    def parts(self, channels: int) -> dict[str, int]:
        return {PICTURE: self.channels or channels}

    def draw(self, values: Tensor, key: Key, step: int) -> Seen:
        return Seen(filed(self.known(values, key, step)))

    def show(self, seen: Seen, key: Key, step: int) -> Tensor:
        return seen.picture


def blurred(deviation: float) -> Callable[[Tensor, Key, int], Tensor]:
    """By one of BLURS widths up to this one, in pixels."""

    @lru_cache(maxsize=8)
    def matrices(size: int) -> Tensor:
        with torch.inference_mode(False):
            return torch.stack([blur(1, size, size, deviation * (i + 1) / BLURS).rows for i in range(BLURS)])

    def known(values: Tensor, key: Key, step: int) -> Tensor:
        width = (noise.uniform(key, step, stream=noise.SIGHT) * BLURS).long().cpu()
        rows, columns = (matrices(size)[width][:, None].to(values) for size in values.shape[2:])
        return rows @ values @ columns.mT

    return known


def noisy(most: float) -> Callable[[Tensor, Key, int], Tensor]:
    """By Gaussian noise of a deviation up to this one."""

    def known(values: Tensor, key: Key, step: int) -> Tensor:
        deviation = like(most * noise.uniform(key, step, stream=noise.SIGHT), values).to(values)
        return values + deviation * noise.normal(key, step, tuple(values.shape[1:]), noise.SHOWN).to(values)

    return known


@dataclass(frozen=True)
class Editing:
    """Shows the picture before, behind a channel of ones: grey is a picture too, no picture is not."""

    usual: float = 0.0
    ask: str = "phosphene edit RUN --image PICTURE --prompt WORDS"

    def parts(self, channels: int) -> dict[str, int]:
        return {GIVEN: 1, PICTURE: channels}

    def draw(self, values: Tensor, key: Key, step: int) -> Seen:
        raise ValueError(
            "this model changes pictures: give data of pairs, with task.kind editing (data.pairs)"
        )

    def show(self, seen: Seen, key: Key, step: int) -> Tensor:
        return torch.cat([torch.ones_like(seen.picture[:, :1]), seen.picture], dim=1)


MAKES: Mapping[type, Callable[[Any], Sight]] = {
    InpaintingTask: lambda s: Inpainting(s.fill),
    SuperResolutionTask: lambda s: SuperResolution(s.factor, s.augmentation),
    ColouringTask: lambda s: Seeing(lambda values, key, step: luma(values), 1),
    DeblurringTask: lambda s: Seeing(blurred(s.deviation)),
    DenoisingTask: lambda s: Seeing(noisy(s.noise)),
    EditingTask: lambda s: Editing(),
}


def sight(settings: TaskSettings) -> Sight | None:
    """What a task shows; None where it shows nothing."""
    make = MAKES.get(type(settings))
    return None if make is None else make(settings)


def parts(settings: TaskSettings, channels: int) -> Mapping[str, int]:
    """What the network is shown beside x, in order, with the channels of each part."""
    shows = sight(settings)
    return {} if shows is None else shows.parts(channels)


def extra(settings: TaskSettings, channels: int) -> int:
    """Channels that the network takes beside those of x."""
    return sum(parts(settings, channels).values())


def refuse_for(settings: TaskSettings, channels: int, size: int) -> None:
    """Raises ValueError for a task that pictures of these channels and size do not have."""
    if isinstance(settings, ColouringTask) and channels != 3:
        raise ValueError(f"task.kind 'colouring': it needs pictures in RGB, these have {channels} channels")
    if isinstance(settings, SuperResolutionTask) and size % settings.factor:
        raise ValueError(f"task.factor {settings.factor}: it does not divide data.size {size}")
