"""`phosphene adapt` and `merge`: a small change of a model, learned, and put into its weights."""

from pathlib import Path
from typing import Annotated

import typer

from phosphene.cli.asking import plainly_warned
from phosphene.cli.shared import Device, Precision, Quiet, Threads

MODEL = typer.Argument(
    help="A run's folder or name, a model folder, or one of diffusers.", show_default=False
)


def adapt(
    model: Annotated[str, MODEL],
    pictures: Annotated[str, typer.Argument(help="A folder; a handful is enough.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The adapter's folder.", show_default="runs/NAME")] = None,
    rank: Annotated[int | None, typer.Option(help="Of each weight's change.", show_default="8")] = None,
    budget: Annotated[str | None, typer.Option(help="Time to spend: 90s, 3m.", show_default="3m")] = None,
    images: Annotated[
        int | None, typer.Option(help="Pictures to see instead, repeats counted.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the change, order, noise.", show_default="0")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Pictures a step.", show_default="16, or all that there are")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Another, or a recipe.toml.", show_default="lora")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any value of the recipe: section.field=value.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that is in the way.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = None,
    quiet: Quiet = False,
) -> None:
    """Adapt a model to a handful of pictures in a few minutes (LoRA); it stays as it is.

    The adapter is kept beside it: sample MODEL --adapter OUT. Ctrl-C saves; train --resume OUT goes on.
    """
    from phosphene.cli import show
    from phosphene.cli.display import Display
    from phosphene.recipes.settings import parse_assignment
    from phosphene.training.options import adapt
    from phosphene.training.train import Watcher

    outcome = adapt(
        model,
        pictures,
        out=out,
        rank=rank,
        budget=budget,
        images=images,
        seed=seed,
        batch=batch,
        recipe=recipe,
        settings=dict(parse_assignment(text) for text in settings or []),
        force=force,
        device=device,
        threads=threads,
        precision=precision,
        watcher=Watcher() if quiet else Display(),
    )
    if outcome.first:
        show.adapted(outcome, model)
    if not outcome.finished:
        raise typer.Exit(130)


def merge(
    model: Annotated[str, MODEL],
    adapters: Annotated[
        list[str], typer.Argument(metavar="ADAPTER[:WEIGHT]...", help="How much of each.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The new model's folder.", show_default=False)],
    ema: Annotated[
        float | None, typer.Option(help="Length of the weights' average.", show_default="the one shipped")
    ] = None,
) -> None:
    """Put adapters into a model's weights: an ordinary model folder."""
    from phosphene.cli import show
    from phosphene.families.adapting import merge, parsed
    from phosphene.store.model import read_header

    with plainly_warned():
        folder = merge(model, parsed(adapters), out, ema)
    show.lines(f"wrote {folder}", f"next: {show.next_of(folder, read_header(folder).task)}")
