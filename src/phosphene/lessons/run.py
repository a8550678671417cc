"""Runs a lesson cell by cell, as a notebook would: what the last line of a cell is, is shown."""

import ast
import contextlib
import io
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from phosphene import files
from phosphene.lessons.shown import Claim, Shown
from phosphene.lessons.source import Cell, Source, Value, find
from phosphene.lessons.written import html_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Ran:
    """A cell with what it printed and what it showed."""

    cell: Cell
    printed: str
    shown: Shown | str | None


@dataclass(frozen=True)
class Lesson:
    """A lesson that was run. Notebooks show it as the page it is."""

    source: Source
    ran: Sequence[Ran]

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(ran.shown for ran in self.ran if isinstance(ran.shown, Claim))

    @property
    def html(self) -> str:
        """The whole page, self-contained."""
        parts = [(ran.cell, ran.printed, _markup(ran.shown)) for ran in self.ran]
        return html_of(self.source, parts)

    def save(self, path: str | Path) -> Path:
        files.write_atomic(Path(path), self.html)
        return Path(path)

    def _repr_html_(self) -> str:
        return self.html


def run(
    source: Source, values: Mapping[str, Value] | None = None, progress: Progress | None = None
) -> Lesson:
    """Runs all cells. values: of knobs. Raises ValueError for a value that a knob does not take."""
    source = source.with_values(values or {})
    space: dict[str, Any] = {"__name__": "__lesson__"}
    ran = []
    for number, cell in enumerate(source.cells):
        ran.append(
            Ran(cell, "", None) if cell.kind == "markdown" else _execute(source.name, number, cell, space)
        )
        if progress is not None:
            progress(number + 1, len(source.cells))
    return Lesson(source, tuple(ran))


def explain(
    name: str, settings: Mapping[str, Value] | None = None, progress: Progress | None = None
) -> Lesson:
    """Runs the lesson of this name (`phosphene explain` lists them): a page, which notebooks show as it is.

    settings: values of its knobs. progress(done, total) is called after each cell.
    Raises ValueError for a lesson or a value that does not exist, with what is accepted.
    """
    return run(find(name), settings, progress)


def _execute(name: str, number: int, cell: Cell, space: dict[str, Any]) -> Ran:
    file = f"<lesson {name}, cell {number}>"
    linecache.cache[file] = (len(cell.source), None, cell.source.splitlines(keepends=True), file)
    tree = ast.parse(cell.source, file)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body.pop()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, file, "exec"), space)  # a lesson is part of this package
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), file, "eval"), space)
    shown = value if isinstance(value, Shown) else None if value is None else repr(value)
    return Ran(cell, printed.getvalue(), shown)


def _markup(shown: Shown | str | None) -> Markup | str | None:
    return shown.markup if isinstance(shown, Shown) else shown
