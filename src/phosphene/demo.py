"""The demonstration: a generator of digits, trained while one waits, and pictures of what it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from phosphene import files
from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion.level import like
from phosphene.diffusion.noise import keys, normal
from phosphene.families.device import use_threads
from phosphene.families.generator import Generator, load
from phosphene.families.sampled import write_film
from phosphene.measures import digits
from phosphene.pictures.pixels import to_values
from phosphene.pictures.sheet import sheet
from phosphene.recipes.settings import Recipe, changed
from phosphene.training.folder import RunFolder
from phosphene.training.options import find_recipe, parse_budget
from phosphene.training.train import Outcome, Watcher, start

COLUMNS, FRAMES = 10, 24
READ = 1000  # digits that the classifier reads: 0.5% is one standard deviation at 97%
LONG, READ_LONG = 100, 200  # steps above which it reads fewer, as a thousand would take minutes


@dataclass(frozen=True)
class Demo:
    """Where the run is, what was written, and the share of new digits that a classifier reads rightly."""

    folder: RunFolder
    paths: tuple[Path, ...]
    count: int
    accuracy: float
    by_class: Mapping[str, float]
    on_real: float


def recipe(name: str, budget: float, seed: int) -> Recipe:
    """A recipe as the demonstration runs it: a small network for pictures of 8x8."""
    chosen = find_recipe(name)
    return changed(
        chosen,
        {
            "data.source": "digits",
            "training.budget": budget,
            "training.images": None,
            "training.seed": seed,
            **NETWORKS[chosen.network.kind],
            **SMALL,
            **PACE.get(name, {}),
        },
    )


NETWORKS: Mapping[str, Mapping[str, object]] = {
    "unet": {
        "network.width": 32,
        "network.blocks": 1,
        "network.attention": [4],
        "network.dropout": 0.0,
        "network.scale_shift": True,
    },
    "transformer": {"network.width": 128, "network.depth": 6, "network.head_width": 32},
}
SMALL: Mapping[str, object] = {
    "diffusion.strata": True,
    "training.batch": 64,
    "training.optimizer": "adamw",
    "training.learning_rate": 3e-3,
    "training.beta2": 0.99,
    "training.warmup": 50,
    "training.decay": 0.3,
}
"""What a minute on two cores calls for, whatever the recipe: tuned on digits, the numbers stand in LOG.md."""

PACE: Mapping[str, Mapping[str, object]] = {
    "flow": {
        "training.optimizer": "muon",
        "training.learning_rate": 2e-3,
        "sampling.steps": 20,
        "sampling.guidance": 1.5,
    }
}


def train(
    name: str, out: Path | None, budget: str | None, seed: int, threads: int | None, watcher: Watcher
) -> Outcome:
    """The run of a demonstration. One that is there is never overwritten."""
    use_threads(threads)
    seconds = parse_budget(budget or ("80s" if name == "flow" else "90s"))
    place = out or files.fresh(Path("runs/demo"))
    return start(recipe(name, seconds, seed), place, watcher=watcher)


def look(folder: RunFolder) -> Demo:
    """Samples from a demonstration's run, and how well they can be read."""
    generator = load(folder.root)
    made = generator.sample(
        COLUMNS * len(generator.classes), label=_by_row(generator), trajectory=True, batch=100
    )
    samples = folder.samples
    paths = (samples / "digits.png", samples / "noise-to-digits.gif", samples / "digits-to-noise.gif")
    samples.mkdir(exist_ok=True)
    sheet(list(made), COLUMNS, row_titles=generator.classes).save(paths[0])
    made.animate(paths[1], COLUMNS)
    forward(generator, paths[2])
    count = READ if generator.defaults.steps <= LONG else READ_LONG
    made = generator.sample(count, seed=1, label=[i % 10 for i in range(count)], batch=250)
    read = digits.read(made.values, [int(settings["label"]) for settings in made.settings])
    return Demo(folder, paths, len(made), read.accuracy, read.by_class, read.on_real)


def _by_row(generator: Generator) -> list[int | str | None]:
    return [name for name in generator.classes for _ in range(COLUMNS)]


def forward(generator: Generator, path: Path) -> None:
    """Real digits becoming noise along the model's own schedule: x_t = alpha x0 + sigma eps, one eps each."""
    data = prepare(find("digits"))
    assert data.labels is not None
    chosen = [int((data.labels == label).nonzero()[0][i]) for label in range(10) for i in range(COLUMNS)]
    x0 = to_values(torch.from_numpy(data.pictures[chosen]))
    eps = normal(keys(0, range(len(chosen))), 0, tuple(x0.shape[1:]))
    film = []
    for i in range(FRAMES + 1):
        level = generator.family.schedule.level(torch.full((len(chosen),), i / FRAMES, dtype=torch.float64))
        seen = level.add(x0, eps) / like(torch.hypot(*level).clamp(min=1), x0)
        film.append(seen)
    write_film(film, path, COLUMNS)
