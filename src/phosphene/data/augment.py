"""Augmentation: mirror images, and EDM's, which does not leak into what is generated.

A transformed picture comes with nine numbers that say what was done; the network is told them in training
and told zeros when it generates (Karras et al. 2022, appendix F.2 and Table 6). With a0, a1 coins, a2, a5,
a6, a7 standard normal and a3, a4 angles, in this order:

    mirror x, y        a0, a1                                            labels a0, a1
    scale              by 2^(0.2 a2)                                     a2
    rotate             by a3                                             cos a3 - 1, sin a3
    stretch            by 2^(0.2 a5) along a4, its inverse across        a5 cos a4, a5 sin a4
    shift              by a6 / 8 of the width, a7 / 8 of the height      a6, a7

Angles turn x (to the right) towards y (downwards). All draws are functions of (key, step).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from torch.nn.functional import grid_sample

from phosphene.diffusion.noise import AUGMENT, Key, uniform

LABELS = 9
SCALE = 0.2
SHIFT = 1 / 8


class Geometry(NamedTuple):
    """What is done to each picture; all zeros is nothing. Mirrors are 0 or 1, angles in radians."""

    mirror_x: Float64[Tensor, " b"]
    mirror_y: Float64[Tensor, " b"]
    scale: Float64[Tensor, " b"]
    rotate: Float64[Tensor, " b"]
    stretch: Float64[Tensor, " b"]
    along: Float64[Tensor, " b"]
    shift_x: Float64[Tensor, " b"]
    shift_y: Float64[Tensor, " b"]

    def labels(self) -> Float32[Tensor, "b 9"]:
        """What the network is told (Table 6, last column)."""
        told = (
            self.mirror_x,
            self.mirror_y,
            self.scale,
            torch.cos(self.rotate) - 1,
            torch.sin(self.rotate),
            self.stretch * torch.cos(self.along),
            self.stretch * torch.sin(self.along),
            self.shift_x,
            self.shift_y,
        )
        return torch.stack(told, dim=1).float()


def flip(values: Float[Tensor, "b c h w"], key: Key, step: int) -> Float[Tensor, "b c h w"]:
    """Each picture mirrored left to right or not, with equal chances."""
    return _mirrored(values, uniform(key, step, (1,), AUGMENT)[:, 0] < 0.5, -1)


def edm_augment(
    values: Float[Tensor, "b c h w"], key: Key, step: int, probability: float
) -> tuple[Float[Tensor, "b c h w"], Float32[Tensor, "b 9"]]:
    """Transformed pictures and their labels. probability in [0, 1]: of each transformation; 0 is identity.

    As in the authors' runs, mirroring left to right is always on (a fair coin) unless probability is 0.
    It includes `flip`: use one or the other.
    """
    geometry = draw(key, step, probability)
    return transform(values, geometry), geometry.labels()


def draw(key: Key, step: int, probability: float) -> Geometry:
    """The geometry of each row."""
    if not 0 <= probability <= 1:
        raise ValueError(f"augmentation probability {probability}: give a number from 0 to 1")
    u = uniform(key, step, (15,), AUGMENT).T
    on = (u[:5] < probability).double()
    normal = torch.special.ndtri(u[5:9])
    coin = (u[9:12] < 0.5).double()
    angle = (2 * u[12:14] - 1) * math.pi
    return Geometry(
        mirror_x=coin[0] * (probability > 0),
        mirror_y=coin[1] * on[0],
        scale=normal[0] * on[1],
        rotate=angle[0] * on[2],
        stretch=normal[1] * on[3],
        # Half of the stretches go along the axes (the authors' code; the paper leaves it out).
        along=angle[1] * on[3] * coin[2],
        shift_x=normal[2] * on[4],
        shift_y=normal[3] * on[4],
    )


def transform(values: Float[Tensor, "b c h w"], geometry: Geometry) -> Float[Tensor, "b c h w"]:
    """The pictures moved as the geometry says, what lies beyond their edges reflected.

    Mirrors are exact, and so are rows that nothing else is done to. The rest is sampled bicubically and
    clamped to [-1, 1]. There is no antialiasing filter: scales are rarely below 3/4.
    """
    mirrored = _mirrored(values, geometry.mirror_x == 1, -1)
    mirrored = _mirrored(mirrored, geometry.mirror_y == 1, -2)
    moved = grid_sample(mirrored, _grid(values, geometry), "bicubic", "reflection", align_corners=False)
    still = torch.stack(geometry[2:]).eq(0).all(dim=0)
    return torch.where(still[:, None, None, None], mirrored, moved.clamp(-1, 1))


def _mirrored(values: Tensor, which: Tensor, axis: int) -> Tensor:
    return torch.where(which[:, None, None, None], values.flip(axis), values)


def _grid(values: Tensor, g: Geometry) -> Tensor:
    """For each pixel of the result, where in the mirrored picture it comes from, in grid_sample's units.

    A point p of the picture, in pixels from its centre, goes to stretch rotate scale p + shift; the grid
    is the inverse of that, with the factors inverted in turn.
    """
    height, width = values.shape[-2:]
    factor = 2 ** (SCALE * g.stretch)
    unstretch = _turn(g.along) @ torch.diag_embed(torch.stack([1 / factor, factor], 1)) @ _turn(-g.along)
    inverse = _turn(-g.rotate) @ unstretch / (2 ** (SCALE * g.scale))[:, None, None]
    shift = torch.stack([g.shift_x * (width * SHIFT), g.shift_y * (height * SHIFT)], 1)
    x = torch.arange(width, device=values.device).double() - (width - 1) / 2
    y = torch.arange(height, device=values.device).double() - (height - 1) / 2
    target = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    source = (target - shift[:, None, None]) @ inverse.mT[:, None]
    return (source / source.new_tensor([width / 2, height / 2])).to(values.dtype)


def _turn(angle: Float64[Tensor, " b"]) -> Float64[Tensor, "b 2 2"]:
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
