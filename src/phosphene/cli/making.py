"""What `phosphene data` shows: the list of sets, progress, and what was made."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phosphene.data.made.sets import MADE, make_set
from phosphene.training.interrupt import interruptions

QUIET_SECONDS = 10.0  # between lines where there is no terminal
EVERY = 32  # pictures between two looks at the bar


def make(
    name: str,
    *,
    out: str | Path | None = None,
    count: int | None = None,
    size: int | None = None,
    seed: int = 0,
    held_out: float = 0.1,
    edits: bool = False,
    folders: Sequence[str | Path] = (),
    progress: bool = True,
) -> Path:
    """Makes a set with a progress bar. Ctrl-C and SIGTERM raise KeyboardInterrupt and leave nothing."""
    counted = TextColumn("{task.completed:,}/{task.total:,}")
    columns = (TextColumn("making pictures"), BarColumn(), counted, TimeRemainingColumn())
    console = Console(stderr=True, highlight=False)
    live = progress and console.is_terminal
    said = time.monotonic()
    with (
        interruptions() as asked,
        Progress(*columns, console=console, disable=not live, transient=True) as bar,
    ):
        task = bar.add_task("", total=count or 0)

        def on_progress(done: int, total: int) -> None:
            nonlocal said
            if asked():
                raise KeyboardInterrupt
            if live and (done % EVERY == 0 or done == total):
                bar.update(task, completed=done, total=total)
            elif progress and not live and time.monotonic() - said >= QUIET_SECONDS:
                said = time.monotonic()
                console.print(f"making pictures: {done:,}/{total:,}", soft_wrap=True)

        def say(words: str) -> None:
            if asked():
                raise KeyboardInterrupt
            if progress:
                console.print(words, markup=False, soft_wrap=True)

        return make_set(
            name,
            out=out,
            count=count,
            size=size,
            seed=seed,
            held_out=held_out,
            edits=edits,
            folders=folders,
            on_progress=on_progress,
            say=say,
        )


def made(folder: Path) -> None:
    """The folders that were written, and what to type next."""
    console = Console(highlight=False)
    for side, count in json.loads((folder / "made.json").read_text("utf-8"))["sides"].items():
        console.print(f"wrote {folder / side}: {count:,} pictures", markup=False, soft_wrap=True)
    console.print(f"next: phosphene train {folder / 'train'}", markup=False, soft_wrap=True)


def sets() -> None:
    """Names, usual counts and sizes."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("name", "pictures", "size", "needs", "what it is"):
        table.add_column(column, overflow="fold")
    for name, entry in MADE.items():
        needs = escape(f"phosphene[{entry.extra}]") if entry.extra else ""
        needs = "Debian, or --from" if entry.gathered else needs
        table.add_row(name, f"{entry.count:,}", str(entry.size), needs, entry.about)
    console = Console(highlight=False)
    console.print(table)
    console.print("make one: phosphene data NAME --out DIR --count N --size S", markup=False)
