"""The way from pictures to noise and back, for a report: real pictures along the model's own schedule, and
samples as the solver walks them."""

from typing import NamedTuple

import numpy as np
import torch
from markupsafe import Markup

from phosphene.diffusion.level import like
from phosphene.diffusion.noise import keys, normal
from phosphene.evaluation.sets import Real
from phosphene.evaluation.subject import shown_of
from phosphene.families.generator import Generator
from phosphene.pages import blocks
from phosphene.pages.page import Section
from phosphene.pictures.pixels import to_pillow, to_values
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown

ROWS, FRAMES = 4, 9


class Way(NamedTuple):
    """A row of pictures for each of a few pictures, and what stands below each."""

    rows: tuple[torch.Tensor, ...]
    captions: tuple[str, ...]


def forward(generator: Generator, data: Real) -> Way:
    """x_t = alpha x0 + sigma eps, one eps a picture, at times 0 to 1 of the schedule; scaled to be seen."""
    numbers = data.training[np.linspace(0, len(data.training) - 1, ROWS).astype(int)]
    x0 = to_values(torch.from_numpy(data.dataset.at(numbers, among=data.training).pixels))
    eps = normal(keys(0, range(len(x0))), 0, tuple(x0.shape[1:]))
    films, words = [], []
    for t in np.linspace(0, 1, FRAMES):
        level = generator.family.schedule.level(torch.full((len(x0),), t, dtype=torch.float64))
        films.append(level.add(x0, eps) / like(torch.hypot(*level).clamp(min=1), x0))
        words.append(f"t = {t:.2f}")
    return Way(tuple(torch.stack(films, 1)), tuple(words))


def reverse(generator: Generator, data: Real) -> Way:
    """Samples from noise, every so many evaluations of the network; the last frame is the picture."""
    classes = generator.classes or (None,)
    requests = [
        Request(classes[i % len(classes)], shown=one) for i, one in enumerate(examples(generator, data, ROWS))
    ]
    made = generator.make(requests, seed=0, trajectory=True)
    picked = np.unique(np.linspace(0, len(made.frames) - 1, FRAMES).astype(int))
    films = torch.stack([made.frames[i] for i in picked], 1)
    share = [i / (len(made.frames) - 1) for i in picked]
    words = ["noise", *(f"{s:.0%}" for s in share[1:-1]), "picture"]
    return Way(tuple(films), tuple(words))


def examples(generator: Generator, data: Real, count: int) -> list[Shown | None]:
    """What is shown of held-out pictures, or of training pictures where there are none."""
    some = data.held_out if len(data.held_out) else data.training
    numbers = some[np.arange(count) * len(some) // count]
    taken = data.dataset.at(numbers, among=some)
    return shown_of(generator, taken.pixels, taken.first)


def section(there: Way, back: Way) -> Section:
    """Both ways as rows of pictures."""
    return Section(
        "From picture to noise and back",
        [
            "Forward: training pictures along the schedule that the model learned. All is linear: "
            "x_t = alpha x0 + sigma eps.",
            *_strips(there, "forward"),
            "Reverse: samples on their way, with the recipe's solver; shares are of the solver's steps.",
            *_strips(back, "reverse"),
        ],
    )


def _strips(way: Way, alt: str) -> list[Markup]:
    """The captions stand below the last row only."""
    last = len(way.rows) - 1
    return [
        blocks.strip(to_pillow(row), way.captions if i == last else None, alt=alt)
        for i, row in enumerate(way.rows)
    ]
