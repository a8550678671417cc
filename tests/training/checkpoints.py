"""Checkpoints of known content, for the tests of reading and of writing them."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.training.checkpoint import Damaged, load, save


def content(step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a run would have at a step; no two steps are alike."""
    values = torch.randn(40, generator=torch.Generator().manual_seed(step))
    return {"net/w": values[:30].reshape(5, 6), "net/b": values[30:], "t": torch.tensor(step)}, {
        "seen": 8 * step
    }


def put(folder: Path, *steps: int) -> None:
    for step in steps:
        save(folder, step, *content(step))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check(folder: Path, step: int) -> tuple[Damaged, ...]:
    """What is loaded is exactly what was saved at the step."""
    found = load(folder)
    tensors, facts = content(step)
    assert (found.step, found.facts) == (step, facts)
    assert found.tensors.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(found.tensors[name], value)
    return found.damaged
