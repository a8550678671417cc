"""Adapters of a model: found, read, and merged into a copy of its weights.

{"runs/ink": 1, "runs/snow": 0.5}      a run of `adapt` or an adapter's folder, and how much of it
"""

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from phosphene import files
from phosphene.families.place import BEST, find_model, read
from phosphene.recipes.settings import from_toml
from phosphene.store import adapter, model
from phosphene.store.adapter import Weighted
from phosphene.store.card import of_merged
from phosphene.store.model import Model

Adapters = Mapping[Path | str, float] | Mapping[str, float] | Mapping[Path, float]


class AnotherBase(UserWarning):
    """An adapter is used on other weights than those that it was learned on."""


def find_adapter(place: Path | str, best: bool = False) -> Path | None:
    """The adapter's folder of a run, of such a folder itself, or of the run of this name below runs/; None
    where there is none. best: of a run, the adapter that measured best in training."""
    for folder in (Path(place), Path("runs") / place):
        for found in (folder / BEST,) if best else (folder / "model", folder):
            if (files.standing(found) / adapter.CONFIG).is_file():
                return found
    return None


def base_of(folder: Path) -> str:
    """Where the model is that a run's adapter was learned on.

    Raises ValueError for an adapter without its run, which does not know.
    """
    recipe = folder.parent / "recipe.toml"
    base = from_toml(recipe.read_text(), str(recipe)).base.model if recipe.is_file() else None
    if base is None:
        name = adapter.read_header(folder).base
        raise ValueError(f"{folder}: an adapter of the model {name}; give that model, and --adapter {folder}")
    return base


def adapted(plain: Model, adapters: Adapters) -> Model:
    """The model with adapters in its weights; one that was learned on other weights is warned of.

    Raises ValueError for what is no adapter, or one of another network.
    """
    if not adapters:
        return plain
    found = []
    for place, weight in adapters.items():
        folder = find_adapter(place)
        if folder is None:
            raise ValueError(
                f"adapter {place}: no adapter here; give a run of phosphene adapt, or its folder"
            )
        if not math.isfinite(weight):
            raise ValueError(f"adapter {place}: weight {weight}: give a number; 1 is as it was learned")
        found.append(Weighted(adapter.load(folder), weight))
        if words := adapter.stranger(found[-1].adapter, plain):
            warnings.warn(words, AnotherBase, stacklevel=3)
    return adapter.merged(plain, found)


def parsed(words: Sequence[str]) -> dict[str, float]:
    """Of a command line: PLACE is PLACE:1. Raises ValueError for one that is given twice."""
    adapters: dict[str, float] = {}
    for word in words:
        match = re.fullmatch(r"(.+):([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", word)
        place, weight = (word, 1.0) if match is None else (match[1], float(match[2]))
        if place in adapters:
            raise ValueError(f"adapter {place}: given twice; give one weight")
        adapters[place] = weight
    return adapters


def merge(place: Path | str, adapters: Adapters, out: Path | str, ema: float | None = None) -> Path:
    """Writes the model with adapters in its weights as an ordinary model folder; returns where.

    ema: the length of an average of the weights. Raises ValueError for a folder that is not empty, and as
    `adapted` does.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out {out}: something is here already; choose another --out")
    if not adapters:
        raise ValueError("adapters: give at least one")
    folder = find_model(place)
    made = adapted(read(folder, ema), adapters)
    header = made.header.model_copy(update={"ema": ()})
    out.parent.mkdir(parents=True, exist_ok=True)
    card = of_merged(made, model.called(folder))
    model.save(out, header, made.config, made.network.state_dict(), card)
    return out
