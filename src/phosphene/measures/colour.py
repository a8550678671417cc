"""Colour drift: made pictures lighter, flatter or more coloured than real ones, in standard errors."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8
from torch import Tensor

from phosphene.measures.interval import Interval, around

CHANNELS = {
    1: ("grey",),
    2: ("grey", "alpha"),
    3: ("red", "green", "blue"),
    4: ("red", "green", "blue", "alpha"),
}


class Drift(NamedTuple):
    """One quantity of a picture: its mean over real and made ones, made - real, and that in standard errors.

    Means and deviations of channels, brightness and saturation are in [0, 1].
    """

    quantity: str
    real: float
    made: float
    difference: Interval
    errors: float


def colour(
    made: UInt8[np.ndarray | Tensor, "n c h w"], real: UInt8[np.ndarray | Tensor, "m c h w"]
) -> tuple[Drift, ...]:
    """Drift of each channel's mean and deviation over a picture, of brightness, and of saturation where
    there is colour.

    Raises ValueError below 2 pictures. Where no picture differs from another in a quantity, errors is 0 or
    infinite.
    """
    names, x = quantities(made)
    _, y = quantities(real)
    return tuple(_drift(name, x[:, i], y[:, i]) for i, name in enumerate(names))


def quantities(
    pictures: UInt8[np.ndarray | Tensor, "n c h w"],
) -> tuple[tuple[str, ...], Float64[np.ndarray, "n q"]]:
    """Names of the quantities, and a row of them for each picture."""
    bytes_ = pictures.cpu().numpy() if isinstance(pictures, Tensor) else pictures
    if len(bytes_) < 2:
        raise ValueError(f"{len(bytes_)} pictures: colour drift needs at least 2 on each side")
    channels = CHANNELS[bytes_.shape[1]]
    per_channel = (f"{what} of {name}" for name in channels for what in ("mean", "deviation"))
    names = (*per_channel, "brightness", *(("saturation",) if len(channels) > 2 else ()))
    return names, np.concatenate([_quantities(bytes_[i : i + 256]) for i in range(0, len(bytes_), 256)])


def _quantities(bytes_: UInt8[np.ndarray, "n c h w"]) -> Float64[np.ndarray, "n q"]:
    values = bytes_.astype(np.float64) / 255
    flat = values.reshape(*values.shape[:2], -1)
    columns = [column for c in range(flat.shape[1]) for column in (flat[:, c].mean(1), flat[:, c].std(1))]
    if flat.shape[1] < 3:
        return np.stack([*columns, flat[:, 0].mean(1)], 1)
    # BT.601 luma; saturation of HSV: (highest - lowest) / highest, 0 in black.
    luma = np.tensordot([0.299, 0.587, 0.114], flat[:, :3].mean(2), (0, 1))
    high, low = flat[:, :3].max(1), flat[:, :3].min(1)
    saturation = ((high - low) / np.where(high > 0, high, 1)).mean(1)
    return np.stack([*columns, luma, saturation], 1)


def _drift(name: str, made: Float64[np.ndarray, " n"], real: Float64[np.ndarray, " m"]) -> Drift:
    """By Welch's interval (1947)."""
    parts = [float(values.var(ddof=1)) / len(values) for values in (made, real)]
    error = float(np.sqrt(sum(parts)))
    difference = float(made.mean() - real.mean())
    if error == 0:
        far = 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
        return Drift(
            name, float(real.mean()), float(made.mean()), Interval(difference, difference, difference), far
        )
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (made, real), strict=True)
    )
    return Drift(
        name, float(real.mean()), float(made.mean()), around(difference, error, freedom), difference / error
    )
