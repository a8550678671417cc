"""Memorisation where too few pictures were held out to say what is ordinary: then training pictures say it.

A training picture among the others is what a new picture of the kind would be among them. So the null is
the share of training pictures, each left out once, whose nearest other is at less than a third of the
distance of the second nearest; made pictures are judged by that ratio alone, mirror images included.
"""

import numpy as np
from jaxtyping import Float

from phosphene.measures.interval import share
from phosphene.measures.memorisation import LEVEL, RATIO, Memorised, Neighbours, Views, exceeds, neighbours
from phosphene.measures.rows import Array, to_rows

MOST = 64  # training pictures that are left out, at even distances


def left_out(made: Views, training: Views) -> Memorised:
    """As `memorisation`, without held-out pictures. Raises ValueError below 4 training pictures."""
    plain, mirrored = to_rows(training.plain, 4), to_rows(training.mirrored, 4)
    seen = neighbours(made, plain)
    count = min(MOST, len(plain))
    rows = np.arange(count) * len(plain) // count
    parts = [_alone(plain, mirrored, int(row)) for row in rows]
    null = Neighbours(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    copies, wrong = seen.ratio < RATIO, null.ratio < RATIO
    test = (int(copies.sum()), len(copies), int(wrong.sum()), len(wrong))
    return Memorised(share(*test[:2]), share(*test[2:]), exceeds(*test) < LEVEL, copies, seen, null)


def _alone(plain: Float[Array, "n d"], mirrored: Float[Array, "n d"], row: int) -> Neighbours:
    """The neighbours of one training picture among the others."""
    others = np.delete(np.asarray(plain), row, axis=0)
    query = Views(np.asarray(plain)[row : row + 1], np.asarray(mirrored)[row : row + 1])
    found = neighbours(query, others)
    return found._replace(nearest=found.nearest + (found.nearest >= row))
