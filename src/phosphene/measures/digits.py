"""Can generated digits be read? A classifier trained on real ones says, class by class."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from phosphene.pictures.pixels import to_bytes

if TYPE_CHECKING:
    from sklearn.svm import SVC


class Read(NamedTuple):
    """Shares read as what was asked for: in all, by class; and of real digits never trained on."""

    accuracy: float
    by_class: Mapping[str, float]
    on_real: float


@cache
def classifier() -> "tuple[SVC, float]":
    """A support vector machine on half of the digits, and its accuracy on the other half."""
    from sklearn.datasets import load_digits  # slow to import, and few who import this read digits
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.5, random_state=0, stratify=y)
    # gamma is a number too; the stubs that pyright brings know only its names.
    machine = SVC(gamma=0.001, C=10).fit(x_train, y_train)  # pyright: ignore[reportArgumentType]
    return machine, float(machine.score(x_test, y_test))


def read(values: Float[Tensor, "n 1 8 8"], labels: Sequence[int]) -> Read:
    """Reads digits in [-1, 1] that were asked for by label."""
    machine, on_real = classifier()
    pixels = to_bytes(values).numpy().reshape(len(labels), 64) * (16 / 255)
    asked = np.asarray(labels)
    right = machine.predict(pixels) == asked
    by_class = {str(label): float(right[asked == label].mean()) for label in sorted(set(labels))}
    return Read(float(right.mean()), by_class, on_real)
