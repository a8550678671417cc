"""What `phosphene explain` shows: the list of lessons, progress, and the claims with what was seen."""

import ast
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phosphene import files
from phosphene.lessons.run import explain as run
from phosphene.lessons.source import Knob, Value, find, lessons
from phosphene.lessons.written import index, notebook


def listed() -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("lesson", "what it is about", "values to change"):
        table.add_column(column)
    for name, source in lessons().items():
        table.add_row(name, source.title, ", ".join(map(_range, source.knobs.values())))
    Console(highlight=False).print(table)


def _range(knob: Knob) -> str:
    values = "|".join(map(str, knob.choices)) if knob.choices else f"{knob.low:g}..{knob.high:g}"
    return f"{knob.name} {knob.value} ({values})"


ALL = "all"


def explain_all(folder: Path, quiet: bool) -> None:
    """Runs every lesson with its own values, and writes the pages and a list of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in lessons():
        explain(name, [], folder / f"{name}.html", quiet)
    files.write_atomic(folder / "index.html", index())
    Console(highlight=False).print(f"all of them: {folder / 'index.html'}", markup=False)


def explain(name: str, settings: list[str], out: Path, quiet: bool) -> None:
    """Runs a lesson, writes its page, and prints its claims."""
    columns = (TextColumn("running"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("")
        lesson = run(
            name,
            dict(map(_assignment, settings)),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    console = Console(highlight=False)
    console.print(f"{lesson.source.title}\n{lesson.source.summary}\n", markup=False)
    for claim in lesson.claims:
        verdict = "holds" if claim.holds else "NOT so"
        console.print(f"{verdict}  {claim.words}  ({claim.seen})", markup=False)
    console.print(f"\nthe page: {lesson.save(out)}", markup=False)


def _assignment(words: str) -> tuple[str, Value]:
    name, equals, value = words.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"set {words!r}: give name=value")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def write_notebook(name: str, path: Path) -> None:
    files.write_atomic(path, notebook(find(name)))
    Console(highlight=False).print(f"the notebook: {path}", markup=False)
