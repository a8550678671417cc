"""Copies judged by the training pictures themselves."""

import numpy as np
import pytest

from phosphene.measures.left_out import MOST, left_out
from phosphene.measures.memorisation import RATIO, Views, exceeds


def both(rows: np.ndarray) -> Views:
    """Rows whose mirror images are the rows backwards."""
    return Views(rows, rows[:, ::-1].copy())


def test_copies_and_their_null_by_brute_force():
    rng = np.random.default_rng(0)
    training = rng.normal(size=(40, 6))
    made = np.concatenate([training[:9] + 1e-3, training[9:12, ::-1] - 1e-3, rng.normal(size=(8, 6))])
    found = left_out(both(made), both(training))

    def ratio(row: np.ndarray, others: np.ndarray) -> tuple[int, float]:
        far = np.minimum(np.linalg.norm(others - row, axis=1), np.linalg.norm(others - row[::-1], axis=1))
        first, second = np.argsort(far)[:2]
        return int(first), float(far[first] / far[second])

    nearest, ratios = zip(*(ratio(row, training) for row in made), strict=True)
    assert found.made.nearest.tolist() == list(nearest)
    assert found.made.nearest[:12].tolist() == list(range(12))
    np.testing.assert_allclose(found.made.ratio, ratios, rtol=1e-9)
    assert found.copies[:12].all()
    assert found.share.value == (np.array(ratios) < RATIO).mean()
    alone = [ratio(row, np.delete(training, i, 0)) for i, row in enumerate(training)]
    np.testing.assert_allclose(found.held_out.ratio, [each[1] for each in alone], rtol=1e-9)
    # The nearest other, by its number among all.
    assert found.held_out.nearest.tolist() == [n + (n >= i) for i, (n, _) in enumerate(alone)]
    hits = int((np.array([each[1] for each in alone]) < RATIO).sum())
    assert found.null.value == hits / 40
    assert found.memorising == (exceeds(int(found.copies.sum()), 20, hits, 40) < 0.01)
    assert found.memorising


def test_pictures_of_the_same_kind_are_no_copies():
    rng = np.random.default_rng(1)
    found = left_out(both(rng.normal(size=(60, 6))), both(rng.normal(size=(200, 6))))
    assert not found.memorising
    assert len(found.held_out.ratio) == MOST


def test_of_many_those_at_even_distances_are_left_out():
    training = np.random.default_rng(2).normal(size=(150, 3))
    found = left_out(Views(training[:5], training[:5]), Views(training, training))
    between = np.linalg.norm(training[:, None] - training[None], axis=2)
    np.fill_diagonal(between, np.inf)
    rows = np.arange(MOST) * 150 // MOST
    np.testing.assert_allclose(found.held_out.distance, between.min(1)[rows], rtol=1e-9)
    assert rows[-1] == 147


def test_too_few_pictures_are_refused():
    with pytest.raises(ValueError, match="needs at least 4"):
        left_out(both(np.zeros((5, 2))), both(np.zeros((3, 2))))
