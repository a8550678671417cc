"""What a run shows while it trains: a live line on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from phosphene.data.dataset import Dataset
from phosphene.pictures.pixels import WORDS
from phosphene.training.folder import RunFolder
from phosphene.training.progress import Progress as Now
from phosphene.training.saving import Summary
from phosphene.training.train import Outcome, Watcher
from phosphene.training.watch.finding import Finding

QUIET_SECONDS = 10.0  # between lines where there is no terminal
WORTH_SAYING = 0.05  # share of the time that training waits for data


class Display(Watcher):
    """Prints to stderr, so that results on stdout stay clean."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=self.console,
        )
        self.task: TaskID | None = None
        self.said = 0.0

    def decoding(self, done: int, total: int) -> None:
        self._show("reading pictures", done, total, f"{done:,}/{total:,}")

    def encoding(self, done: int, total: int) -> None:
        self._show("encoding captions", done, total, f"{done:,}/{total:,}")

    def begins(self, dataset: Dataset, size: int, folder: RunFolder, notes: tuple[str, ...]) -> None:
        self._close()
        kind = WORDS[dataset.channels]
        self._line(
            f"{len(dataset.pictures):,} pictures, {dataset.size}x{dataset.size} {kind}" + _labels(dataset)
        )
        for line in (*describe(dataset), *notes):
            self._line(f"  {line}")
        self._line(f"network of {size:,} weights; the run is kept in {folder.root}")

    def progress(self, now: Now) -> None:
        of = "" if now.total is None else f"/{now.total:,}"
        wait = f"  {now.waiting:.0%} waiting for data" if now.waiting >= WORTH_SAYING else ""
        left = "" if now.left is None else f"  {clock(now.left)} left"
        words = (
            f"step {now.step:,}{of}  loss {now.loss:.4f}  {now.images_per_second:,.0f} pictures/s{wait}{left}"
        )
        share = 0.0 if now.left is None else now.elapsed / max(now.elapsed + now.left, 1e-9)
        self._show("training", int(1000 * share), 1000, words)

    def found(self, finding: Finding) -> None:
        self._line(finding.words)

    def ends(self, outcome: Outcome) -> None:
        self._close()
        verb = "trained" if outcome.finished else "stopped and saved"
        self._line(
            f"{verb} after {outcome.step:,} steps, {outcome.images:,} pictures seen, {clock(outcome.seconds)}"
        )
        if outcome.measured is not None:
            self._line(measured(outcome.measured))
        if outcome.replaced:
            self._line(f"{len(outcome.replaced):,} could not be read; others stood in for them:")
            for line in listed(outcome.replaced):
                self._line(line)

    def leaves(self) -> None:
        """Gives the terminal its cursor back."""
        self._close()

    def _show(self, what: str, done: int, total: int, words: str) -> None:
        if not self.console.is_terminal:
            if time.monotonic() - self.said >= QUIET_SECONDS:
                self.said = time.monotonic()
                self._line(f"{what}: {words}")
            return
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task(what, total=total, words=words)
        self.bar.update(self.task, description=what, completed=done, total=total, words=words)

    def _close(self) -> None:
        if self.task is not None:
            self.bar.stop()
            self.bar.remove_task(self.task)
            self.task = None

    def _line(self, words: str) -> None:
        self.console.print(words, markup=False)


def measured(what: Summary) -> str:
    """How often, at what cost, and where the best model is."""
    times = "once" if what.count == 1 else f"{what.count} times"
    words = f"measured {times} in {what.share:.1%} of the time"
    if what.best is not None:
        step, figures = what.best
        by = "held-out loss" if "held_out_loss" in figures else "kernel distance"
        words += f"; the best model, by its {by}, is that of step {step:,} (--best)"
    return words


def describe(dataset: Dataset) -> list[str]:
    """What was particular about the pictures, a line each."""
    report, lines = dataset.report, []
    if report.unreadable:
        lines.append(f"{len(report.unreadable):,} of {report.found:,} could not be read and were left out:")
        lines += listed(report.unreadable)
    lines += [f"{count:,} {note}" for note, count in report.notes.items()]
    if report.duplicates:
        lines.append(f"{report.duplicates:,} are copies of another, byte for byte (kept)")
    lines += [
        f"{count:,} {suffix} files are no pictures (ignored)" for suffix, count in report.ignored.items()
    ]
    return lines + list(report.problems)


def listed(unreadable: Sequence[tuple[str, str]]) -> list[str]:
    """The first ten, and how many more."""
    lines = [f"  {name}: {reason}" for name, reason in unreadable[:10]]
    return lines if len(unreadable) <= 10 else [*lines, f"  and {len(unreadable) - 10:,} more"]


def _labels(dataset: Dataset) -> str:
    if dataset.labels is None:
        return ""
    names = ", ".join(dataset.classes[:10]) + (", ..." if len(dataset.classes) > 10 else "")
    return f", {len(dataset.classes)} classes: {names}"


def clock(seconds: float) -> str:
    """72 -> 1:12, 3672 -> 1:01:12."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
