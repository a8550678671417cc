"""Which batch, in how many parts, and which width suit a machine and a time: measured, not guessed.

Steps are timed at some batches, with the memory that they, validation and sampling take at the most. Then

- batch: the recipe's, halved while the time gives fewer than ENOUGH steps and halving costs little speed; a
  step of a batch between two that were measured is taken to be on the line through them, one of a batch above
  all of them, for which there was no time, to take as many times longer as it has pictures;
- parts: as few as fit into memory;
- width: the recipe's or a step wider or narrower, the widest that leaves ENOUGH steps; where there is no time
  to measure it, half the width is taken to need a quarter of the time, the least that it can.

That many steps are few, but fewer teach a wide network less than a narrow one learns in more of them (the
digits of the demonstration; LOG.md). What the caller has fixed is left as it is.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch

from phosphene.data.dataset import Dataset
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import sample
from phosphene.families.asked import Asked
from phosphene.families.device import finish
from phosphene.families.diffusion import Diffusion, held_out_losses, quantile_levels
from phosphene.recipes.settings import Recipe, TransformerSettings, changed
from phosphene.training.memory import free, held, peak
from phosphene.training.timing import least_time
from phosphene.training.train import build
from phosphene.training.trainer import Trainer
from phosphene.training.workers import Workers

ENOUGH = 2000  # steps
SHARE = 0.05  # of the time that measuring may take
ROOM = 0.8  # of the memory that may be used
NEARLY = 0.9  # of the best speed
SMALLEST = 8
SAMPLED = 64  # pictures a call when the model is asked
WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0)  # of the recipe's


class Measured(NamedTuple):
    """batch: of one part. seconds: of a step. memory: bytes at the most, validation and sampling included."""

    batch: int
    seconds: float
    memory: int

    @property
    def speed(self) -> float:
        """Pictures a second."""
        return self.batch / self.seconds


class Tuned(NamedTuple):
    """The recipe as it should run, what was measured, and what was chosen, by dotted name."""

    recipe: Recipe
    measured: tuple[Measured, ...]
    changes: Mapping[str, int]
    seconds: float


def measure(recipe: Recipe, data: Dataset, device: torch.device, batch: int, least: int = 3) -> Measured:
    """The quickest of at least `least` steps, and the peak of memory, at one batch."""
    trainer = build(
        changed(recipe, {"training.batch": batch, "training.accumulate": 1}), data, device, Workers()
    )
    family, seconds = trainer.shadow, 0.0
    assert isinstance(family, Diffusion)

    def step() -> None:
        trainer.update()
        finish(device)

    def work() -> None:
        nonlocal seconds
        step()
        seconds = least_time(step, least)
        if len(trainer.held_out):
            part = trainer.held_out_batch(trainer.held_out[:batch])
            held_out_losses(family, [part], quantile_levels(family, 1))
        _sample(trainer, family)

    with closing(trainer.loader), torch.random.fork_rng():
        memory = peak(device, work)
    return Measured(batch, seconds, memory)


def _sample(trainer: Trainer, family: Diffusion) -> None:
    """One evaluation, as the finished model is asked."""
    plan = Asked("ddim", 1, "trailing").plan(family.schedule)
    shape = (trainer.dataset.channels, trainer.dataset.size, trainer.dataset.size)
    key = keys(0, range(SAMPLED)).to(trainer.device)
    condition = trainer.task.blank(SAMPLED, shape, trainer.device)
    with torch.inference_mode():
        sample(family.denoise, plan, key, condition, shape)


def batches(
    recipe: Recipe, data: Dataset, device: torch.device, budget: float, deadline: float
) -> Iterator[Measured]:
    """The smallest batch, to know what memory a picture takes; the recipe's, or the largest below it that
    fits; then halves of it, while the budget is too short for ENOUGH steps and until the deadline."""
    before = held(device)
    batch = within(recipe, data)
    now = measure(recipe, data, device, min(SMALLEST, batch), least=2)
    yield now
    # What the weights take counts as if it grew with the batch too: the estimate is on the safe side.
    each, room = (now.memory - before) / now.batch, ROOM * free(device)
    while batch > SMALLEST and before + batch * each > room:
        batch //= 2
    while batch > SMALLEST and time.perf_counter() < deadline:
        now = measure(recipe, data, device, batch)
        yield now
        if budget / now.seconds >= ENOUGH:
            return
        batch //= 2


def within(recipe: Recipe, data: Dataset) -> int:
    """The recipe's batch, or as many pictures as there are to train on."""
    training, _ = data.split(recipe.data.held_out)
    return min(recipe.training.batch, len(training))


def tune(
    recipe: Recipe, data: Dataset, device: torch.device, budget: float, fixed: Collection[str] = ()
) -> Tuned:
    """A recipe for this machine and `budget` seconds. fixed: fields by dotted name that stay as they are.

    Raises ValueError for what cannot be trained.
    """
    start = time.perf_counter()
    measured = tuple(batches(recipe, data, device, budget, start + SHARE * budget / 2))
    changes: dict[str, int] = {}
    if "training.batch" not in fixed:
        changes["training.batch"] = batch_for(measured, within(recipe, data), budget)
    chosen = changed(recipe, changes)
    if not {"training.accumulate", "training.batch"} & set(fixed):
        changes["training.accumulate"] = parts_for(measured, chosen.training.batch, free(device))
        chosen = changed(recipe, changes)
    if "network.width" not in fixed and not isinstance(recipe.network, TransformerSettings):
        deadline = start + SHARE * budget
        changes["network.width"] = width_for(chosen, data, device, budget, measured, deadline)
        chosen = changed(recipe, changes)
    return Tuned(chosen, measured, changes, time.perf_counter() - start)


def batch_for(measured: Collection[Measured], wanted: int, budget: float) -> int:
    """The wanted batch, halved while there would be fewer than ENOUGH steps and speed is nearly kept."""
    seconds = {m.batch: m.seconds for m in measured}
    batch, best = wanted, max(m.speed for m in measured)
    while min(seconds) <= batch // 2 and budget / _step(seconds, batch) < ENOUGH:
        if batch // 2 / _step(seconds, batch // 2) < NEARLY * best:
            break
        batch //= 2
    return batch


def _step(seconds: Mapping[int, float], batch: int) -> float:
    """Seconds of a step of a batch, by those of others, of which one is no larger."""
    order = sorted(seconds)
    known = float(np.interp(batch, order, [seconds[some] for some in order]))
    return known * max(1.0, batch / order[-1])


def parts_for(measured: Collection[Measured], batch: int, memory: int) -> int:
    """The fewest equal parts of a batch that fit into memory."""
    room = ROOM * memory
    each = min(m.memory / m.batch for m in measured)  # what all parts of the process take, spread thinnest
    if any(m.batch >= batch and m.memory <= room for m in measured):
        return 1
    fitting = max((m.batch for m in measured if m.memory <= room), default=1)
    return -(-batch // max(fitting, min(batch, int(room / each))))


def width_for(
    recipe: Recipe,
    data: Dataset,
    device: torch.device,
    budget: float,
    measured: Collection[Measured],
    deadline: float,
) -> int:
    """The widest network that leaves ENOUGH steps; where none does, the narrowest."""
    settings, batch = recipe.network, recipe.training.batch
    assert not isinstance(settings, TransformerSettings)
    widths = [max(8, round(settings.width * factor / 8) * 8) for factor in WIDTHS]
    steps = budget * max(m.speed for m in measured) / batch

    def steps_at(width: int) -> float:
        part = -(-batch // recipe.training.accumulate)
        now = measure(changed(recipe, {"network.width": width}), data, device, part, least=2)
        return budget * now.speed / batch

    chosen = settings.width
    if steps < ENOUGH:
        for width in sorted((w for w in widths if w < chosen), reverse=True):
            chosen = width
            late = time.perf_counter() > deadline
            if (steps * (settings.width / width) ** 2 if late else steps_at(width)) >= ENOUGH:
                break
        return chosen
    for width in sorted(w for w in widths if w > chosen):
        # Twice the width costs at least twice the time: what is hopeless is not timed.
        hopeless = steps / (width / settings.width) < ENOUGH
        if hopeless or time.perf_counter() > deadline or steps_at(width) < ENOUGH:
            break
        chosen = width
    return chosen
