"""Batches whose order is a function of (seed, step): there is nothing to replay when a run resumes.

Each epoch is a permutation that follows from (seed, epoch) alone. The permutations lie end to end, and step
s takes positions s * batch to (s + 1) * batch, across the border of epochs where it falls inside. A worker of
several takes a contiguous slice of the same batch, so the order does not depend on how many there are.

Pictures that are not kept on the device are copied out of the cache file, or decoded where they are streamed,
ahead of time by a thread: what it makes is a function of (seed, step) too, so nothing is lost with it.
"""

import mmap
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from phosphene.data.ahead import Ahead
from phosphene.data.dataset import Dataset
from phosphene.data.streamed import Streamed
from phosphene.pictures.pixels import to_values

RESIDENT = 256 * 2**20
AHEAD = 3  # batches that are read while one is trained on


@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> Int64[np.ndarray, " count"]:
    """The order of one epoch: the ranks of raw Philox words, which NumPy keeps the same in all versions."""
    bits = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(count)
    order = np.argsort(bits, kind="stable")
    order.flags.writeable = False
    return order


def indices(count: int, batch: int, seed: int, step: int) -> Int64[np.ndarray, " batch"]:
    """Which of `count` pictures make the batch of a step. seed in [0, 2^63), step >= 0."""
    position = step * batch + np.arange(batch, dtype=np.int64)
    epoch, place = np.divmod(position, count)
    chosen = np.empty_like(place)
    for number in range(int(epoch[0]), int(epoch[-1]) + 1):
        chosen[epoch == number] = permutation(count, seed, number)[place[epoch == number]]
    return chosen


class Rows(NamedTuple):
    """A batch, or one worker's slice of it, on the device.

    numbers: the picture's index in the data set. places: the row in the whole batch; where a batch crosses
    from one epoch to the next a picture may be in it twice, but never a place. before: the pictures that
    these were made from, of data of pairs.
    """

    values: Float32[Tensor, "b c h w"]
    labels: Int64[Tensor, " b"] | None
    numbers: Int64[Tensor, " b"]
    places: Int64[Tensor, " b"]
    before: Float32[Tensor, "b c h w"] | None = None


def rows_of(dataset: Dataset, numbers: Int64[np.ndarray, " b"], device: torch.device) -> Rows:
    """These pictures in this order, as if they were a batch. In place of a streamed one that cannot be read
    stands the next, as itself."""
    labels = dataset.labels
    pixels, first, numbers = dataset.at(numbers)
    chosen = torch.from_numpy(numbers).to(device)
    return Rows(
        values=to_values(torch.from_numpy(pixels)).to(device),
        labels=None if labels is None else torch.from_numpy(labels[numbers]).to(device),
        numbers=chosen,
        places=torch.arange(len(numbers), device=device),
        before=None if first is None else to_values(torch.from_numpy(first)).to(device),
    )


class _Chosen(NamedTuple):
    """Which pictures make a batch, in the memory of the host. order: their places in `indices`."""

    order: Int64[Tensor, " b"]
    numbers: Int64[Tensor, " b"]
    labels: Int64[Tensor, " b"] | None


def read_at_random(pictures: np.ndarray) -> None:
    """Tells the system that a mapped file will be read here and there: otherwise each picture brings a
    hundred kilobytes of its neighbours along, which took a hundred times as long."""
    base = pictures
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
        base.madvise(mmap.MADV_RANDOM)


class Loader:
    """Batches of the given pictures of a data set, as values on a device.

    rank, world: worker r of w takes rows [r * batch / w, (r + 1) * batch / w) of each batch. All take equally
    many: the mean of their gradients is the batch's only then, and their numbers of parts are equal.
    resident: up to how many bytes of pictures are kept on the device; more are read from the cache file, by a
    thread that `close` ends. Streamed pictures are never kept. In place of one that cannot be read stands the
    next of the given pictures, as itself: with its number and label.
    Raises ValueError for a batch larger than the number of pictures or that the workers do not divide.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: Int64[np.ndarray, " n"],
        batch: int,
        seed: int,
        device: torch.device | str,
        rank: int = 0,
        world: int = 1,
        resident: int = RESIDENT,
    ) -> None:
        if batch > len(indices):
            raise ValueError(
                f"batch {batch} is more than the {len(indices)} training pictures: "
                f"pass --batch {len(indices)} or less"
            )
        if batch % world:
            raise ValueError(
                f"batch {batch} does not divide into {world} workers: "
                f"pass --batch {(batch // world + 1) * world} or another multiple of {world}"
            )
        assert 0 <= rank < world
        self.dataset, self.indices, self.batch_size, self.seed = dataset, indices, batch, seed
        self.device = torch.device(device)
        self.slice = slice(rank * batch // world, (rank + 1) * batch // world)
        pictures, self.resident, self.resident_before = dataset.pictures, None, None
        self.ahead = Ahead(self.read, AHEAD)
        if isinstance(pictures, Streamed):
            return
        if len(indices) * pictures[0].nbytes * (1 if dataset.before is None else 2) <= resident:
            self.resident = torch.from_numpy(pictures[indices]).to(self.device)
            if dataset.before is not None:
                first = pictures[dataset.before[indices]]
                self.resident_before = torch.from_numpy(first).to(self.device)
        else:
            read_at_random(pictures)

    def batch(self, step: int) -> Rows:
        """The rows of a step."""
        if self.resident is None:
            chosen, pixels, before = self.ahead.take(step)
        else:
            chosen = self.chosen(self.order(step))
            there = chosen.order.to(self.device, non_blocking=True)
            pixels = self.resident[there]
            before = None if self.resident_before is None else self.resident_before[there]
        labels = chosen.labels
        return Rows(
            values=to_values(pixels.to(self.device, non_blocking=True)),
            labels=None if labels is None else labels.to(self.device, non_blocking=True),
            numbers=chosen.numbers.to(self.device, non_blocking=True),
            places=torch.arange(self.slice.start, self.slice.stop, device=self.device),
            before=None if before is None else to_values(before.to(self.device, non_blocking=True)),
        )

    def close(self) -> None:
        """Ends the threads, if there are any."""
        self.ahead.close()
        if isinstance(self.dataset.pictures, Streamed):
            self.dataset.pictures.close()

    def order(self, step: int) -> Int64[np.ndarray, " b"]:
        """This worker's slice of a step's batch, as places in `indices`."""
        return indices(len(self.indices), self.batch_size, self.seed, step)[self.slice]

    def chosen(self, order: Int64[np.ndarray, " b"]) -> _Chosen:
        numbers, labels = self.indices[order], self.dataset.labels
        known = None if labels is None else self.host(labels[numbers])
        return _Chosen(self.host(order), self.host(numbers), known)

    def read(self, step: int) -> tuple[_Chosen, UInt8[Tensor, "b c h w"], UInt8[Tensor, "b c h w"] | None]:
        """What the thread makes: the pixels, out of the cache file or decoded."""
        order, pictures, before = self.order(step), self.dataset.pictures, self.dataset.before
        if isinstance(pictures, Streamed):
            pixels, first, order = pictures.take(self.indices, order, before)
        else:
            pixels = pictures[self.indices[order]]
            first = None if before is None else pictures[before[self.indices[order]]]
        return self.chosen(order), self.host(pixels), None if first is None else self.host(first)

    def host(self, values: np.ndarray) -> Tensor:
        """The values where the device can copy them from while the host goes on."""
        tensor = torch.from_numpy(values)
        return tensor.pin_memory() if self.device.type == "cuda" else tensor
