"""Captions of a data set as numbers of unique texts; a picture may have several."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

NONE = -1


class Captions(NamedTuple):
    """texts: unique, in order of first appearance. Picture i has those numbered
    numbers[starts[i]:starts[i + 1]]."""

    texts: tuple[str, ...]
    numbers: Int64[np.ndarray, " m"]
    starts: Int64[np.ndarray, " n1"]

    def choose(
        self, pictures: Int64[np.ndarray, " b"], share: Float64[np.ndarray, " b"]
    ) -> Int64[np.ndarray, " b"]:
        """One text of each picture, NONE where it has none. share in [0, 1): 0 is the first of several."""
        if not len(self.numbers):
            return np.full(len(pictures), NONE, np.int64)
        first, last = self.starts[pictures], self.starts[pictures + 1]
        place = first + np.floor(share * (last - first)).astype(np.int64)
        return np.where(last > first, self.numbers[np.minimum(place, len(self.numbers) - 1)], NONE)


def collect(captions: Sequence[Sequence[str]]) -> Captions:
    """The captions of pictures, in order."""
    known: dict[str, int] = {}
    numbers, starts = [], [0]
    for said in captions:
        numbers += [known.setdefault(text, len(known)) for text in said]
        starts.append(len(numbers))
    return Captions(tuple(known), np.array(numbers, np.int64), np.array(starts, np.int64))
