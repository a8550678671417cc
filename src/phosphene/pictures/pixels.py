"""The one mapping between bytes and values: byte k of 0..255 is value 2 (k + 1/2) / 256 - 1.

A byte is a bin of width 1/128 and its value the bin's middle (VDM, Kingma et al. 2021, appendix): the 256
bins fill [-1, 1] without a gap, so a density over values gives exact bits per dimension. All values are
multiples of 1/256, exact in float32.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from torch import Tensor

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
WORDS = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}


def to_values(pixels: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
    """Bytes to values in [-255/256, 255/256]."""
    return (2 * pixels.float() - 255) / 256


def to_bytes(values: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Values to the byte whose bin they lie in; what is outside [-1, 1] goes to the nearest byte."""
    return torch.floor((values.float() + 1) * 128).clamp(0, 255).to(torch.uint8)


def to_pillow(values: Float[Tensor, "b c h w"]) -> list[Image.Image]:
    """Values to pictures: 1 channel is L, 2 LA, 3 RGB, 4 RGBA."""
    channels = values.shape[1]
    if channels not in MODES:
        raise ValueError(
            f"{channels} channels make no picture: accepted are 1 (L), 2 (LA), 3 (RGB), 4 (RGBA)"
        )
    rows = to_bytes(values).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(row[..., 0] if channels == 1 else row) for row in rows]


def from_pillow(images: Sequence[Image.Image]) -> Float32[Tensor, "b c h w"]:
    """Pictures of one size and one mode of L, LA, RGB, RGBA to values."""
    kinds = sorted({(image.mode, *image.size) for image in images})
    if len(kinds) != 1 or kinds[0][0] not in MODES.values():
        raise ValueError(
            f"pictures {kinds} do not make one batch: give one size and one of {[*MODES.values()]}"
        )
    rows = np.stack([np.asarray(image).reshape(image.height, image.width, -1) for image in images])
    return to_values(torch.from_numpy(rows).permute(0, 3, 1, 2)).contiguous()
