"""`phosphene`: commands and their options. What they do is elsewhere; torch is loaded when it is needed."""

import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from phosphene.cli.doctor import doctor
from phosphene.cli.ema import ema
from phosphene.cli.evaluate import compare, evaluate, report
from phosphene.cli.explain import explain
from phosphene.cli.made import data as make_data

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DATA = typer.Argument(
    help="A folder of pictures or of shards, 'shards/{000..031}.tar', hub:OWNER/NAME, or a set: digits.",
    show_default=False,
)
Threads = Annotated[int | None, typer.Option(help="Threads of the CPU.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[
    str | None, typer.Option(help="auto, fp32, bf16 or fp16.", show_default="auto: phosphene info machine")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


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
    batch: Annotated[int | None, typer.Option(help="Pictures a step.", show_default="the recipe's")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any value of the recipe: section.field=value.", show_default=False),
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

    Class sub-folders become labels. Ctrl-C saves; --resume RUN goes on.
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
        watcher=Watcher() if quiet else Display(),
    )
    if outcome.first:
        show.trained(outcome)
    if not outcome.finished:
        raise typer.Exit(130)


@app.command()
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


@app.command()
def sample(
    run: Annotated[
        str | None, typer.Argument(help="A run's folder or name, or a model folder.", show_default=False)
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many.", show_default="16; 1 with --like")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Picture i depends on (seed, i) alone.", show_default="0")
    ] = None,
    first: Annotated[int | None, typer.Option(help="Number of the first picture.", show_default="0")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A class; given several times, in turn.", show_default=False)
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="In words; given several times, in turn.", show_default=False)
    ] = None,
    negative: Annotated[
        list[str] | None, typer.Option(help="What guidance leads away from, in words.", show_default=False)
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="See phosphene info solvers.", show_default="the recipe's")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps.", show_default="the recipe's")] = None,
    grid: Annotated[
        str | None, typer.Option(help="See phosphene info schedules.", show_default="the recipe's")
    ] = None,
    eta: Annotated[
        float | None, typer.Option(help="Share of fresh noise.", show_default="the solver's")
    ] = None,
    churn: Annotated[float | None, typer.Option(help="Heun's S_churn.", show_default="the solver's")] = None,
    guidance: Annotated[
        list[float] | None,
        typer.Option(help="How strongly it counts; several times, in turn.", show_default="the recipe's"),
    ] = None,
    interval: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Guide only at these sigma / alpha.", show_default="everywhere"),
    ] = None,
    weaker: Annotated[
        str | None,
        typer.Option(help="Guide away from this run, or average (0.05).", show_default="from no prompt"),
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(help="none, clip or dynamic.", show_default="the recipe's")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Make this PNG of phosphene's again.", show_default=False)
    ] = None,
    batch: Annotated[int, typer.Option(help="Pictures a network call.")] = 64,
    trajectory: Annotated[bool, typer.Option("--trajectory", help="Also write the way from noise.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to.", show_default="a new folder in RUN/samples")
    ] = None,
    ema: Annotated[
        float | None, typer.Option(help="Length of the weights' average.", show_default="the one shipped")
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The model that measured best in training, not the last.")
    ] = False,
    text: Annotated[
        str | None, typer.Option(help="Where its text encoder is now.", show_default="where it was")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = None,
    quiet: Quiet = False,
) -> None:
    """Make pictures: a sheet, and a PNG of each with its settings inside."""
    from phosphene.cli import show
    from phosphene.families import generator
    from phosphene.training.options import use_threads

    use_threads(threads)
    if run is None and like is None:
        raise ValueError("RUN: give a run's folder, its name or a model folder (or --like PICTURE.png)")
    how = (device, ema, precision or "auto")
    model = generator.load(run, *how, best, text) if run else generator.load_like(like or Path(), *how, text)
    if out is not None:
        show.check_out(out, trajectory)
    count = n or (1 if like else 16)
    with show.sampling(quiet) as watch:
        pictures = model.sample(
            n,
            seed=seed,
            first=first,
            label=in_turn(label, count),
            prompt=in_turn(prompt, count),
            negative=in_turn(negative, count),
            solver=solver,
            steps=steps,
            grid=grid,
            eta=eta,
            churn=churn,
            guidance=in_turn(guidance, count),
            interval=interval,
            weaker=length_or_place(weaker),
            threshold=threshold,
            like=like,
            batch=batch,
            trajectory=trajectory,
            watch=watch,
        )
    show.written(pictures.save(out or generator.fresh_folder(model, pictures)))


def in_turn(given: list[T] | None, count: int) -> T | list[T] | None:
    """What an option says of each picture: one for all, or those given in turn."""
    if not given:
        return None
    return given[0] if len(given) == 1 else [given[i % len(given)] for i in range(count)]


def length_or_place(weaker: str | None) -> str | float | None:
    """A number is the length of an average."""
    try:
        return None if weaker is None else float(weaker)
    except ValueError:
        return weaker


@app.command()
def info(
    what: Annotated[str, typer.Argument(help="A run, or one of: solvers, schedules, recipes, machine.")],
) -> None:
    """Say what a run is, what solvers, schedules and recipes there are, or what is chosen on this machine."""
    from phosphene.cli import show

    tables = {"solvers": show.solvers, "schedules": show.schedules, "recipes": show.recipes}
    tables["machine"] = show.machine
    if what in tables:
        tables[what]()
    else:
        show.run(what)


def version(asked: bool | None) -> None:
    """Prints the version and ends."""
    if asked:
        from phosphene.version import __version__

        print(__version__)
        raise typer.Exit


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
    try:
        app()
    except (ValueError, OSError) as error:
        print(f"phosphene: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
