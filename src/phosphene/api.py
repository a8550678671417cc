"""Training, and tuning for it, each as one call. Every knob of the command line is here, and the other way
round."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phosphene.cli import show
from phosphene.cli.display import Display
from phosphene.families.generator import Generator, load
from phosphene.recipes.settings import Recipe
from phosphene.training.options import run, tuned
from phosphene.training.train import Watcher
from phosphene.training.tune import Tuned


def train(
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    recipe: str | Path | Recipe | None = None,
    size: int | None = None,
    budget: str | float | None = None,
    images: int | None = None,
    seed: int | None = None,
    batch: int | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    force: bool = False,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    tune: bool | None = None,
    progress: bool = True,
) -> Generator:
    """Trains a generator on pictures and returns it; everything is kept in a run folder.

    data: a folder of pictures (class sub-folders become labels) or the name of a bundled set.
    out: the run's folder, runs/NAME by default. recipe: a name (flow), a recipe.toml, or a Recipe.
    size: pixels a side. budget: time to spend, seconds or "30m"; images: pictures to see; one of the two.
    settings: any of the recipe's values by name, {"training.learning_rate": 3e-4}.
    resume: a run's folder, to go on with it instead; only budget or images may be given anew, and data if the
    pictures have moved.
    force: replace a run that is in the way. device: auto, cpu, cuda. threads: of the CPU.
    precision: of products and convolutions, auto, fp32, bf16 or fp16; weights are float32 always.
    tune: with a budget, measure first which batch and width suit the machine and the time; what is given here
    stays. By default so for recipes by name.
    progress: show it. Ctrl-C and SIGTERM save the run, which is then said; `resume` goes on with it.

    Raises ValueError with one line for whatever cannot be trained, before anything is lost.
    """
    outcome = run(
        data,
        out=out,
        recipe=recipe,
        size=size,
        budget=budget,
        images=images,
        seed=seed,
        batch=batch,
        settings=settings,
        resume=resume,
        force=force,
        device=device,
        threads=threads,
        precision=precision,
        tune=tune,
        watcher=Display() if progress else Watcher(),
    )
    if progress and outcome.first and not outcome.finished:
        show.trained(outcome)
    return load(outcome.folder.root, device)


def tune(
    recipe: str | Path | Recipe = "flow",
    *,
    data: str | Path | None = None,
    size: int | None = None,
    budget: str | float = "30m",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
) -> Tuned:
    """Measures a recipe's steps and memory on this machine, and chooses batch, parts and width for a time.

    data: pictures to measure on; made-up ones of `size` pixels if there are none. settings: of the recipe,
    which stay as they are. The result's `.recipe` can be given to `train`; `.measured` says what was seen.

    Raises ValueError with one line for whatever cannot be trained.
    """
    return tuned(
        recipe,
        data=data,
        size=size,
        budget=budget,
        settings=settings or {},
        device=device,
        threads=threads,
        precision=precision,
    )
