"""A hole filled smoothly from its rim: what inpainting may show in place of grey.

The smoothest picture that agrees with what is known solves Laplace's equation in the hole: each missing pixel
is the mean of its four neighbours. Pull-push (Gortler et al. 1996, "The lumigraph", section 3.5) comes near:
the known pixels of each 2x2 square are averaged, the half as large picture is filled in the same way and
enlarged, and a few sweeps of Jacobi at each size carry it nearer to that mean.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SWEEPS = 8  # at each size


def smooth(picture: Float[Tensor, "b c h w"], mask: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    """The picture where the mask is above 0, to the last bit, and a smooth continuation of it where it is 0;
    grey (0) where nothing is known at all."""
    mask = (mask > 0).to(picture)
    height, width = picture.shape[2:]
    if height == width == 1:
        return mask * picture
    share = _halved(mask)
    smaller = _halved(mask * picture) / share.clamp(min=1e-6)
    coarse = smooth(smaller, share)
    filled = functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    filled = torch.where(mask > 0, picture, filled)
    for _ in range(SWEEPS):
        filled = torch.where(mask > 0, picture, _neighbours(filled))
    return filled


def _halved(values: Tensor) -> Tensor:
    """Means of 2x2 squares; of what there is of them at an odd edge."""
    return functional.avg_pool2d(values, 2, ceil_mode=True)


def _neighbours(values: Tensor) -> Tensor:
    """The mean of the pixels above, below and beside; beyond an edge it is as at it."""
    padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    rows = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    return (rows + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]) / 4
