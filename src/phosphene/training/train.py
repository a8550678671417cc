"""Starting a run and going on with one: what `phosphene train` and `phosphene.train` do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from phosphene.data.dataset import Dataset
from phosphene.data.load import load
from phosphene.data.sources import everywhere, there
from phosphene.families.contrast import Contrast
from phosphene.families.device import choose_device
from phosphene.files import sweep
from phosphene.networks.count import parameters
from phosphene.recipes.settings import AUTO, BaseSettings, Recipe, changed
from phosphene.training import assemble, base, checkpoint, metrics
from phosphene.training.board import Board, missing
from phosphene.training.contrast import ContrastMeasurement
from phosphene.training.folder import RunFolder, create, refuse_to_overwrite
from phosphene.training.horizon import CHECKPOINT
from phosphene.training.interrupt import interruptions
from phosphene.training.measurement import REFERENCE, Measurement
from phosphene.training.measuring import Measuring
from phosphene.training.progress import Diverged, Progress
from phosphene.training.saving import Summary, note_share, save, summary
from phosphene.training.text import captioned, of_cut, settled
from phosphene.training.trainer import Trainer
from phosphene.training.watch.finding import Finding
from phosphene.training.workers import Workers, workers

LENGTH = {"training.images", "training.budget"}
REPORT_EVERY = 0.5  # seconds between lines of the log


class Watcher:
    """Hears what a run does. The face of the command line is one; this one is silent."""

    def decoding(self, done: int, total: int) -> None:
        """Pictures are being read."""

    def encoding(self, done: int, total: int) -> None:
        """Captions are being encoded."""

    def begins(self, dataset: Dataset, size: int, folder: RunFolder, notes: tuple[str, ...]) -> None:
        """size: the network's weights. notes: lines about what is particular."""

    def progress(self, now: Progress) -> None:
        """Several times a second at most."""

    def found(self, finding: Finding) -> None:
        """Something goes wrong. Said once, until it clears."""

    def ends(self, outcome: "Outcome") -> None:
        """Everything is written."""

    def leaves(self) -> None:
        """Nothing more will be heard, whether the run has ended or an error has ended it."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: finished, or stopped by a signal and to be resumed. first: as seen by worker 0.

    seconds: from the first step to the written model. waiting: the share of this process's in which
    training waited for data. findings: what went wrong, since the run began. measured: what measuring came
    to. replaced: streamed pictures that could not be read, and the reasons; others stood in for them.
    """

    folder: RunFolder
    finished: bool
    step: int
    images: int
    seconds: float
    first: bool
    waiting: float
    findings: tuple[Finding, ...] = ()
    measured: Summary | None = None
    replaced: tuple[tuple[str, str], ...] = ()


class Adapted(NamedTuple):
    """A recipe that fits its data and machine, what to say of it, and the seconds that finding it took."""

    recipe: Recipe
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


Adapt = Callable[[Recipe, Dataset, torch.device], Adapted]


def start(
    recipe: Recipe,
    out: Path,
    force: bool = False,
    device: str = "auto",
    watcher: Watcher | None = None,
    adapt: Adapt | None = None,
) -> Outcome:
    """Trains a new run. Raises ValueError, before anything is written, for what cannot be trained.

    adapt: what changes the recipe when data and device are known; a run of several workers is left as it is.
    """
    chosen = choose_device(device)
    with workers(chosen) as team, watched(watcher, team) as watcher:
        data = prepare_data(recipe, watcher)
        resolved = changed(recipe, {"data.size": data.size, "data.source": everywhere(recipe.data.source)})
        resolved, notes = settled(resolved, data)
        said = captioned(resolved, data, chosen, watcher.encoding)
        adapted = Adapted(resolved)
        if adapt is not None and team.world == 1:
            refuse_to_overwrite(out, force)
            adapted = adapt(resolved, data, chosen)
        trainer = build(adapted.recipe, data, chosen, team)
        trainer.elapsed = adapted.seconds
        if team.first:
            folder = create(out, adapted.recipe, force)
        team.wait()
        folder = RunFolder(out)
        words = (*notes, *of_cut(said, resolved), *adapted.notes, *missing())
        watcher.begins(data, parameters(trainer.network), folder, words)
        return fit(trainer, folder, watcher)


def resume(
    root: Path,
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    watcher: Watcher | None = None,
) -> Outcome:
    """Goes on with a run from its newest good checkpoint; data need not be replayed.

    A run that was killed before its first checkpoint begins again: step 0 is a function of the recipe.
    changes: settings of the run's end, such as {"training.images": 2_000_000}, to train longer; or
    data.source and base.model, where the same pictures, and the model that the run began from, are now.
    Raises ValueError if there is no run, all its checkpoints are damaged, or the data is not the same.
    """
    folder, chosen = RunFolder(root), choose_device(device)
    recipe = changed(folder.read_recipe(), changes or {})
    source = recipe.data.source
    if not there(source):
        raise ValueError(
            f"data.source {source}: no such folder; where its pictures are now: "
            f"phosphene train FOLDER --resume {root}"
        )
    recipe = changed(recipe, {"data.source": everywhere(source)})
    if recipe.data.text == AUTO:  # the run began before captions were learned
        recipe = changed(recipe, {"data.text": None})
    with workers(chosen) as team, watched(watcher, team) as watcher:
        data = prepare_data(recipe, watcher)
        captioned(recipe, data, chosen, watcher.encoding)
        trainer = build(recipe, data, chosen, team)
        notes = restore(trainer, folder.state, keep_total=not LENGTH & (changes or {}).keys())
        if team.first:
            sweep(root)
            folder.write_recipe(recipe)
            metrics.rewind(folder.metrics, trainer.step)
        watcher.begins(data, parameters(trainer.network), folder, (*notes, *missing()))
        return fit(trainer, folder, watcher)


@contextmanager
def watched(watcher: Watcher | None, team: Workers) -> Iterator[Watcher]:
    """The watcher, on the first worker only, until it leaves."""
    watcher = watcher if watcher and team.first else Watcher()
    try:
        yield watcher
    finally:
        watcher.leaves()


def restore(trainer: Trainer, state: Path, keep_total: bool) -> tuple[str, ...]:
    """Brings the trainer to the newest good checkpoint, if there ever was one. Returns what is to be said.

    keep_total: the run ends at the step that the checkpoint knows of.
    """
    if not checkpoint.any_in(state):
        return ("no checkpoint was written yet: beginning again",)
    loaded, total = checkpoint.load(state), trainer.horizon.total
    trainer.restore(loaded.step, loaded.tensors, loaded.facts)
    if not keep_total:
        trainer.horizon.total = total
    return tuple(
        f"{name} is damaged ({reason}); going on from the checkpoint before"
        for name, reason in loaded.damaged
    )


def prepare_data(recipe: Recipe, watcher: Watcher) -> Dataset:
    """The data set of a recipe."""
    return load(recipe.data, watcher.decoding)


def build(recipe: Recipe, data: Dataset, device: torch.device, team: Workers) -> Trainer[Any]:
    """The trainer of a recipe on a data set. Raises ValueError for what does not fit together."""
    recipe = settled(recipe, data).recipe
    task = assemble.task(recipe, data, device)
    if recipe.base != BaseSettings():
        family = base.family(recipe, base.read(recipe.base), task)
    else:
        width = 0 if task.text is None else task.text.width
        config = assemble.network_config(recipe, data.size, data.channels, len(task.classes), width)
        family = assemble.family(recipe, config)
    return Trainer(recipe, data, family, task, device, team)


def fit(trainer: Trainer, folder: RunFolder, watcher: Watcher) -> Outcome:
    """Trains to the end, or until a signal; measures, saves and reports now and then, and at the end."""
    settings, first, horizon = trainer.recipe.training, trainer.workers.first, trainer.horizon
    begun, planned = trainer.elapsed, horizon.total is not None
    board = Board(folder.metrics.parent if first else None, trainer.step)
    measurement = measured_by(trainer, folder, board)
    measuring = Measuring(trainer, measurement.pieces, (REFERENCE,), measurement.asked)
    saved = trainer.clock()
    reported, since = trainer.clock(), list[Progress]()
    with interruptions() as stop, closing(trainer.loader), closing(board), noting(trainer, folder):
        for now in trainer.run(stop):
            since.append(now)
            if settings.stop in announce(trainer, folder, watcher):
                horizon.stop(trainer.step + 1)  # one more, so that every worker hears of it
            if first and trainer.clock() - reported >= REPORT_EVERY:
                _report(since, folder, watcher, board)
                reported, since = trainer.clock(), []
            # What a budget has become is kept at once: a resumed run must end where this one would.
            settled, planned = not planned and horizon.total is not None, horizon.total is not None
            if not first or horizon.finished(trainer.step):
                continue
            measuring.between(stop)
            due = trainer.clock() - saved >= settings.checkpoint
            if due or settled or horizon.rehearses(CHECKPOINT, trainer.elapsed):
                horizon.costs[CHECKPOINT] = trainer.aside(lambda: save(trainer, folder))
                saved = trainer.clock()
        if first:
            if since:
                _report(since, folder, watcher, board)
            # Before the last measurement: whatever ends that, the run is on disk.
            horizon.costs[CHECKPOINT] = trainer.aside(lambda: save(trainer, folder))
            if horizon.finished(trainer.step):
                measuring.finish(stop)
            note_share(trainer, folder)
    announce(trainer, folder, watcher)
    seconds = trainer.elapsed - begun
    outcome = Outcome(
        folder,
        horizon.finished(trainer.step),
        trainer.step,
        trainer.step * settings.batch,
        trainer.elapsed,
        first,
        trainer.waited / seconds if seconds else 0.0,
        tuple(trainer.watch.found),
        summary(trainer, folder, measurement.count),
        trainer.dataset.unreadable[len(trainer.dataset.report.unreadable) :],
    )
    if first:
        watcher.ends(outcome)
    trainer.workers.wait()
    return outcome


def measured_by(trainer: Trainer[Any], folder: RunFolder, board: Board) -> Measurement | ContrastMeasurement:
    """What is measured of a family of models."""
    if isinstance(trainer.family, Contrast):
        return ContrastMeasurement(trainer, folder, board)
    return Measurement(trainer, folder, board)


@contextmanager
def noting(trainer: Trainer, folder: RunFolder) -> Iterator[None]:
    """Why a run could not go on stands in its log too."""
    try:
        yield
    except Diverged as error:
        if trainer.workers.first:
            metrics.append(folder.metrics, error.finding.line)
        raise


def announce(trainer: Trainer, folder: RunFolder, watcher: Watcher) -> set[str]:
    """What the watch has found since it was last asked, to the log and the watcher; returns its kinds."""
    news = trainer.watch.news() if trainer.workers.first else []
    for finding in news:
        metrics.append(folder.metrics, finding.line)
        watcher.found(finding)
    return {finding.kind for finding in news}


def _report(since: Sequence[Progress], folder: RunFolder, watcher: Watcher, board: Board) -> None:
    """The last progress, with means over all of them, to the log, the board and the watcher."""
    now = since[-1]
    seconds = [now.images / now.step / each.images_per_second for each in since]
    report = now._replace(
        loss=sum(each.loss for each in since) / len(since),
        images_per_second=now.images / now.step * len(since) / sum(seconds),
        waiting=sum(each.waiting * spent for each, spent in zip(since, seconds, strict=True)) / sum(seconds),
    )
    line = _line(report)
    metrics.append(folder.metrics, line)
    board.numbers(report.step, {name: float(value) for name, value in line.items() if name != "step"})
    watcher.progress(report)


def _line(now: Progress) -> dict[str, Any]:
    """A progress as a line of the log."""
    return {
        "step": now.step,
        "images": now.images,
        "loss": now.loss,
        "gradient": now.gradient,
        "rate": now.rate,
        "images_per_second": round(now.images_per_second, 1),
        "elapsed": round(now.elapsed, 3),
        "waiting": round(now.waiting, 3),
    }
