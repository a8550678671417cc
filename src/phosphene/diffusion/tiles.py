"""Pictures larger than a network was made for: asked of tiles that overlap, blended into one x0_hat.

    D(x) = sum_i w_i D(x on tile i) / sum_i w_i           at every level (MultiDiffusion, Bar-Tal et al. 2023)

The x that is walked, its noise and what is shown are those of the whole picture, so tiles agree on all but
their own views, and no seam is left to see. Near a border that is not the picture's own a tile is not
believed (the halo): where the network looks no farther than that, tiled and whole answers are the same.
Memory is that of `rows` tiles, whatever the picture, and of the picture itself.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.condition import Condition, join
from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.level import Level


def starts(length: int, size: int, overlap: int) -> list[int]:
    """Where tiles begin along a side: evenly, so that neighbours share at least `overlap` pixels."""
    assert length >= size > overlap >= 0
    count = 1 + -(-(length - size) // (size - overlap))
    return [round(i * (length - size) / max(count - 1, 1)) for i in range(count)]


def weights(start: int, length: int, size: int, overlap: int) -> Float[Tensor, " size"]:
    """How far a tile is believed along a side: not in a halo of a quarter of the overlap, then more and more
    over the rest of it; wholly at the picture's own borders."""
    halo = overlap // 4
    ramp = max(overlap - 2 * halo, 1)
    inside = torch.arange(size, dtype=torch.float32) + 0.5
    rise = ((inside - halo) / ramp).clamp(0, 1)
    fall = rise.flip(0)
    weight = torch.ones(size)
    weight = weight if start == 0 else torch.minimum(weight, rise)
    return weight if start + size == length else torch.minimum(weight, fall)


def tiled(denoise: Denoise, size: int, overlap: int, rows: int) -> Denoise:
    """The denoiser of pictures at least `size` pixels a side, by one of pictures of exactly that side.

    overlap: pixels, less than size. rows: tiles a call of the network.
    """

    def whole(x: Tensor, level: Level, condition: Condition) -> Tensor:
        if x.shape[2:] == (size, size):
            return denoise(x, level, condition)
        down, across = (
            {start: weights(start, length, size, overlap).to(x) for start in starts(length, size, overlap)}
            for length in x.shape[2:]
        )
        places = [Place(row, top, left) for row in range(len(x)) for top in down for left in across]
        answer, total = None, x.new_zeros(x.shape[2:])
        for start in range(0, len(places), rows):
            part = places[start : start + rows]
            cuts = torch.cat([place.cut(x, size) for place in part])
            numbers = torch.tensor([place.row for place in part], device=x.device)
            said = denoise(cuts, level.rows(numbers), join([place.of(condition, size) for place in part]))
            if answer is None:
                answer = x.new_zeros(len(x), said.shape[1], *x.shape[2:])
            for place, one in zip(part, said, strict=True):
                weight = down[place.top][:, None] * across[place.left]
                place.cut(answer, size).add_(weight * one)
                if place.row == 0:
                    total[place.top : place.top + size, place.left : place.left + size] += weight
        assert answer is not None
        return answer / total

    return whole


class Place(NamedTuple):
    """Where a tile lies: its picture's row in the batch, its top and left."""

    row: int
    top: int
    left: int

    def cut(self, x: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "1 c size size"]:
        """The tile, a view."""
        return x[self.row : self.row + 1, :, self.top : self.top + size, self.left : self.left + size]

    def of(self, condition: Condition, size: int) -> Condition:
        """What is told of the picture, and what is shown on the tile."""
        alone = condition.each(lambda t: t[self.row : self.row + 1])
        if condition.picture is None:
            return alone
        return replace(alone, picture=self.cut(condition.picture, size))
