"""`phosphene train` and `tune`: a generator from pictures, and the settings that suit a time."""

from pathlib import Path
from typing import Annotated

import typer

from phosphene.cli.shared import Device, Precision, Quiet, Threads

DATA = typer.Argument(
    help="A folder of pictures or of shards, 'shards/{000..031}.tar', hub:OWNER/NAME, or a set: digits.",
    show_default=False,
)


def train(
    data: Annotated[str | None, DATA] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/NAME")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A name (phosphene info recipes) or recipe.toml.", show_default="flow")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Pixels a side.", show_default="from the data, 64 at most")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Time to spend: 90s, 30m, 2h.", show_default=False)
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Pictures to see, repeats counted.", show_default="the recipe's")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and noise.", show_default="0")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Pictures a step.", show_default="the recipe's, at most all")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any value of the recipe: section.field=value.", show_default=False),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--from",
            "--base",
            help="Begin from this run or model, of this task or another.",
            show_default="fresh weights",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run instead.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that is in the way.")] = False,
    tune: Annotated[
        bool | None,
        typer.Option(
            help="With a budget, measure which batch and width suit it.", show_default="for recipes by name"
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = None,
    quiet: Quiet = False,
) -> None:
    """Train a generator on a folder of pictures.

    Class sub-folders become labels. Ctrl-C saves; --resume RUN goes on. --from MODEL trains one further.
    """
    from phosphene.cli import show
    from phosphene.cli.display import Display
    from phosphene.recipes.settings import parse_assignment
    from phosphene.training.options import run
    from phosphene.training.train import Watcher

    outcome = run(
        data,
        out=out,
        recipe=recipe,
        size=size,
        budget=budget,
        images=images,
        seed=seed,
        batch=batch,
        settings=dict(parse_assignment(text) for text in settings) if settings else None,
        resume=resume,
        force=force,
        device=device,
        threads=threads,
        precision=precision,
        tune=tune,
        base=base,
        watcher=Watcher() if quiet else Display(),
    )
    if outcome.first:
        show.trained(outcome)
    if not outcome.finished:
        raise typer.Exit(130)


def tune(
    recipe: Annotated[str, typer.Argument(help="A name (phosphene info recipes) or a recipe.toml.")] = "flow",
    data: Annotated[
        str | None, typer.Option(help="A folder of pictures or a set.", show_default="made-up pictures")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side.", show_default="the data's, or 32")] = None,
    budget: Annotated[str, typer.Option(help="Time to train: 90s, 30m, 2h.")] = "30m",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any value of the recipe; it stays.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the tuned recipe here, as TOML.", show_default=False)
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = None,
) -> None:
    """Measure steps and memory, and choose batch, parts and width for a time."""
    from phosphene.cli import show
    from phosphene.recipes.settings import parse_assignment
    from phosphene.training.options import tuned

    changes = dict(parse_assignment(text) for text in settings or [])
    show.tuned(
        tuned(
            recipe,
            data=data,
            size=size,
            budget=budget,
            settings=changes,
            device=device,
            threads=threads,
            precision=precision,
        ),
        data or "DATA",
        budget,
        out,
    )
