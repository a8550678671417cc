import dataclasses
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.ahead import Ahead
from phosphene.data.dataset import Dataset, Report
from phosphene.data.loader import Loader, indices, permutation
from phosphene.pictures.pixels import to_values

PICTURES = np.random.default_rng(1).integers(0, 256, (50, 3, 4, 4), np.uint8)
DATA = Dataset(
    PICTURES,
    np.arange(50) % 7,
    tuple("abcdefg"),
    None,
    ("",) * 50,
    "print",
    Report(50, 50, (), 0, {}, {}, ()),
)
seeds = st.integers(0, 2**63 - 1)


@given(st.integers(1, 40), st.integers(1, 60), seeds, st.integers(0, 10**6))
def test_every_epoch_is_a_permutation(count, batch, seed, start):
    first = -(-start * count // batch) + 1
    steps = range(first, first + 3 * count // batch + 3)
    stream = np.concatenate([indices(count, batch, seed, step) for step in steps])
    skip = -first * batch % count
    epochs = stream[skip : skip + (len(stream) - skip) // count * count].reshape(-1, count)
    assert len(epochs)
    assert (np.sort(epochs, axis=1) == np.arange(count)).all()


def test_a_step_is_a_window_of_the_epochs_end_to_end():
    stream = np.concatenate([permutation(10, 5, epoch) for epoch in range(8)])
    for step in range(9):
        assert np.array_equal(indices(10, 8, 5, step), stream[8 * step : 8 * step + 8])
    assert np.array_equal(indices(10, 33, 5, 1), stream[33:66])


def test_an_epoch_is_the_rank_of_philox_words():
    # Raw words of Philox4x64 are fixed for all NumPy versions; this order must never change.
    assert (
        permutation(8, 0, 0).tolist()
        == np.random.Philox(key=np.zeros(2, np.uint64)).random_raw(8).argsort().tolist()
    )
    assert not np.array_equal(permutation(50, 1, 2), permutation(50, 2, 1))
    assert len({tuple(permutation(20, seed, epoch)) for seed in range(5) for epoch in range(5)}) == 25


def test_orders_are_uniform():
    counts = np.zeros((5, 5))
    for epoch in range(2000):
        counts[np.arange(5), permutation(5, 11, epoch)] += 1
    chi = ((counts - 400) ** 2 / 400).sum()
    assert chi < 45  # 16 degrees of freedom: beyond the 0.9999 quantile


@pytest.mark.parametrize("resident", [0, 10**9])
def test_rows_are_the_pictures_of_the_order(resident):
    chosen = np.arange(3, 47, 2)
    loader = Loader(DATA, chosen, 16, 9, "cpu", resident=resident)
    assert (loader.resident is None) == (resident == 0)
    for step in (0, 1, 5, 1000):
        rows = loader.batch(step)
        numbers = chosen[indices(22, 16, 9, step)]
        assert rows.numbers.tolist() == numbers.tolist()
        assert torch.equal(rows.values, to_values(torch.from_numpy(PICTURES[numbers])))
        assert rows.labels is not None
        assert rows.labels.tolist() == (numbers % 7).tolist()
        assert rows.places.tolist() == list(range(16))


@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 50))
def test_batches_do_not_depend_on_the_number_of_workers(world, each, step):
    chosen, batch = np.arange(32), world * each
    alone = Loader(DATA, chosen, batch, 4, "cpu").batch(step)
    parts = [Loader(DATA, chosen, batch, 4, "cpu", rank, world).batch(step) for rank in range(world)]
    for field in ("values", "labels", "numbers", "places"):
        assert torch.equal(torch.cat([getattr(part, field) for part in parts]), getattr(alone, field))
    # Gradients are averaged over workers, not over rows.
    assert [len(part.numbers) for part in parts] == [each] * world


def test_the_limit_of_what_stays_on_the_device_counts_bytes():
    assert Loader(DATA, np.arange(20), 8, 0, "cpu", resident=20 * 48).resident is not None
    assert Loader(DATA, np.arange(20), 8, 0, "cpu", resident=20 * 48 - 1).resident is None


def test_a_memory_map_is_read(tmp_path):
    np.save(tmp_path / "p.npy", PICTURES)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    data = Dataset(mapped, None, (), None, DATA.names, "print", DATA.report)
    for resident in (0, 10**9):
        loader = Loader(data, np.arange(50), 8, 0, "cpu", resident=resident)
        rows = loader.batch(3)
        loader.close()
        assert torch.equal(rows.values, Loader(DATA, np.arange(50), 8, 0, "cpu").batch(3).values)
        assert rows.labels is None


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


def slow(seconds: float) -> Dataset:
    """A data set whose pictures take a while to read."""

    class Slow(np.ndarray):
        def __getitem__(self, key):
            time.sleep(seconds * isinstance(key, np.ndarray))
            return np.asarray(self)[key]

    return dataclasses.replace(DATA, pictures=PICTURES.view(Slow))


@given(st.lists(st.integers(0, 12), max_size=12), st.sampled_from([(0, 1), (0, 2), (1, 2)]))
def test_read_ahead_is_what_is_resident_whatever_the_order(steps, place):
    """Steps in turn, again, skipped or back: a batch is a function of (seed, step)."""
    ahead = Loader(DATA, np.arange(3, 47), 16, 9, "cpu", *place, resident=0)
    kept = Loader(DATA, np.arange(3, 47), 16, 9, "cpu", *place)
    for step in [*range(4), *steps, *range(9, 12)]:
        for one, other in zip(ahead.batch(step), kept.batch(step), strict=True):
            if one is None or other is None:
                assert one is other
            else:
                assert torch.equal(one, other)
    ahead.close()
    assert torch.equal(ahead.batch(3).values, kept.batch(3).values)  # and goes on if it is asked to
    ahead.close()
    assert threads() == []


def test_a_resident_set_needs_no_thread():
    loader = Loader(DATA, np.arange(50), 8, 0, "cpu")
    loader.batch(0)
    assert threads() == []
    loader.close()


def test_the_next_batches_are_read_while_one_is_used():
    """Reading takes 50 ms and using one 80 ms: after the first, nothing is waited for."""
    loader = Loader(slow(0.05), np.arange(50), 8, 0, "cpu", resident=0)
    loader.batch(0)
    waited = []
    for step in range(1, 6):
        time.sleep(0.08)
        assert threads() == ["ahead_0"]
        began = time.perf_counter()
        loader.batch(step)
        waited.append(time.perf_counter() - began)
    assert sorted(waited)[2] < 0.025
    loader.close()


def test_closing_drops_what_was_not_begun():
    loader = Loader(slow(0.2), np.arange(50), 8, 0, "cpu", resident=0)
    loader.batch(0)
    began = time.perf_counter()
    loader.close()
    assert time.perf_counter() - began < 0.35  # one of three
    assert threads() == []


def test_an_error_of_the_thread_is_raised_where_its_batch_is_taken():
    calls = []

    def make(number: int) -> int:
        calls.append(number)
        if number == 2:
            raise OSError("disk")
        return number * 10

    ahead = Ahead(make, 2)
    assert [ahead.take(0), ahead.take(1)] == [0, 10]
    with pytest.raises(OSError, match="disk"):
        ahead.take(2)
    assert ahead.take(3) == 30
    ahead.close()
    assert calls[:4] == [0, 1, 2, 3]


def test_errors():
    with pytest.raises(
        ValueError, match=r"^batch 256 is more than the 40 training pictures: pass --batch 40 or less$"
    ):
        Loader(DATA, np.arange(40), 256, 0, "cpu")
    line = "batch {} does not divide into 3 workers: pass --batch {} or another multiple of 3"
    for batch, more in ((2, 3), (32, 33)):
        with pytest.raises(ValueError, match="^" + line.format(batch, more) + "$"):
            Loader(DATA, np.arange(40), batch, 0, "cpu", 1, 3)
