"""What resume needs, on disk: a folder a step, whole or absent, and the newest two kept.

    state/step-00001234/
      tensors.safetensors    weights, averages, optimizer state
      state.json             step, facts, the tensor file's size and SHA-256, and the SHA-256 of all that

A checkpoint is written under a hidden name and renamed (phosphene.files), and the older ones go only then: a
kill at any moment leaves a good one. Reading runs no code: the files hold numbers and text.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from phosphene.files import replace_folder, sha256, sweep
from phosphene.store.tensors import write_tensors

TENSORS, STATE = "tensors.safetensors", "state.json"
KEPT = 2

Facts = Mapping[str, Any]  # what JSON can hold; NaN and infinity, which a loss can be, come back too


class Damaged(NamedTuple):
    """A checkpoint that cannot be used: its folder's name, and why, in one line."""

    name: str
    reason: str


class Loaded(NamedTuple):
    """A checkpoint, on the CPU, and the newer ones that had to be passed over."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    damaged: tuple[Damaged, ...]


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Facts) -> Path:
    """Writes a checkpoint below `folder` (a run's `state`) and returns where; all but the newest two then go.

    A checkpoint of the same step is replaced. Those of later steps are neither counted nor removed: load has
    passed them over, or this run would not be at `step`. The disk needs room for three.

    Raises OSError, one line that names the checkpoint, if it cannot be written; the others stay as they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    path = folder / f"step-{step:08d}"
    with replace_folder(path) as new:
        write_tensors(new / TENSORS, tensors)
        size, digest = (new / TENSORS).stat().st_size, sha256(new / TENSORS)
        state = {"step": step, "facts": facts, "tensors": {"size": size, "sha256": digest}}
        (new / STATE).write_text(json.dumps({**state, "sha256": _digest(state)}, indent=2))

    kept = 0
    for found, other in _checkpoints(folder):
        if found > step:
            continue
        if kept < KEPT and _whole(other):
            kept += 1
        else:
            shutil.rmtree(other)
    return path


def load(folder: Path) -> Loaded:
    """The newest good checkpoint below `folder`, every byte of it checked against its hash.

    Raises ValueError, one line with the reason for each that is damaged, if there is no good one.
    """
    damaged: list[Damaged] = []
    if found := next(every(folder, damaged), None):
        return found
    reasons = "".join(f"; {name} is damaged: {reason}" for name, reason in damaged)
    raise ValueError(f"{folder} has no checkpoint to resume from{reasons}")


def every(folder: Path, damaged: list[Damaged]) -> Iterator[Loaded]:
    """All good checkpoints below `folder`, the newest first; `damaged` learns of the others."""
    for _, path in _checkpoints(folder):
        try:
            state = _read_state(path)
            if sha256(path / TENSORS) != state["tensors"]["sha256"]:
                raise ValueError(f"{TENSORS} does not match its SHA-256")
            tensors = load_file(path / TENSORS)
        except OSError as error:
            damaged.append(Damaged(path.name, f"{Path(error.filename or path).name}: {error.strerror}"))
        except (ValueError, SafetensorError) as error:
            damaged.append(Damaged(path.name, str(error)))
        else:
            yield Loaded(state["step"], tensors, state["facts"], tuple(damaged))


def any_in(folder: Path) -> bool:
    """Whether a checkpoint was ever written below `folder`, good or damaged."""
    return any(True for _ in _checkpoints(folder))


def _checkpoints(folder: Path) -> Iterator[tuple[int, Path]]:
    """Step and place of each, the newest first; one being replaced (`.old`) comes after what replaces it."""
    matches = [re.fullmatch(r"step-(\d{8,})(\.old)?", path.name) for path in folder.glob("step-*")]
    found = [(int(match[1]), match[2] is None, match[0]) for match in matches if match]
    for step, _, name in sorted(found, reverse=True):
        yield step, folder / name


def _read_state(path: Path) -> dict[str, Any]:
    """state.json of a checkpoint whose files have their sizes; else OSError or ValueError with the reason."""
    try:
        state = json.loads((path / STATE).read_bytes())
    except ValueError:
        raise ValueError(f"{STATE} is not whole") from None
    if not isinstance(state, dict) or state.pop("sha256", None) != _digest(state):
        raise ValueError(f"{STATE} does not match its SHA-256")
    if path.name.removesuffix(".old") != f"step-{state['step']:08d}":
        raise ValueError(f"{STATE} is of step {state['step']}")
    size = (path / TENSORS).stat().st_size
    if size != state["tensors"]["size"]:
        raise ValueError(f"{TENSORS} has {size} bytes, not {state['tensors']['size']}")
    return state


def _whole(path: Path) -> bool:
    """Whether nothing is missing; to hash gigabytes of an older checkpoint at each save would be too slow."""
    try:
        _read_state(path)
    except (OSError, ValueError):
        return False
    return True


def _digest(state: Facts) -> str:
    """The same before and after a journey through JSON, which keeps the order of keys."""
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()
