"""Memorisation: copies are flagged, mirrored and noisy ones too; healthy sets are not, counted over seeds."""

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import fisher_exact
from sklearn.datasets import load_digits

from phosphene.measures.features.fixed import normalised_pixels, pixels, random_convolutions
from phosphene.measures.memorisation import Views, exceeds, memorisation, neighbours, views

DIGITS = (load_digits(return_X_y=True)[0] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)


def rows(seen):
    """Pixels as they are."""
    return views(seen, lambda p: p.flatten(1).double())


def noisy(pictures, seed, deviation=5):
    noise = np.random.default_rng(seed).normal(0, deviation, pictures.shape)
    return (pictures + noise).clip(0, 255).astype(np.uint8)


def split(seed):
    """Training, held-out and further pictures."""
    order = np.random.default_rng(seed).permutation(len(DIGITS))
    return DIGITS[order[:900]], DIGITS[order[900:1200]], DIGITS[order[1200:]]


def test_neighbours_by_hand():
    training = np.array([[0.0, 0], [3, 0], [0, 10]])
    queries = Views(np.array([[1.0, 0], [3, 4]]), np.array([[3.0, 0.5], [100, 100]]))
    found = neighbours(queries, training)
    # The first: 1 to row 0 as it is, 0.5 to row 1 mirrored. The second: 4 to row 1, 5 to row 0.
    assert found.nearest.tolist() == [1, 1]
    assert found.mirrored.tolist() == [True, False]
    assert found.distance == pytest.approx([0.5, 4])
    assert found.ratio == pytest.approx([0.5 / 1, 4 / 5])
    far = np.sqrt([9 + 9.5**2, 9 + 36])  # row 2: from the mirrored first, and the second as it is
    assert found.calibrated == pytest.approx([0.5 / np.mean([0.5, 1, far[0]]), 4 / np.mean([4, 5, far[1]])])


def test_neighbours_across_blocks_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    training, plain, mirrored = rng.normal(size=(2500, 4)), *rng.normal(size=(2, 1100, 4))
    found = neighbours(Views(plain, mirrored), training)
    distance = np.minimum(*(np.linalg.norm(v[:, None] - training[None], axis=2) for v in (plain, mirrored)))
    ordered = np.sort(distance, axis=1)
    assert (found.nearest == distance.argmin(1)).all()
    assert np.abs(found.distance - ordered[:, 0]).max() < 1e-12
    assert np.abs(found.ratio - ordered[:, 0] / ordered[:, 1]).max() < 1e-12
    assert np.abs(found.calibrated - ordered[:, 0] / ordered[:, :50].mean(1)).max() < 1e-9


def test_an_exact_copy_has_distance_0():
    far = 1e6 + np.random.default_rng(0).normal(size=(30, 5))
    found = neighbours(Views(far[3:5], far[3:5] + 9), far)
    assert found.nearest.tolist() == [3, 4]
    assert found.distance.tolist() == [0, 0]
    assert found.ratio.tolist() == [0, 0]


def test_what_training_has_twice_is_no_nearer_than_its_twin():
    found = neighbours(Views(np.zeros((1, 1)), np.zeros((1, 1))), np.array([[0.0], [0], [5]]))
    assert (found.ratio[0], found.calibrated[0]) == (1, 0)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("encoder", [pixels(8), random_convolutions()], ids=lambda e: e.name)
def test_copies_are_flagged(flip, encoder):
    training, held_out, _ = split(0)
    copied = noisy(training[:60, ..., ::-1] if flip else training[:60], 0)
    known = encoder(training)
    found = memorisation(views(copied, encoder), known, views(held_out, encoder))
    assert found.memorising
    assert found.share.low > 0.9
    assert (found.made.nearest == np.arange(60)).mean() > 0.9
    assert (found.made.mirrored == flip).mean() > 0.9
    assert found.null.value < 0.05


@pytest.mark.parametrize("factor", [1.25, 0.8, 0.5])
def test_lighter_and_darker_copies_are_flagged(factor):
    """White is clipped: the bright part of a digit is all white."""
    training, held_out, _ = split(0)
    made = np.minimum(training[:100] * factor, 255).round().astype(np.uint8)
    encoder = normalised_pixels(8)
    found = memorisation(views(made, encoder), encoder(training), views(held_out, encoder))
    assert found.memorising
    assert found.share.value > 0.95
    assert found.null.value < 0.05


def test_a_third_of_the_second_distance_is_the_limit():
    """At x between 0 and 100 the ratio is x / (100 - x). Held-out pictures that are copies leave the
    calibrated distance no limit: the ratio alone judges."""
    training = np.array([[0.0], [100], [300]])
    held_out = Views(training.repeat(10, 0), training.repeat(10, 0))
    made = np.array([[24.8], [25.2], [49.0]])
    found = memorisation(Views(made, made), training, held_out)
    assert found.copies.tolist() == [True, False, False]
    assert found.null.value == 1


def test_the_limit_of_the_calibrated_distance_is_a_hundredth_of_held_out_pictures():
    """Of training pictures at 0, 0 and 90, at x below 45: 3 x / (x + x + 90 - x), and the ratio is 1."""
    training, held_out = np.array([[0.0], [0], [90]]), np.arange(10.0, 30.1, 0.1)[:, None]
    limit = float(np.quantile(3 * held_out / (held_out + 90), 0.01))
    x = 90 * limit / (3 - limit)
    made = np.array([[x - 0.01], [x + 0.01]])
    found = memorisation(Views(made, made), training, Views(held_out, held_out))
    assert found.copies.tolist() == [True, False]
    assert found.null.value == 2 / 201  # 10.0 and 10.1 lie below 10.2


def test_some_copies_among_new_pictures():
    training, held_out, others = split(1)
    made = others[:400].copy()
    made[:24] = noisy(training[:24], 1)
    found = memorisation(rows(made), rows(training).plain, rows(held_out))
    assert found.memorising
    assert found.copies[:24].all()
    assert found.copies[24:].mean() < 0.05


def test_copies_of_what_training_has_twice_are_flagged():
    training, held_out, _ = split(2)
    twice = np.concatenate([training, noisy(training, 3, 3)])
    found = memorisation(rows(noisy(training[:50], 2)), rows(twice).plain, rows(held_out))
    assert found.share.value == 1


@pytest.mark.parametrize(
    "encode", [rows, lambda seen: views(seen, normalised_pixels(8))], ids=["plain", "normalised"]
)
def test_healthy_sets_are_not_flagged(encode):
    alarms, shares, nulls = 0, [], []
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(len(DIGITS))
        training, held_out, made = (DIGITS[order[a:b]] for a, b in itertools.pairwise((0, 300, 450, 600)))
        found = memorisation(encode(made), encode(training).plain, encode(held_out))
        alarms += found.memorising
        shares.append(found.share.value)
        nulls.append(found.null.value)
    assert alarms <= 3  # of 100, tested at 1%
    assert np.mean(shares) == pytest.approx(np.mean(nulls), abs=0.01)


@pytest.mark.parametrize(
    "encode", [rows, lambda seen: views(seen, normalised_pixels(8))], ids=["plain", "normalised"]
)
def test_dull_pictures_are_no_copies(encode):
    # What a generator makes that has not learned yet.
    training, held_out, others = split(4)
    mean = np.broadcast_to(training.mean(0), (100, 1, 8, 8)).astype(np.uint8)
    blend = ((others[:100].astype(int) + others[100:200]) // 2).astype(np.uint8)
    grey = np.full((100, 1, 8, 8), 128, dtype=np.uint8)
    for made in (mean, blend, grey):
        found = memorisation(encode(made), encode(training).plain, encode(held_out))
        assert not found.memorising
        assert found.share.value <= 0.02


def test_what_is_near_to_everything_is_a_copy_of_nothing():
    # The middle of a Gaussian in 64 dimensions is 8 from every row, and rows are 11 from each other.
    drawn = np.random.default_rng(0).normal(size=(700, 64))
    held_out = Views(drawn[500:], drawn[500:])
    middle = np.random.default_rng(1).normal(0, 0.01, (50, 64))
    found = memorisation(Views(middle, middle), drawn[:500], held_out)
    assert found.made.distance.max() < found.held_out.distance.min()
    assert found.share.value == 0


@pytest.mark.parametrize("table", [(3, 10, 1, 20), (0, 5, 0, 5), (10, 10, 0, 10), (2, 40, 3, 30)])
def test_fisher(table):
    hits, total, null_hits, null_total = table
    wanted: Any = fisher_exact([[hits, total - hits], [null_hits, null_total - null_hits]], "greater")
    assert exceeds(*table) == pytest.approx(wanted.pvalue, rel=1e-9)


def test_memory_is_bounded_by_blocks():
    training = np.random.default_rng(0).normal(size=(40_000, 256)).astype(np.float32)  # 41 MB
    queries = Views(training[:64] + np.float32(0.1), training[64:128])
    tracemalloc.start()
    found = neighbours(queries, torch.from_numpy(training))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.nearest == 64 + np.arange(64)).all()
    assert (found.distance == 0).all()
    assert peak < 20e6


def test_too_few():
    some = Views(np.zeros((30, 2)), np.zeros((30, 2)))
    with pytest.raises(ValueError, match="2 pictures: this figure needs at least 3"):
        memorisation(some, np.zeros((2, 2)), some)
    few = Views(np.zeros((19, 2)), np.zeros((19, 2)))
    with pytest.raises(ValueError, match="19 held-out pictures: memorisation needs at least 20"):
        memorisation(some, np.zeros((5, 2)), few)
