"""Whether pictures show what their captions say, where that can be read exactly: shapes and faces.

A caption says part of what is true. Each aspect (of shapes) or attribute (of faces) that it names is judged
apart, and "all" is the share of pictures that show everything that they were asked for.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import UInt8

ALL = "all"

Judged = Mapping[str, list[bool]]
"""For all that was asked, and for each aspect, whether a picture shows it: of the pictures asked for it."""


def shapes_told(pictures: UInt8[np.ndarray, "n c h w"], captions: Sequence[str | None]) -> Judged:
    """By the oracle, which judges every aspect of any caption: what is not said cannot be wrong.

    Captions that it cannot read are left out. Raises ValueError for pictures that are too small for it.
    """
    from phosphene.data.made.shapes import caption, claims, oracle

    judged: dict[str, list[bool]] = defaultdict(list)
    for pixels, text in zip(rgb(pictures), captions, strict=True):
        if text is None:
            continue
        try:
            said = caption.parse(text)
        except ValueError:
            continue
        failed = oracle.accepts(said, np.ascontiguousarray(pixels.transpose(1, 2, 0))).failed
        judged[ALL].append(not failed)
        for aspect in claims.ASPECTS:
            judged[aspect].append(aspect not in failed)
    return judged


def faces_told(pictures: UInt8[np.ndarray, "n c h w"], captions: Sequence[str | None]) -> Judged:
    """By the shipped reader of attributes, whose own errors count as the pictures'."""
    from phosphene.data.made.faces import caption
    from phosphene.measures import attributes

    readings = attributes.read(torch.tensor(np.ascontiguousarray(rgb(pictures))))
    judged: dict[str, list[bool]] = defaultdict(list)
    seen = {name: readings.values(name) for name in readings.probabilities}
    for row, text in enumerate(captions):
        claimed = {} if text is None else caption.claims(text)
        for name, value in claimed.items():
            judged[name].append(seen[name][row] == value)
        if claimed:
            judged[ALL].append(all(seen[name][row] == value for name, value in claimed.items()))
    return judged


def rgb(pictures: UInt8[np.ndarray, "n c h w"]) -> UInt8[np.ndarray, "n 3 h w"]:
    """Grey repeated, transparency left out."""
    colours = pictures[:, :3] if pictures.shape[1] >= 3 else pictures[:, :1]
    return np.broadcast_to(colours, (len(pictures), 3, *pictures.shape[2:]))


JUDGES: Mapping[str, Callable[[UInt8[np.ndarray, "n c h w"], Sequence[str | None]], Judged]] = {
    "shapes": shapes_told,
    "faces": faces_told,
}
