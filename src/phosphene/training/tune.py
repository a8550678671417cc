"""Which batch, in how many parts, and which width suit a machine and a time: measured, not guessed.

Steps are timed at growing batches, with the memory that they, validation and sampling take at the most. Then

- parts: as few as fit into memory, and as keep nearly all of the speed;
- batch: the recipe's, halved while the time gives fewer than ENOUGH steps and halving costs little speed;
- width: the recipe's or a step wider or narrower, the widest that leaves ENOUGH steps.

That many steps are few, but fewer teach a wide network less than a narrow one learns in more of them (the
digits of the demonstration; LOG.md). What the caller has fixed is left as it is.
"""

import time
from collections.abc import Collection, Iterator
from statistics import median
from typing import NamedTuple

import torch

from phosphene.data.dataset import Dataset
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import sample
from phosphene.families.asked import Asked
from phosphene.families.diffusion import held_out_losses, quantile_levels
from phosphene.recipes.settings import Recipe, TransformerSettings, changed
from phosphene.training.memory import free, peak
from phosphene.training.train import build
from phosphene.training.trainer import Trainer
from phosphene.training.workers import Workers

ENOUGH = 2000  # steps
SHARE = 0.05  # of the time that measuring may take
ROOM = 0.8  # of the memory that may be used
NEARLY = 0.9  # of the best speed
SMALLEST, LARGEST = 8, 512
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
    """The recipe as it should run, what was measured, and what was chosen, in words."""

    recipe: Recipe
    measured: tuple[Measured, ...]
    words: tuple[str, ...]
    seconds: float


def measure(recipe: Recipe, data: Dataset, device: torch.device, batch: int, least: int = 3) -> Measured:
    """The median of at least `least` steps, and the peak of memory, at one batch."""
    trainer = build(
        changed(recipe, {"training.batch": batch, "training.accumulate": 1}), data, device, Workers()
    )
    seconds: list[float] = []

    def work() -> None:
        trainer.update()
        for _ in range(least):
            start = time.perf_counter()
            trainer.update()
            _finish(device)
            seconds.append(time.perf_counter() - start)
        if len(trainer.held_out):
            part = trainer.held_out_batch(trainer.held_out[:batch])
            held_out_losses(trainer.shadow, [part], quantile_levels(trainer.family, 1))
        _sample(trainer)

    memory = peak(device, work)
    return Measured(batch, median(seconds), memory)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _sample(trainer: Trainer) -> None:
    """One evaluation, as the finished model is asked."""
    family = trainer.shadow
    plan = Asked("ddim", 1, "trailing").plan(family.schedule)
    shape = (trainer.dataset.channels, trainer.dataset.size, trainer.dataset.size)
    key = keys(0, range(SAMPLED)).to(trainer.device)
    condition = trainer.task.asked([None] * SAMPLED).each(lambda value: value.to(trainer.device))
    with torch.inference_mode():
        sample(family.denoise, plan, key, condition, shape)


def batches(recipe: Recipe, data: Dataset, device: torch.device, deadline: float) -> Iterator[Measured]:
    """Growing batches until memory, the pictures or the time end, or a larger one is no faster."""
    pictures = round(len(data.pictures) * (1 - recipe.data.held_out))
    batch, best = SMALLEST, 0.0
    while batch <= min(LARGEST, pictures):
        now = measure(recipe, data, device, batch)
        yield now
        # Twice the batch takes at most twice the memory, and about twice the time.
        if 2 * now.memory > ROOM * free(device) or time.perf_counter() + 8 * now.seconds > deadline:
            return
        if now.speed < 1.02 * best:
            return
        best, batch = max(best, now.speed), 2 * batch


def tune(
    recipe: Recipe, data: Dataset, device: torch.device, budget: float, fixed: Collection[str] = ()
) -> Tuned:
    """A recipe for this machine and `budget` seconds. fixed: fields by dotted name that stay as they are.

    Raises ValueError for what cannot be trained.
    """
    start = time.perf_counter()
    measured = tuple(batches(recipe, data, device, start + SHARE * budget / 2))
    chosen, changes = recipe, {}
    if "training.batch" not in fixed:
        changes["training.batch"] = batch_for(measured, recipe.training.batch, budget)
    chosen = changed(recipe, changes)
    if not {"training.accumulate", "training.batch"} & set(fixed):
        changes["training.accumulate"] = parts_for(measured, chosen.training.batch, free(device))
        chosen = changed(recipe, changes)
    if "network.width" not in fixed and not isinstance(recipe.network, TransformerSettings):
        deadline = start + SHARE * budget
        changes["network.width"] = width_for(chosen, data, device, budget, measured, deadline)
        chosen = changed(recipe, changes)
    words = tuple(f"{name} {value}" for name, value in changes.items())
    return Tuned(chosen, measured, words, time.perf_counter() - start)


def batch_for(measured: Collection[Measured], wanted: int, budget: float) -> int:
    """The wanted batch, halved while there would be fewer than ENOUGH steps and speed is nearly kept."""
    best = max(m.speed for m in measured)
    speed = {m.batch: m.speed for m in measured}
    batch = min(wanted, max(speed)) if wanted not in speed and wanted < LARGEST else wanted
    while batch // 2 in speed and speed[batch // 2] >= NEARLY * best:
        if budget * speed.get(batch, best) / batch >= ENOUGH:
            break
        batch //= 2
    return batch


def parts_for(measured: Collection[Measured], batch: int, memory: int) -> int:
    """The fewest equal parts of a batch that fit: those larger than any that was measured do not."""
    fitting = [m.batch for m in measured if m.memory <= ROOM * memory] or [min(m.batch for m in measured)]
    best = max(m.speed for m in measured if m.batch in fitting)
    fast = [m.batch for m in measured if m.batch in fitting and m.speed >= NEARLY * best]
    return -(-batch // max(fast)) if batch > max(fitting) else 1


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
        now = measure(changed(recipe, {"network.width": width}), data, device, part, least=1)
        return budget * now.speed / batch

    chosen = settings.width
    if steps < ENOUGH:
        for width in sorted((w for w in widths if w < chosen), reverse=True):
            chosen = width
            if time.perf_counter() > deadline or steps_at(width) >= ENOUGH:
                break
        return chosen
    for width in sorted(w for w in widths if w > chosen):
        # Twice the width costs at least twice the time: what is hopeless is not timed.
        hopeless = steps / (width / settings.width) < ENOUGH
        if hopeless or time.perf_counter() > deadline or steps_at(width) < ENOUGH:
            break
        chosen = width
    return chosen
