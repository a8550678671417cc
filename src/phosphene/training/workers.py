"""Data-parallel training: what each of several equal workers must agree on.

`torchrun --nproc-per-node N -m phosphene train ...` starts N workers; each computes its slice of every
batch, gradients are averaged while they are computed, and so the weights stay equal.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Workers:
    """This worker's rank among all."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, with gradients averaged over the workers."""
        return network if self.world == 1 else DistributedDataParallel(network)

    def agree(self, stop: bool, total: int | None) -> tuple[bool, int | None]:
        """Stop if any worker was told to; the total is the first worker's."""
        if self.world == 1:
            return stop, total
        mine = torch.tensor([int(stop), -1 if total is None or not self.first else total])
        dist.all_reduce(mine, dist.ReduceOp.MAX)
        return bool(mine[0]), None if mine[1] < 0 else int(mine[1])

    def mean(self, value: float) -> float:
        """The mean of a number over the workers."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return float(total) / self.world

    def gather(self, words: str) -> list[str]:
        """What every worker has to say."""
        if self.world == 1:
            return [words]
        said: list[str | None] = [None] * self.world
        dist.all_gather_object(said, words)
        return [word or "" for word in said]

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier()


@contextmanager
def workers(device: torch.device) -> Iterator[Workers]:
    """The workers that torchrun started, or this process alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Workers()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # gloo beside NCCL: flags and words are agreed on through the CPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Workers(dist.get_rank(), dist.get_world_size())
        dist.barrier()
    finally:
        dist.destroy_process_group()
