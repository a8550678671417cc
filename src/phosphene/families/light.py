"""Colours on the light of a picture that is known.

    p = y + s (q - luma(q))         s = the largest share, at most 1, that keeps p within [-1, 1]

y is the grey picture, q has the colours. luma is linear and that of a grey picture is itself, so that luma(p)
= y: what is coloured is the picture that was given, as sharp as it was. Eyes see colours less sharply than
light, which television and JPEG rely on as well.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.measurement import luma

LEAST = 1e-12  # of a colour: less has room everywhere


def tinted(grey: Float[Tensor, "b 1 h w"], colours: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Pictures in [-1, 1] that have the light of some, and others' colours as far as it allows."""
    chroma = colours - luma(colours)
    room = torch.where(chroma > 0, 1 - grey, 1 + grey) / chroma.abs().clamp(min=LEAST)
    return grey + room.amin(1, keepdim=True).clamp(max=1) * chroma
