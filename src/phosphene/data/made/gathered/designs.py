"""Which families of fonts are one design: copies under other names, and further widths.

Many free fonts are copies (TeX Gyre Heros and Nimbus Sans of Helvetica), so holding out a family would leave
its twin in training. Each letter's ink is stretched to one square, which takes away scale, width and place.
Typefaces differ by the median over letters of

    |a - b|^2 / min(|a|^2, |b|^2)

for a letter's pixels a and b. In Debian's fonts copies and widths are at most 0.030 apart (Nimbus Mono and
TeX Gyre Cursor 0.024), other families at least 0.036 (DejaVu Sans and Noto Sans Display, both bold).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image
from PIL.Image import Resampling

SHAPED = 64  # pixels a side of the pictures that shapes are taken from
SIDE = 16
ALIKE = 0.033
KNOWN = (("DejaVu Math TeX Gyre", "DejaVu Serif"),)  # a thinner copy, 0.043 apart


def shape(picture: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "16 16"]:
    """The ink of a picture that has some, stretched to a square."""
    image = Image.fromarray(picture)
    return np.asarray(image.resize((SIDE, SIDE), Resampling.BOX, box=image.getbbox()))


def differences(shapes: UInt8[np.ndarray, "n c h w"]) -> Float64[np.ndarray, "n n"]:
    """How far typefaces are apart, all pairs: 0 for the same shapes."""
    count, letters = shapes.shape[:2]
    rows = np.ascontiguousarray(shapes.reshape(count, letters, -1).swapaxes(0, 1)).astype(np.float32) / 255
    energy = (rows**2).sum(axis=2)
    apart = np.zeros((count, count))
    for i in range(count):
        products = np.matmul(rows, rows[:, i, :, None])[:, :, 0]
        distances = np.maximum(energy + energy[:, i, None] - 2 * products, 0)
        apart[i] = np.median(distances / np.minimum(energy, energy[:, i, None]), axis=0)
    return apart


def designs(families: Sequence[str], shapes: UInt8[np.ndarray, "n c h w"]) -> list[str]:
    """For each of n typefaces, of which the family and the shapes of its letters are given, the name of its
    design: the first family of it by the alphabet.

    Families are one if any typeface of each are alike, if one's name begins with the other's (Roboto, Roboto
    Condensed), or if it is KNOWN, and so along a chain of them.
    """
    leader = {name: name for name in families}

    def root(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    alike = [(families[i], families[j]) for i, j in np.argwhere(differences(shapes) < ALIKE).tolist()]
    named = [(one, other) for one in leader for other in leader if other.startswith(one + " ")]
    known = [(one, other) for one, other in KNOWN if one in leader and other in leader]
    for one, other in (*alike, *named, *known):
        first, second = sorted((root(one), root(other)))
        leader[second] = first
    return [root(family) for family in families]
