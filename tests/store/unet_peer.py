"""diffusers' U-Net, the reference for the exchange; its import warns of its own dependencies."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from diffusers.models.unets.unet_2d import UNet2DModel

__all__ = ["UNet2DModel"]
