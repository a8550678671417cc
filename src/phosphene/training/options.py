"""A run from plain options, as command lines and callers give them."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from phosphene.data.dataset import Dataset, Report
from phosphene.data.sources import short
from phosphene.families.asked import known
from phosphene.families.device import choose_device, use_threads
from phosphene.recipes.presets import FINE_TUNE, LORA, RECIPES
from phosphene.recipes.settings import BaseSettings, ClipSettings, Recipe, changed, from_toml
from phosphene.training import tune as tuning
from phosphene.training.base import fitted
from phosphene.training.text import settled
from phosphene.training.train import Adapted, Outcome, Watcher, prepare_data, start
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
    precision: str | None,
    tune: bool | None,
    watcher: Watcher,
    base: str | Path | None = None,
) -> Outcome:
    """What `phosphene.train` does (its words stand there), with how it ended."""
    use_threads(threads)
    changes = _length(budget, images)
    if base is not None:
        changes["base.model"] = str(base)
    if resume is not None:
        fixed = {
            "out": out,
            "recipe": recipe,
            "size": size,
            "seed": seed,
            "batch": batch,
            "settings": settings,
            "force": force or None,
            "precision": precision,
            "tune": tune,
        }
        for name, value in fixed.items():
            if value is not None:
                raise ValueError(
                    f"{name}: fixed when the run began; with resume give only budget, images, "
                    "or data and base (folders that have moved)"
                )
        if data is not None:
            changes["data.source"] = str(data)
        return go_on(Path(resume), changes, device, watcher)
    if data is None:
        raise ValueError("data: give a folder of pictures or the name of a bundled set, such as digits")
    named = {
        "data.source": str(data),
        "data.size": size,
        "training.seed": seed,
        "training.batch": batch,
        "training.precision": precision,
    }
    changes |= {name: value for name, value in named.items() if value is not None} | dict(settings or {})
    place = Path("runs") / short(str(data)) if out is None else Path(out)
    # Who wrote a recipe has chosen; a name leaves the choice to the machine and the data.
    named_only = recipe is None or (isinstance(recipe, str) and recipe in RECIPES)
    few = of_few if named_only and "training.batch" not in changes else None
    begins = find_recipe(("flow" if base is None else FINE_TUNE.name) if recipe is None else recipe)
    if base is not None or begins.base != BaseSettings():
        if tune:
            raise ValueError("tune: a model that exists has its width; leave it out with base")
        return start(fitted(begins, changes), place, force, device, watcher, few)
    chosen = changed(begins, changes)
    if isinstance(chosen.network, ClipSettings):
        if tune:
            chosen.refuse_clip("tune")
        tune = False  # a smaller batch would teach less (see of_few)
    if tune is None:
        tune = named_only
    adapt = few
    if tune and chosen.training.budget is not None:
        adapt = partial(adapted, fixed=tuple(changes))
    return start(chosen, place, force, device, watcher, adapt)


def adapt(
    model: str | Path,
    pictures: str | Path,
    *,
    out: str | Path | None,
    rank: int | None,
    budget: str | float | None,
    images: int | None,
    seed: int | None,
    batch: int | None,
    recipe: str | Path | Recipe | None,
    settings: Mapping[str, Any] | None,
    force: bool,
    device: str,
    threads: int | None,
    precision: str | None,
    watcher: Watcher,
) -> Outcome:
    """What `phosphene.adapt` does (its words stand there), with how it ended."""
    named = {} if rank is None else {"base.rank": rank}
    return run(
        pictures,
        out=out,
        recipe=LORA.name if recipe is None else recipe,
        size=None,
        budget=budget,
        images=images,
        seed=seed,
        batch=batch,
        settings=named | dict(settings or {}),
        resume=None,
        force=force,
        device=device,
        threads=threads,
        precision=precision,
        tune=None,
        base=model,
        watcher=watcher,
    )


def adapted(recipe: Recipe, data: Dataset, device: torch.device, fixed: tuple[str, ...]) -> Adapted:
    """The recipe with batch, parts and width for its budget on this machine, but for what is fixed."""
    budget = recipe.training.budget
    assert budget is not None
    tuned = tuning.tune(recipe, data, device, budget, fixed)
    chosen = ", ".join(f"{name} {value}" for name, value in tuned.changes.items())
    notes = (f"for {budget:g} s on this machine: {chosen}",) if chosen else ()
    return Adapted(tuned.recipe, notes, tuned.seconds)


def of_few(recipe: Recipe, data: Dataset, device: torch.device) -> Adapted:
    """With a batch of all pictures, where the recipe's takes more than there are; but for a CLIP: each of its
    pictures meets all texts of the batch, so that a smaller one teaches less."""
    batch = tuning.within(recipe, data)
    if batch == recipe.training.batch or isinstance(recipe.network, ClipSettings):
        return Adapted(recipe)
    return Adapted(changed(recipe, {"training.batch": batch}), (f"a batch of {batch}: all there are",))


def tuned(
    recipe: str | Path | Recipe,
    *,
    data: str | Path | None,
    size: int | None,
    budget: str | float,
    settings: Mapping[str, Any],
    device: str,
    threads: int | None,
    precision: str | None,
) -> tuning.Tuned:
    """What `phosphene tune` does: a recipe measured on pictures, made-up ones if none are given."""
    use_threads(threads)
    named = {"data.source": data, "data.size": size, "training.precision": precision}
    changes = {name: value for name, value in named.items() if value is not None} | dict(settings)
    changes = _length(budget, None) | changes
    chosen = changed(find_recipe(recipe), changes)
    chosen.refuse_clip("tune")
    pictures = made_up(size or 32) if data is None else prepare_data(chosen, Watcher())
    chosen = settled(changed(chosen, {"data.size": pictures.size}), pictures).recipe
    return tuning.tune(chosen, pictures, choose_device(device), parse_budget(budget), tuple(changes))


def made_up(size: int) -> Dataset:
    """A thousand colour pictures of noise: what a step takes does not depend on what is in them."""
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 3, size, size), np.uint8)
    report = Report(len(pixels), len(pixels), (), 0, {}, {}, ())
    return Dataset(pixels, None, (), None, tuple(map(str, range(len(pixels)))), "made up", report)


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
