import hashlib

import numpy as np
import pytest

from phosphene.data.dataset import Dataset, Report

RANDOM = np.random.default_rng(3).integers(0, 256, (2000, 1, 2, 4), np.uint8)


def dataset(pictures):
    report = Report(len(pictures), len(pictures), (), 0, {}, {}, ())
    names = tuple(f"{i}.png" for i in range(len(pictures)))
    return Dataset(pictures, None, (), None, names, "print", report)


def test_both_sides_make_the_whole():
    train, out = dataset(RANDOM).split(0.2, 7)
    assert np.array_equal(np.sort(np.concatenate([train, out])), np.arange(2000))
    assert np.array_equal(train, np.sort(train))
    assert abs(len(out) - 400) < 4 * np.sqrt(2000 * 0.2 * 0.8)
    assert (dataset(RANDOM).size, dataset(RANDOM).channels) == (4, 1)


def test_a_side_is_a_hash_of_seed_and_pixels():
    _, out = dataset(RANDOM).split(0.2, 7)
    salt = (7).to_bytes(16, "little")
    hashes = [hashlib.blake2b(p.tobytes(), digest_size=8, salt=salt).digest() for p in RANDOM]
    assert out.tolist() == [i for i, h in enumerate(hashes) if int.from_bytes(h, "little") < 0.2 * 2**64]
    assert not np.array_equal(out, dataset(RANDOM).split(0.2, 8)[1])


def test_equal_pictures_are_on_one_side():
    order = np.random.default_rng(0).permutation(4000) % 2000
    train, out = dataset(RANDOM[order]).split(0.3, 1)
    assert not set(order[train]) & set(order[out])
    assert len(out) == 2 * len(dataset(RANDOM).split(0.3, 1)[1])


def test_nobody_changes_sides_when_pictures_join():
    few, many = dataset(RANDOM[:500]).split(0.1, 1)[1], dataset(RANDOM).split(0.1, 1)[1]
    assert np.array_equal(few, many[many < 500])


def test_a_larger_share_holds_out_more_of_the_same():
    small, large = (set(dataset(RANDOM).split(share, 1)[1]) for share in (0.1, 0.4))
    assert small < large


def test_at_least_one_is_held_out():
    for seed in range(20):
        train, out = dataset(RANDOM[:3]).split(0.001, seed)
        assert (len(train), len(out)) == (2, 1)
    train, out = dataset(RANDOM[:3]).split(0.0, 0)
    assert (len(train), len(out)) == (3, 0)


def test_errors():
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"held_out {share}: give a share"):
            dataset(RANDOM).split(share, 0)
    with pytest.raises(ValueError, match=r"held_out 0.1 of 5 pictures leaves none to train on"):
        dataset(RANDOM[[0] * 5]).split(0.1, 0)
