"""Evaluations as people see them: what is coming, how far it is, tables."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from phosphene.cli.display import QUIET_SECONDS, clock
from phosphene.evaluation import compare as comparing
from phosphene.evaluation import side_by_side
from phosphene.evaluation.cost import Prices
from phosphene.evaluation.evaluate import Doing, Prepared, Watch, evaluate, prepare, run_folder, work
from phosphene.evaluation.record import Evaluation, file_of, read
from phosphene.evaluation.report import report as write_report
from phosphene.families.generator import load
from phosphene.pages import blocks

out = Console(highlight=False)
ALL = "all"


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C ends the command with one line and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped; nothing was written", err=True)
        raise typer.Exit(130) from None


def each(
    run: str | Path,
    *,
    data: str | Path | None,
    count: int | None,
    seed: int,
    encoders: Sequence[str] | None,
    inception: str | Path | None,
    dinov2: str | Path | None,
    clip: str | Path | None,
    reference: str | None,
    solver: str | None,
    steps: int | None,
    guidance: float | None,
    likelihood: int,
    flow: int,
    tolerance: float,
    ema: str | float | None,
    batch: int,
    device: str,
    threads: int | None,
    precision: str,
    progress: bool,
    show: bool,
) -> Evaluation:
    """Evaluates one length of the averages, or all that the run holds, the shipped one first; returns the
    first."""
    found = []
    for length in _lengths(run, ema):
        prepared = prepare(
            run,
            data=data,
            count=count,
            seed=seed,
            encoders=encoders,
            inception=inception,
            dinov2=dinov2,
            clip=clip,
            reference=reference,
            solver=solver,
            steps=steps,
            guidance=guidance,
            likelihood=likelihood,
            flow=flow,
            tolerance=tolerance,
            ema=length,
            batch=batch,
            device=device,
            threads=threads,
            precision=precision,
        )
        evaluation = run_through(prepared, progress, keep=True)
        found.append(evaluation)
        if show:
            shown(evaluation)
            _lines(f"wrote {file_of(prepared.subject.root, length)}", f"next: phosphene report {run}")
    return found[0]


def run_through(prepared: Prepared, progress: bool, keep: bool) -> Evaluation:
    """Says what it will take, does it under a bar, and returns the evaluation."""
    if not progress:
        return evaluate(prepared, keep=keep)
    jobs = [(name, seconds) for name, seconds in work(prepared) if seconds >= 1]
    total = sum(seconds for _, seconds in work(prepared))
    parts = ", ".join(f"{name} {clock(seconds)}" for name, seconds in jobs)
    console = Console(stderr=True, highlight=False)
    console.print(f"about {clock(total)} on this machine: {parts}", markup=False, soft_wrap=True)
    with bar(console) as watch:
        return evaluate(prepared, watch, keep)


@contextmanager
def bar(console: Console) -> Iterator[Watch]:
    """A bar with the time left on a terminal; elsewhere a line now and then."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0, left="")
        said = -QUIET_SECONDS

        def watch(now: Doing) -> None:
            nonlocal said
            left = f"{clock(now.left)} left"
            progress.update(task, description=now.what, completed=now.done, left=left)
            if not console.is_terminal and progress.get_time() - said >= QUIET_SECONDS:
                said = progress.get_time()
                console.print(f"{now.what}: {now.done:.0%}, {left}", markup=False)

        yield watch


def again(path: Path, data: Path | None, progress: bool) -> None:
    """Computes an evaluation again from what it says was asked. Exit code 1 if any figure differs."""
    before = read(path)
    asked = before.asked
    prepared = prepare(
        path.parent,
        data=data or before.source,
        count=asked.count,
        seed=asked.seed,
        encoders=asked.encoders,
        inception=asked.inception,
        dinov2=asked.dinov2,
        clip=asked.clip,
        reference=asked.reference,
        solver=asked.solver,
        steps=asked.steps,
        guidance=asked.guidance,
        likelihood=asked.likelihood,
        flow=asked.flow,
        tolerance=asked.tolerance,
        ema=asked.ema,
        batch=asked.batch,
        device=asked.device,
        threads=asked.threads,
        precision=asked.precision,
    )
    if prepared.subject.generator.model.fingerprint != before.model:
        raise ValueError(
            f"again {path}: the run's weights are no longer those that it measured; evaluate anew"
        )
    lines = before.differences(run_through(prepared, progress, keep=False))
    if lines:
        _lines(f"not the same as {path}:", *(f"  {line}" for line in lines))
        if before.torch != torch.__version__:
            _lines(f"  (then with torch {before.torch}, now with {torch.__version__})")
        raise typer.Exit(1)
    count = sum(figure.repeatable for figure in before.figures)
    _lines(f"the same bit for bit: {count} figures and the {before.samples.count:,} samples of {path}")


def shown(evaluation: Evaluation) -> None:
    """The figures as a table."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("figure", "value", "interval of 95%", "floor"):
        table.add_column(name, justify="left" if name == "figure" else "right", overflow="fold")
    for encoder, some in evaluation.by_encoder.items():
        table.add_section()
        table.add_row("of pictures and of the model:" if encoder is None else f"on features of {encoder}:")
        for figure in some:
            between = ""
            if figure.low is not None and figure.high is not None:
                between = f"{blocks.number(figure.low)} to {blocks.number(figure.high)}"
            arrow = {"lower": "↓", "higher": "↑", "neither": " "}[figure.better]
            floored = "" if figure.floor is None else blocks.number(figure.floor)
            name = figure.name.removesuffix(f"-{encoder}")
            table.add_row(f"{name} {arrow}", blocks.number(figure.value), between, floored)
    out.print(table)
    for name, why in evaluation.left_out:
        _lines(f"left out: {name}: {why}")
    _lines(
        "floor: the same figure of real against other real pictures, as many; "
        "of the held-out loss, that of training pictures"
    )


def report(
    run: str,
    data: Path | None,
    page: Path | None,
    watts: float | None,
    price_kwh: float,
    price_hour: float,
    currency: str,
    device: str,
    threads: int | None,
) -> None:
    """Writes a report and says where."""
    prices = Prices(watts, price_kwh, price_hour, currency)
    place = write_report(run, data=data, out=page, prices=prices, device=device, threads=threads)
    _lines(f"wrote {place}")


def compare(runs: Sequence[str], page: Path | None) -> None:
    """A table on the terminal, and a page if asked for. Exit code 2 for runs that are not comparable."""
    try:
        comparison = comparing.compare(runs)
    except comparing.NotComparableError as refused:
        for reason in refused.reasons:
            print(f"phosphene: not comparable: {reason}", file=sys.stderr)
        raise typer.Exit(2) from None
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("figure", overflow="fold")
    for name in comparison.names:
        table.add_column(name, overflow="fold")
    for row in comparison.rows:
        table.add_row(row.name, *side_by_side.cells(row))
    out.print(table)
    if comparison.apart:
        _lines(f"not in all runs: {', '.join(comparison.apart)}")
    _lines(f"* best. differs, same: from {comparison.names[0]}, at 95%")
    if page is not None:
        roots = tuple(Path(run).parent if run.endswith(".json") else run_folder(run) for run in runs)
        _lines(f"wrote {side_by_side.write(comparison, roots, page)}")


def _lengths(run: str | Path, ema: str | float | None) -> list[float | None]:
    """None for the shipped one, then the others if all are asked for."""
    if ema is None:
        return [None]
    if ema == ALL:
        return [None, *load(run_folder(run), "cpu").model.header.ema[1:]]
    try:
        return [float(ema)]
    except ValueError:
        raise ValueError(f"ema {ema!r}: a length or all is accepted") from None


def _lines(*words: str) -> None:
    for line in words:
        out.print(line, markup=False, soft_wrap=True)
