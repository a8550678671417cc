"""Digits are read as a classifier reads them that never saw these."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from phosphene.measures import digits


@pytest.fixture(scope="module")
def halves():
    """Pixels in 0..16 and labels: those the classifier learned, and the others."""
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.5, random_state=0, stratify=y)
    return (x_train, y_train), (x_test, y_test)


def values(pixels: np.ndarray) -> torch.Tensor:
    """Digits of 0..16 as networks make them."""
    return torch.from_numpy(pixels / 8 - 1).float().reshape(-1, 1, 8, 8)


def test_real_digits_are_read_as_the_machine_reads_their_own_pixels(halves):
    (x_train, y_train), (x, y) = halves
    machine = SVC(gamma=0.001, C=10).fit(x_train, y_train)  # pyright: ignore[reportArgumentType]
    said = digits.read(values(x), y.tolist())
    assert said.on_real == machine.score(x, y)
    assert said.on_real < machine.score(x_train, y_train)
    # Bytes hold 16 levels to a quarter of one: the same digits are read.
    assert said.accuracy == pytest.approx(said.on_real, abs=1e-12)


def test_what_was_asked_for_counts_class_by_class(halves):
    x, y = halves[1]
    fours, nines = (x[y == label][:40] for label in (4, 9))
    read = [digits.read(values(some), [label] * 40).accuracy for some, label in ((fours, 4), (nines, 9))]
    # Thirty nines where fours were asked for.
    said = digits.read(values(np.concatenate([fours[:10], nines[:30], nines])), [4] * 40 + [9] * 40)
    right = digits.read(values(fours[:10]), [4] * 10).accuracy / 4
    assert min(read) > 0.9
    assert said.by_class == pytest.approx({"4": right, "9": read[1]})
    assert said.accuracy == pytest.approx((right + read[1]) / 2)
