"""Colours of a model's size on the light of a picture of any size.

    p = y + s (q - luma(q))         s = the largest share, at most 1, that keeps p within [-1, 1]

q is what was made, brought to the picture's size; y is the grey picture. luma is linear and that of a grey
picture is itself, so that luma(p) = y: what is coloured is the picture that was given, as sharp as it was.
Eyes see colours less sharply than light, which television and JPEG rely on as well.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion.measurement import LUMA
from phosphene.families.sampled import Sampled


@dataclass(frozen=True, eq=False)
class Recoloured:
    """grey: the picture, in [-1, 1]."""

    grey: Float[Tensor, "1 h w"]

    def put_back(self, made: Sampled) -> Sampled:
        """The picture in the colours of what was made of it."""
        size, part = self.grey.shape[1:], made.values
        if part.shape[2:] != size:
            part = functional.interpolate(part, size, mode="bicubic", antialias=size[0] < part.shape[2])
        values = coloured(self.grey, part)
        return replace(made, values=values, seen=self.grey.expand_as(values))


def coloured(grey: Float[Tensor, "1 h w"], colours: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Pictures in [-1, 1] that have the light of one, and others' colours as far as it allows."""
    light = torch.einsum("c,nchw->nhw", torch.tensor(LUMA).to(colours), colours)[:, None]
    chroma = colours - light
    room = (torch.where(chroma > 0, 1 - grey, 1 + grey) / chroma.abs()).amin(1, keepdim=True)
    share = room.clamp(max=1).nan_to_num(1.0)  # 0 / 0: nothing to be added, and no room for it
    return grey + share * chroma
