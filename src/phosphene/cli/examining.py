"""What `phosphene doctor` shows: progress with the time left, findings, what to train."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from phosphene import files
from phosphene.cli.display import QUIET_SECONDS, clock
from phosphene.data.doctor.result import Diagnosis
from phosphene.data.doctor.wording import clean, duration
from phosphene.data.load import columns
from phosphene.data.sources import find
from phosphene.recipes.settings import Recipe
from phosphene.training.interrupt import interruptions
from phosphene.training.options import find_recipe
from phosphene.training.proposal import diagnose

MARKS = {"error": "[bold red]error[/]  ", "warning": "[yellow]warning[/]", "note": "[dim]note[/]   "}
NAMED = 3


def examine(
    data: str | Path,
    *,
    size: int | None,
    recipe: str | Path | Recipe | None,
    budget: str | float | None,
    html: str | Path | None,
    json: str | Path | None,
    out: str | Path | None,
    device: str,
    threads: int | None,
    progress: bool,
) -> Diagnosis:
    """Examines, and writes what was asked for when all is known. Ctrl-C, SIGTERM raise KeyboardInterrupt."""
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
    page = html if html is not None or out is None else Path(out) / "doctor.html"
    values = json if json is not None or out is None else Path(out) / "doctor.json"
    for place in (page, values):
        if place is not None and not Path(place).parent.is_dir():
            raise ValueError(f"{place}: there is no folder {Path(place).parent}")
    with interruptions() as asked, _watched(progress, asked) as watch:
        source = find(data, columns(find_recipe(recipe or "flow").data))
        found = diagnose(
            data,
            source,
            size=size,
            recipe=recipe,
            budget=budget,
            device=device,
            threads=threads,
            on_progress=watch,
        )
        if values is not None:
            files.write_atomic(Path(values), found.to_json())
        if page is not None:
            from phosphene.data.doctor.report import report  # charts are slow to import

            watch("writing the report", 0, 1)
            files.write_atomic(Path(page), report(found, source))
    return found


@contextmanager
def _watched(progress: bool, asked: Callable[[], bool]) -> Iterator[Callable[[str, int, int], None]]:
    """A bar with the time left on a terminal, a line now and then elsewhere."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}/{task.total:,}"))
    begun, said = dict[str, float](), time.monotonic()
    bar = Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not (progress and console.is_terminal)
    )
    tasks: dict[str, TaskID] = {}

    def watch(what: str, done: int, total: int) -> None:
        nonlocal said
        if asked():
            raise KeyboardInterrupt
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)
        now = time.monotonic()
        since = begun.setdefault(what, now)
        if progress and not console.is_terminal and now - said >= QUIET_SECONDS and done:
            said = now
            left = (now - since) * (total - done) / done
            console.print(f"{what}: {done:,}/{total:,}, {clock(left)} left", markup=False)

    with bar:
        yield watch


def say(found: Diagnosis) -> None:
    """Findings, a line each with the first names, and how to train."""
    console = Console(highlight=False)
    captions = "" if found.captions is None else f", {found.captions.count:,} captions"
    labels = "" if found.labels is None else f", {len(found.labels.counts):,} classes"
    console.print(
        f"{found.used:,} pictures of {found.found:,}{labels}{captions}; trained as {found.size}x{found.size} "
        f"{found.colours.training}",
        markup=False,
        soft_wrap=True,
    )
    for finding in found.findings:
        console.print(MARKS[finding.severity], end=" ")
        console.print(f"{finding.what} {finding.advice}", markup=False, soft_wrap=True)
        for name in finding.names[:NAMED]:
            console.print(f"          {clean(name)}", markup=False, soft_wrap=True)
        if len(finding.names) > NAMED:
            console.print("          ...")
    if not found.findings:
        console.print("healthy: nothing to say")
    if (proposal := found.proposal) is not None:
        words = f"train with, for about {duration(proposal.seconds)} on {proposal.device}:"
        console.print(f"{words}\n  {clean(proposal.command)}", markup=False, soft_wrap=True)
