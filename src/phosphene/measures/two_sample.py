"""Can a classifier tell made from real? (Lopez-Paz and Oquab 2017)

Logistic regression on standardised features, cross-validated: the share of pictures, never trained on, whose
side it names. 1/2 where nothing tells them apart. The control does the same with real against other real
pictures, at equal counts; where its interval misses 1/2, the features or the counts are at fault and not the
generator.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from phosphene.measures.interval import Interval, share
from phosphene.measures.rows import Array, to_rows


@dataclass(frozen=True)
class TwoSample:
    """accuracy: made against real; control: real against other real; count: pictures on each side of both."""

    accuracy: Interval
    control: Interval
    count: int


def two_sample(
    real: Float[Array, "n d"], made: Float[Array, "m d"], seed: int = 0, folds: int = 5, most: int = 2000
) -> TwoSample:
    """Uses `most` pictures a side at most. Raises ValueError below 20 made or 40 real pictures."""
    x, y = to_rows(real, 40), to_rows(made, 20)
    rng = np.random.default_rng(seed)
    x, y = rng.permutation(x), rng.permutation(y)
    count = min(len(x) // 2, len(y), most)
    first, second, third = x[:count], x[count : 2 * count], y[:count]
    right, control = (told_apart(first, other, seed, folds) for other in (third, second))
    # Folds share what they trained on: variance p (1 - p) (1/tested + 1/trained) (Nadeau and Bengio 2003).
    tested = 1 / (1 + folds / (folds - 1))
    accuracy, chance = (share(tested * int(hits.sum()), tested * len(hits)) for hits in (right, control))
    return TwoSample(accuracy, chance, count)


def told_apart(
    a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "m d"], seed: int, folds: int
) -> Bool[np.ndarray, " k"]:
    """Of each row of a, then of b: whether a classifier trained on other rows names its side."""
    rows = np.concatenate([a, b])
    side = np.arange(len(rows)) >= len(a)
    # The penalty grows with dimensions, so that the prior spread of the score does not.
    machine = make_pipeline(StandardScaler(), LogisticRegression(C=1 / rows.shape[1], max_iter=500))
    cut = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return cross_val_predict(machine, rows, side, cv=cut) == side
