"""What is evaluated: a run, its generator, its pictures, and the ways its network is asked."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from phosphene.diffusion import noise
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import Level
from phosphene.evaluation.record import Options, Pictures, fingerprint
from phosphene.evaluation.sets import Chosen, Real, Sets
from phosphene.families.asked import Asked
from phosphene.families.diffusion import quantile_levels
from phosphene.families.family import Batch
from phosphene.families.generator import Generator
from phosphene.families.options import Watch
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.recipes.settings import Recipe
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown

LEVELS = 8  # of noise, at which held-out losses are measured
GRID = 128  # levels of the ELBO
WIDEST = (2e-3, 80.0)  # ratios between which bits per dimension are counted


@dataclass(frozen=True)
class Samples:
    """Pictures that were made, what is said of them, the seconds, and network evaluations a picture."""

    pictures: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"] | None
    record: Pictures
    seconds: float
    evaluations: int
    prompts: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Subject:
    """A run under evaluation. root: its folder."""

    root: Path
    recipe: Recipe
    generator: Generator
    data: Real
    sets: Sets
    options: Options

    @cached_property
    def asked(self) -> Asked:
        """How its pictures are made: the recipe's way, but for what the options change."""
        options, usual = self.options, self.generator.defaults
        return Asked(
            options.solver or usual.solver,
            usual.steps if options.steps is None else options.steps,
            usual.grid,
            guidance=usual.guidance if options.guidance is None else options.guidance,
            threshold=usual.threshold,
        )

    @property
    def like(self) -> Chosen:
        """The pictures whose labels and captions samples are asked for, or which are shown for them: the
        reference; in words and shown, rather held-out ones, which are in the twin where the reference is
        training pictures."""
        sets, task = self.sets, self.generator.task
        unseen = (task.text or task.sight) and sets.reference.record.what == "training"
        return sets.twin if unseen else sets.reference

    def requests(self, some: Chosen) -> list[Request]:
        """What pictures like these would be asked for: each with its label and the first of its captions, as
        far as it has them and the model hears them, and with what is shown of it."""
        names, none = self.generator.classes, [None] * len(some.pictures)
        numbers = some.labels.tolist() if names and some.labels is not None else none
        captions = some.captions if self.generator.task.text and some.captions else [()] * len(none)
        labels = [None if number is None or number < 0 else names[number] for number in numbers]
        prompts = [next(iter(said), None) for said in captions]
        shown = shown_of(self.generator, some.pictures, some.before)
        return [Request(*wish, shown=one) for *wish, one in zip(labels, prompts, shown, strict=True)]

    @cached_property
    def span(self) -> tuple[float, float]:
        """The ratios that likelihoods walk: as far as the schedule was trained."""
        low, high = self.generator.family.walked.span
        return max(WIDEST[0], low), min(WIDEST[1], high)

    @cached_property
    def grid(self) -> Level:
        """Levels of the ELBO, from noise to nearly clean, even in ln(sigma / alpha)."""
        low, high = self.span
        ratios = np.geomspace(high, low, GRID)
        return self.generator.family.schedule.at(torch.from_numpy(ratios))

    def condition(self, requests: Sequence[Request], key: noise.Key) -> Condition:
        """What the network is told of real pictures that were asked for so."""
        return self.generator.task.asked(requests, key).each(lambda t: t.to(self.generator.device))

    def batches(self, some: Chosen) -> list[tuple[Tensor, Condition, noise.Key]]:
        """Bytes, condition and key of some pictures, a batch at a time; picture i has the noise of (0, i)."""
        size, device = self.options.batch, self.generator.device
        parts, requests = [], self.requests(some)
        for start in range(0, len(some.pictures), size):
            rows = slice(start, start + size)
            pixels = torch.from_numpy(some.pictures[rows]).to(device)
            key = noise.keys(0, range(start, start + len(pixels)))
            parts.append((pixels, self.condition(requests[rows], key), key.to(device)))
        return parts


def shown_of(
    generator: Generator,
    pictures: UInt8[np.ndarray, "n c h w"],
    before: UInt8[np.ndarray, "n c h w"] | None,
) -> list[Shown | None]:
    """What requests show of these pictures, which were made from those; picture i is drawn with (0, i)."""
    values = to_values(torch.from_numpy(np.ascontiguousarray(pictures)))
    first = None if before is None else to_values(torch.from_numpy(before))
    return generator.task.wishes(values, noise.keys(0, range(len(values))), first)


def sample(subject: Subject, watch: Watch | None = None) -> Samples:
    """Makes the samples: picture i with seed and number (options.seed, i), asked for as picture i of
    `subject.like` would be."""
    options, asked = subject.options, subject.asked
    requests = subject.requests(subject.like)
    begun = time.perf_counter()
    made = subject.generator.make(
        requests,
        seed=options.seed,
        solver=asked.solver,
        steps=asked.steps,
        guidance=asked.guidance,
        batch=options.batch,
        watch=watch,
    )
    seconds = time.perf_counter() - begun
    pictures = to_bytes(made.values).numpy()
    record = Pictures(
        what="samples", count=len(pictures), seed=options.seed, fingerprint=fingerprint(pictures)
    )
    given = subject.like.labels if subject.generator.classes else None
    guided = 2 if asked.guidance != 1 and any(request.asks for request in requests) else 1
    prompts = tuple(request.prompt for request in requests) if subject.generator.task.text else ()
    return Samples(pictures, given, record, seconds, made.evaluations * guided, prompts)


@torch.no_grad()
def held_out_losses(subject: Subject, some: Chosen) -> Float64[np.ndarray, "n levels"]:
    """The training loss of each picture at levels that split the training density into equal parts.

    The mean over pictures is what training logs as held-out loss by level, with noise of other keys.
    """
    family = subject.generator.family
    levels = quantile_levels(family, LEVELS)
    found = []
    for pixels, condition, key in subject.batches(some):
        x0, rows = to_values(pixels), len(pixels)
        batch = Batch(x0, condition, key, 0, rows)
        columns = []
        for i in range(LEVELS):
            level = levels.rows(torch.full((rows,), i)).to(x0.device)
            eps = noise.normal(key, i, tuple(x0.shape[1:])).to(x0)
            columns.append(family.loss_at(batch, level, eps).double().cpu())
        found.append(torch.stack(columns, 1))
    return torch.cat(found).numpy()
