"""`phosphene`: commands and their options. What they do is elsewhere; torch is loaded when it is needed."""

import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from phosphene.cli.adapt import adapt, merge
from phosphene.cli.cascade import cascade
from phosphene.cli.doctor import doctor
from phosphene.cli.ema import ema
from phosphene.cli.evaluate import compare, evaluate, report
from phosphene.cli.explain import explain
from phosphene.cli.grid import grid, interpolate
from phosphene.cli.made import data as make_data
from phosphene.cli.pictures import edit, inpaint, restore, upscale
from phosphene.cli.sample import sample
from phosphene.cli.search import search
from phosphene.cli.shared import Threads
from phosphene.cli.train import train, tune

GARBAGE = 10_000
"""Objects between two searches for unused ones, 700 by default: torch alone makes a million that all stay."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    recipe: Annotated[str, typer.Option(help="flow learns fastest; ddpm is the original of 2020.")] = "flow",
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/demo")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Time to train.", show_default="80s; 90s for other recipes than flow")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another model.")] = 0,
    threads: Threads = None,
) -> None:
    """Train a generator of digits in about a minute, and look at what it makes."""
    from phosphene import demo as made
    from phosphene.cli import show
    from phosphene.cli.display import Display

    outcome = made.train(recipe, out, budget, seed, threads, Display())
    if not outcome.finished:
        show.trained(outcome)
        raise typer.Exit(130)
    show.demo(made.look(outcome.folder))


@app.command()
def info(
    what: Annotated[
        str, typer.Argument(help="A run, or one of: solvers, schedules, recipes, models, machine.")
    ],
) -> None:
    """Say what a run is, what solvers, schedules, recipes and shipped models there are, or what is chosen on
    this machine."""
    from phosphene.cli import tables

    known = {"solvers": tables.solvers, "schedules": tables.schedules, "recipes": tables.recipes}
    known |= {"models": tables.models, "machine": tables.machine}
    if what in known:
        known[what]()
    else:
        tables.run(what)


def version(asked: bool | None) -> None:
    """Prints the version and ends."""
    if asked:
        from phosphene.version import __version__

        print(__version__)
        raise typer.Exit


app.command()(train)
app.command()(tune)
app.command()(adapt)
app.command()(merge)
app.command()(sample)
app.command()(inpaint)
app.command()(upscale)
app.command()(restore)
app.command()(cascade)
app.command()(edit)
app.command()(search)
app.command()(grid)
app.command()(interpolate)
app.command("data")(make_data)
app.command()(doctor)
app.command()(ema)
app.command()(evaluate)
app.command()(report)
app.command()(compare)
app.command()(explain)


@app.callback()
def common(
    _: Annotated[
        bool | None, typer.Option("--version", callback=version, is_eager=True, help="Say the version.")
    ] = None,
) -> None:
    """From a folder of pictures to an image generator. Begin with: phosphene demo"""


def main() -> None:
    """Errors of the user are one line on stderr and exit code 2."""
    gc.set_threshold(GARBAGE)
    try:
        app()
    except (ValueError, OSError) as error:
        print(f"phosphene: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
