"""A run from plain options, as command lines and callers give them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from phosphene.families.asked import known
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import Recipe, changed, from_toml
from phosphene.training.train import Outcome, Watcher, start
from phosphene.training.train import resume as go_on

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def run(
    data: str | Path | None,
    *,
    out: str | Path | None,
    recipe: str | Path | Recipe | None,
    size: int | None,
    budget: str | float | None,
    images: int | None,
    seed: int | None,
    batch: int | None,
    settings: Mapping[str, Any] | None,
    resume: str | Path | None,
    force: bool,
    device: str,
    threads: int | None,
    watcher: Watcher,
) -> Outcome:
    """What `phosphene.train` does (its words stand there), with how it ended."""
    use_threads(threads)
    changes = _length(budget, images)
    if resume is not None:
        fixed = {
            "out": out,
            "recipe": recipe,
            "size": size,
            "seed": seed,
            "batch": batch,
            "settings": settings,
            "force": force or None,
        }
        for name, value in fixed.items():
            if value is not None:
                raise ValueError(
                    f"{name}: fixed when the run began; with resume give only budget, images "
                    "or data (a folder that has moved)"
                )
        if data is not None:
            changes["data.source"] = str(data)
        return go_on(Path(resume), changes, device, watcher)
    if data is None:
        raise ValueError("data: give a folder of pictures or the name of a bundled set, such as digits")
    named = {"data.source": str(data), "data.size": size, "training.seed": seed, "training.batch": batch}
    changes |= {name: value for name, value in named.items() if value is not None} | dict(settings or {})
    place = Path("runs") / Path(data).resolve().name if out is None else Path(out)
    chosen = find_recipe("flow" if recipe is None else recipe)
    return start(changed(chosen, changes), place, force, device, watcher)


def find_recipe(recipe: str | Path | Recipe) -> Recipe:
    """A recipe by name, or from a TOML file."""
    if isinstance(recipe, Recipe):
        return recipe
    if Path(recipe).suffix == ".toml":
        if not Path(recipe).is_file():
            raise ValueError(f"recipe {recipe}: no such file")
        return from_toml(Path(recipe).read_text(), str(recipe))
    known("recipe", str(recipe), RECIPES)
    return RECIPES[str(recipe)]


def use_threads(threads: int | None) -> None:
    """How many threads of the CPU torch may use."""
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads {threads}: give 1 or more")
        torch.set_num_threads(threads)


def _length(budget: str | float | None, images: int | None) -> dict[str, Any]:
    if budget is not None and images is not None:
        raise ValueError("budget and images: give one of the two")
    if budget is not None:
        return {"training.budget": parse_budget(budget), "training.images": None}
    return {} if images is None else {"training.images": images, "training.budget": None}


def parse_budget(budget: str | float) -> float:
    """Seconds of a time such as 90, "90s", "30m", "1.5h" or "2d"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", str(budget).strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"budget {budget!r}: give a time such as 90s, 30m or 2h")
    return float(match[1]) * UNITS[match[2]]
