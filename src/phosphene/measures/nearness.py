"""How near pictures are to those that they should be: the peak signal-to-noise ratio.

PSNR = 10 log10(255^2 / mean squared error), in decibels, of bytes
"""

import numpy as np
from jaxtyping import Float64, UInt8

ROUNDING = 1 / 12  # the squared error of rounding to bytes, which says no picture is nearer than 58.9 dB


def psnr(made: UInt8[np.ndarray, "n c h w"], real: UInt8[np.ndarray, "n c h w"]) -> Float64[np.ndarray, " n"]:
    """Of each picture, in decibels, at most those of rounding: equal pictures are not infinitely near."""
    error = (made.astype(np.float64) - real.astype(np.float64)) ** 2
    mean = error.reshape(len(made), -1).mean(1)
    return 10 * np.log10(255**2 / np.maximum(mean, ROUNDING))
