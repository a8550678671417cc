"""What measures of restored pictures share: held-out pictures, and how far results are from them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.families.sampled import Sampled
from phosphene.measures.distances import frechet
from phosphene.measures.features.shipped import shipped
from phosphene.measures.interval import Interval
from phosphene.measures.kernel import kernel_distance, paired_distance

MEANT = 8  # samples of a mean
Bytes = UInt8[np.ndarray, "n c h w"]


class Sides(NamedTuple):
    """Pictures of a set: those that are restored, and as many others to compare distributions with."""

    own: Bytes
    others: Bytes


def held_out(folder: Path, size: int, count: int, seed: int = 0) -> Sides:
    """Twice `count` RGB pictures of a folder, by seed. Raises ValueError for too few."""
    found = prepare(find(str(folder)), size, channels="RGB").pictures
    if len(found) < 2 * count:
        raise ValueError(f"count {count}: {folder} has {len(found)} pictures; give half of that or less")
    order = np.random.default_rng(seed).permutation(len(found))
    return Sides(found[np.sort(order[:count])], found[np.sort(order[count : 2 * count])])


def psnr(a: Bytes, b: Bytes, where: np.ndarray | None = None) -> float:
    """Of all values together, in dB; where: the values that count. Infinite for what is equal."""
    wrong = (a.astype(np.float64) - b.astype(np.float64)) ** 2
    wrong = wrong if where is None else wrong[np.broadcast_to(where, wrong.shape)]
    error = float(wrong.mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


class Distribution(NamedTuple):
    """Distances of a set to the others: Fréchet, and the kernel's in thousandths; and the latter to the
    originals, pair by pair, which is much surer, as what the pictures are of is the same in both."""

    frechet: float
    kid: Interval
    paired: Interval

    @property
    def cells(self) -> tuple[str, str, str]:
        """As tables show it."""
        kernel, paired = (f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" for one in self[1:])
        return f"{self.frechet:.3f}", kernel, paired


COLUMNS = ("FD", "KID x 1000", "KID x 1000, paired")
NOTE = (
    "FD, KID: on the shipped encoder, to as many other held-out pictures; paired: to their own originals, "
    "which shares all but the fault. In brackets: 95% intervals."
)


def distribution(made: Bytes, sides: Sides) -> Distribution:
    """On the features of the encoder that is shipped."""
    encoder = shipped()
    ours, own, theirs = (encoder(one) for one in (made, sides.own, sides.others))
    kid, paired = kernel_distance(ours, theirs), paired_distance(ours, own)
    return Distribution(frechet(ours, theirs), kid.scaled(1000), paired.scaled(1000))


def to_images(pictures: Bytes) -> list[Image.Image]:
    return [Image.fromarray(np.ascontiguousarray(one.transpose(1, 2, 0))) for one in pictures]


def to_pictures(images: Sequence[Image.Image]) -> Bytes:
    return np.stack([np.asarray(image.convert("RGB")).transpose(2, 0, 1) for image in images])


Way = Callable[[int], Image.Image]
"""From the number of a picture to it restored."""


def sampled(ask: Callable[..., Sampled], n: int = 1) -> Way:
    """A sample of each picture, or the mean of n. ask(i, n=, seed=, first=): samples of picture i."""

    def way(i: int) -> Image.Image:
        made = ask(i, n=n, seed=1, first=i * n)
        return made.mean() if n > 1 else made[0]

    return way


def each(way: Way, count: int) -> Bytes:
    return to_pictures([way(i) for i in range(count)])


def threads(count: int | None) -> None:
    if count is not None:
        torch.set_num_threads(count)
