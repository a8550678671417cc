"""What commands print at their end. Light, so that the first picture does not wait for what others print."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phosphene import files

if TYPE_CHECKING:
    from phosphene.demo import Demo
    from phosphene.families.sampled import Sampled
    from phosphene.recipes.settings import TaskSettings
    from phosphene.training.train import Outcome
    from phosphene.training.tune import Tuned

out = Console(highlight=False)


def trained(outcome: "Outcome") -> None:
    """What was written, and what to type next."""
    root = outcome.folder.root
    recipe = outcome.folder.read_recipe()
    if recipe.base.rank is not None:
        adapted(outcome, str(recipe.base.model))
    elif recipe.network.kind == "clip":
        ends = f"model in {outcome.folder.model}" if outcome.finished else f"to go on: train --resume {root}"
        lines(ends, f'next: phosphene search FOLDER "what to look for" --clip {root}')
    elif outcome.finished:
        lines(f"model in {outcome.folder.model}", f"next: {next_of(root, recipe.task)}")
    else:
        asks = next_of(root, recipe.task)
        lines(f"to go on: phosphene train --resume {root}", f"to look:  {asks}")


def next_of(place: Path | str, task: "TaskSettings", n: int = 64) -> str:
    """How a model of this task is asked. place: the model, with what is added to it."""
    from phosphene.tasks.sights import sight

    shows = sight(task)
    return f"phosphene sample {place} -n {n}" if shows is None else shows.ask.replace("RUN", str(place))


def adapted(outcome: "Outcome", model: str) -> None:
    """What was written, and what to type next."""
    root, task = outcome.folder.root, outcome.folder.read_recipe().task
    if outcome.finished:
        lines(f"adapter in {outcome.folder.model}")
    else:
        lines(f"to go on: phosphene train --resume {root}")
    lines(
        f"next: {next_of(f'{model} --adapter {root}', task, 16)}",
        f"      {next_of(f'{model} --adapter {root}:0.5', task, 16)}",
    )


def demo(result: "Demo") -> None:
    """The files, how well the digits can be read, and what to type next."""
    by_class = "  ".join(f"{name} {100 * share:.0f}" for name, share in result.by_class.items())
    lines(
        f"a digit classifier ({100 * result.on_real:.1f}% right on real ones) reads "
        f"{100 * result.accuracy:.1f}% of {result.count:,} new digits as they were asked for",
        f"  by class, %: {by_class}",
    )
    written(list(result.paths))
    root = result.folder.root
    lines(
        "next:",
        f"  phosphene sample {root} -n 64 --label 3 --trajectory",
        f"  phosphene info {root}",
        "  phosphene train YOUR_PICTURES/",
    )


def written(paths: list[Path]) -> None:
    """The first few files, and how many more."""
    for path in paths[:4]:
        lines(f"wrote {path}")
    if len(paths) > 4:
        lines(f"and {len(paths) - 4:,} more in {paths[-1].parent}")


WRITTEN = ("sheet.png", "seed*-*.png", "frame-*.png", "way.gif", "[xyz][0-9]*.png", "trajectory.gif")
"""What samples, ways and sheets of cells are called; the last if it is asked for."""


def check_out(out: Path, trajectory: bool) -> None:
    """Raises ValueError where samples could not be saved, before the work rather than after it: also for
    pictures of other numbers, which would be mistaken for these."""
    for pattern in WRITTEN if trajectory else WRITTEN[:-1]:
        if there := sorted(out.glob(pattern)):
            raise ValueError(f"out {out}: {there[0].name} is there already; choose another --out")
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise ValueError(
            f"out {out}: cannot write in {place} ({error.strerror}); choose another --out"
        ) from None


def ranked(made: "Sampled", folder: Path) -> None:
    """What ranked and what scored, in words, and of each picture in ranking.json."""
    from phosphene.families.ranked import words

    lines(*words(made))
    names = ("picture", "prompt", "clip_prompt", "score", "score_of_candidates", "ranked")
    first = made.settings[0]
    both = ("best_of", "ranker", "ranker_model", "scorer", "scorer_model")
    whole: dict[str, Any] = {name: first.get(name) for name in both}
    whole["pictures"] = [{name: one[name] for name in names if name in one} for one in made.settings]
    files.write_atomic(folder / "ranking.json", json.dumps(whole, indent=2) + "\n")
    lines(f"wrote {folder / 'ranking.json'}")


@contextmanager
def sampling(quiet: bool, what: str = "sampling") -> Iterator[Callable[[int, int], None]]:
    """A progress bar that counts evaluations of the network, or what else is said."""
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("sampling", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def tuned(found: "Tuned", data: str, budget: str, to: Path | None) -> None:
    """What was measured, and how to use it."""
    from phosphene.recipes.settings import to_toml
    from phosphene.training.tune import SAMPLED

    rows = table("batch", "ms a step", "pictures/s", "memory at the most")
    for one in found.measured:
        rows.add_row(
            str(one.batch), f"{1e3 * one.seconds:.0f}", f"{one.speed:.0f}", f"{one.memory / 2**30:.2f} GiB"
        )
    out.print(rows)
    settings = " ".join(f"--set {name}={value}" for name, value in found.changes.items())
    command = f"phosphene train {data} --recipe {found.recipe.name} --budget {budget} --no-tune {settings}"
    lines(
        f"measured in {found.seconds:.0f} s; memory with validation, and sampling of {SAMPLED} at once",
        "train with:",
        f"  {command.rstrip()}",
    )
    if to is not None:
        files.write_atomic(to, to_toml(found.recipe))
        lines(f"wrote {to}")


def lines(*words: str) -> None:
    for line in words:
        out.print(line, markup=False, soft_wrap=True)


def table(*columns: str) -> Table:
    """Empty, with these columns; without a title for any, without a line of titles."""
    made = Table(box=box.SIMPLE, show_header=any(columns), pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
