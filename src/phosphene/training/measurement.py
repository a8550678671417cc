"""What a measurement of a run is: pieces, each with its kind (training.measuring).

The averaged weights, as they are when it begins, make a few pictures on fixed seeds, in few steps, without
guidance, of the labels that training pictures have. Everything is a function of the weights and the recipe:
the run and the same run resumed measure the same.
"""

import io
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from phosphene.data.loader import rows_of
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import Level
from phosphene.diffusion.noise import Key, keys
from phosphene.diffusion.plan import walk
from phosphene.families.asked import Asked
from phosphene.families.device import computing_in, finish
from phosphene.families.diffusion import Diffusion
from phosphene.families.sampled import columns_for
from phosphene.files import write_atomic
from phosphene.measures.features.fixed import normalised_pixels, random_convolutions
from phosphene.measures.memorisation import Memorised, Views, views
from phosphene.pictures.pixels import to_bytes, to_pillow, to_values
from phosphene.pictures.sheet import sheet
from phosphene.tasks.sight import face
from phosphene.training import figures
from phosphene.training.board import Board
from phosphene.training.figures import Known, Made
from phosphene.training.folder import RunFolder
from phosphene.training.held_out import asked as answers
from phosphene.training.held_out import held_out_loss
from phosphene.training.measuring import SAMPLES, Parts, Pieces, Seconds
from phosphene.training.metrics import append
from phosphene.training.saving import best, save_best
from phosphene.training.trainer import Trainer, evenly
from phosphene.training.watch.observation import Observation, samples

ROWS = 32  # pictures a piece
PIXELS = 2**20  # whose features are computed in a piece
REAL = 512  # training pictures, and held-out ones, whose features are compared with
SEARCHED = 10_000  # training pictures among which copies are looked for
SMALL = 16  # pixels a side at which they are looked for
SHOWN = 64  # pictures of a sheet
FEWEST, USUAL, MOST = 20, 64, 512  # pictures that are made for a measurement; diversity needs 20
LOOKS = 12  # that a run should have with more than the usual number
NAMED = 3  # training pictures that are named when they were copied
SOLVER = "dpmpp_2m"
REFERENCE = "reference"
"""The kind of pieces that only the first measurement of a process has: features of real pictures."""

Numbers = Int64[np.ndarray, " n"]
Figure = Callable[[Made, Known], dict[str, float]]
FIGURES: Mapping[str, Figure] = {
    "kernel distance": figures.kernel,
    "colour": figures.colours,
    "diversity": figures.diversities,
}


class Measurement:
    """What stays the same over a run's measurements, and where their figures go.

    count: measurements so far in this process.
    """

    def __init__(self, trainer: Trainer[Diffusion], folder: RunFolder, board: Board) -> None:
        self.trainer, self.folder, self.board = trainer, folder, board
        size = trainer.dataset.size
        batch = min(max(PIXELS // size**2, 1), 256)
        self.encoder = replace(random_convolutions(), batch=batch).to(trainer.device)
        self.small = replace(normalised_pixels(min(SMALL, size)), batch=batch).to(trainer.device)
        self.known: Known | None = None
        self.count = 0

    @property
    def asked(self) -> tuple[int, int]:
        """How many answers of the network the longest piece of held-out losses takes, and all of them."""
        return answers(self.trainer)

    def pieces(self, parts: Parts, took: Seconds) -> Pieces:
        """One measurement. took: seconds of its pieces so far, by kind."""
        for part in parts:
            yield from self.samples(took) if part == SAMPLES else self.held_out()

    def held_out(self) -> Pieces:
        """The loss on held-out pictures, if there are any."""
        if len(self.trainer.held_out):
            line = yield from held_out_loss(self.trainer)
            append(self.folder.metrics, line)
            self.board.numbers(line["step"], {"held_out_loss": line["held_out_loss"]})

    def samples(self, took: Seconds) -> Pieces:
        """Samples and their figures."""
        trainer = self.trainer
        if self.known is None:
            self.known = yield from self.knowing()
        yield "weights"
        step = trainer.step
        trainer.shadow.network.load_state_dict(trainer.averaged())
        values = yield from self.sampling()
        made = yield from self.made(values)
        found: dict[str, float] = {}
        for kind, figure in FIGURES.items():
            yield kind
            found |= figure(made, self.known)
        yield "memorisation"
        judged = None if self.shows_training else figures.copies(made, self.known)
        found |= {} if judged is None else figures.copied(judged)
        trainer.watch.see(self.observation(step, values, judged))
        yield "sheet"
        self.show(step, values)
        if better := self.is_better(found, judged):
            yield "best model"
            save_best(trainer, self.folder, step, figures.finite(found))
        self.write(step, found, took, better)

    @cached_property
    def beside(self) -> Numbers:
        """A picture for each made one, whose label it is asked for: a training picture; held-out ones, where
        there are any, for a model to which they are shown."""
        trainer, count = self.trainer, suited(self.trainer)
        unseen = trainer.task.sight is not None and len(trainer.held_out)
        chosen = evenly(trainer.held_out if unseen else trainer.loader.indices, count)
        return chosen[np.arange(count) % len(chosen)]

    @property
    def shows_training(self) -> bool:
        """Whether pictures are made of training pictures, and so should be like them."""
        return self.trainer.task.sight is not None and not len(self.trainer.held_out)

    def knowing(self) -> Generator[str, None, Known]:
        """The features of real pictures."""
        trained = self.trainer.loader.indices
        held_out, searched = evenly(self.trainer.held_out, REAL), evenly(trained, SEARCHED)
        training = yield from self.encoded(evenly(trained, REAL))
        known_held_out = yield from self.encoded(held_out)
        beside = yield from self.encoded(self.beside)
        small = yield from self.looked_at(searched)
        null = yield from self.looked_at(held_out)
        return Known(
            self.encoder.name,
            training,
            known_held_out,
            self.pictures(self.beside),
            beside,
            small,
            searched,
            null,
        )

    def encoded(self, numbers: Numbers) -> Generator[str, None, np.ndarray]:
        """Features of these pictures."""
        rows = [np.zeros((0, 0), np.float32)][: not len(numbers)]
        for part in batches(numbers, self.encoder.batch):
            yield REFERENCE
            rows.append(self.encoder(self.pictures(part)))
        return np.concatenate(rows)

    def looked_at(self, numbers: Numbers) -> Generator[str, None, Views]:
        """Small features of these pictures and of their mirror images."""
        rows = [Views(*[np.zeros((0, 0), np.float32)] * 2)][: not len(numbers)]
        for part in batches(numbers, self.small.batch):
            yield REFERENCE
            rows.append(views(self.pictures(part), self.small))
        return joined(rows)

    def sampling(self) -> Generator[str, None, Float[Tensor, "n c h w"]]:
        """The pictures, some rows at a time, an evaluation of the network a piece."""
        trainer, device = self.trainer, self.trainer.device
        settings = trainer.recipe.sampling
        asked = Asked(
            SOLVER, trainer.recipe.training.measure_steps, settings.grid, threshold=settings.threshold
        )
        plan = asked.plan(trainer.family.walked)
        shape = (trainer.dataset.channels, trainer.dataset.size, trainer.dataset.size)
        values = []
        for numbers in batches(np.arange(len(self.beside)), ROWS):
            key = keys(trainer.recipe.training.seed, numbers.tolist()).to(device)
            denoise = asked.bound(self.denoise)
            way = walk(denoise, plan, key, self.condition(self.beside[numbers], key), shape)
            x = None
            for _ in range(plan.evaluations + 1):
                yield "sampling"
                with torch.inference_mode():
                    _, x = next(way)
                finish(device)
            assert x is not None
            values.append(x.cpu())
        return torch.cat(values).clone()

    def denoise(self, x: Tensor, level: Level, condition: Condition) -> Tensor:
        """The averaged weights' answer, in the precision of training."""
        with computing_in(self.trainer.precision.name, self.trainer.device):
            return self.trainer.shadow.denoise(x, level, condition).float()

    def condition(self, numbers: Numbers, key: Key) -> Condition:
        trainer = self.trainer
        return trainer.task.known(rows_of(trainer.dataset, numbers, trainer.device), key)

    def made(self, values: Float[Tensor, "n c h w"]) -> Generator[str, None, Made]:
        """What was made as figures take it."""
        made = to_bytes(values)
        features, small = [], []
        for part in made.split(self.encoder.batch):
            yield "features"
            features.append(self.encoder(part))
            small.append(views(part, self.small))
        return Made(made, np.concatenate(features), joined(small))

    def pictures(self, numbers: Numbers) -> UInt8[Tensor, "n c h w"]:
        return torch.from_numpy(self.trainer.dataset.at(numbers).pixels)

    def observation(self, step: int, values: Tensor, judged: Memorised | None) -> Observation:
        """What the run's watch is told."""
        real = to_values(self.pictures(self.beside))
        if judged is None:
            return Observation(step, samples=samples(values, real))
        assert self.known is not None
        clearest = np.argsort(judged.made.ratio)[:NAMED]
        clearest = clearest[judged.copies[clearest]]
        numbers = self.known.numbers[judged.made.nearest[clearest]]
        names = tuple(dict.fromkeys(self.trainer.dataset.names[number] for number in numbers))
        return Observation(step, samples=samples(values, real, judged.share.value, judged.null.value, names))

    def is_better(self, found: Mapping[str, float], judged: Memorised | None) -> bool:
        """Whether this is the best model so far: one that copies is none."""
        assert self.known is not None
        name = figures.criterion(self.known)
        if name not in found or (judged is not None and judged.memorising):
            return False
        former = best(self.folder)
        return former is None or name not in former[1] or found[name] < former[1][name]

    def show(self, step: int, values: Float[Tensor, "n c h w"]) -> None:
        """The sheet on fixed seeds."""
        chosen = evenly(np.arange(len(values)), SHOWN)
        made = to_pillow(values[torch.from_numpy(chosen)])
        page = self.beside_what_was_shown(made, chosen) or sheet(made, columns_for(len(chosen)))
        file = io.BytesIO()
        page.save(file, "PNG")
        self.folder.samples.mkdir(exist_ok=True)
        write_atomic(self.folder.samples / f"step-{step:06d}.png", file.getvalue())
        self.board.picture(step, "samples", page)

    def beside_what_was_shown(self, made: list[Image.Image], chosen: Numbers) -> Image.Image | None:
        """For a model to which pictures are shown: what was shown, what was made of it, what it was."""
        trainer = self.trainer
        if trainer.task.sight is None:
            return None
        rows = rows_of(trainer.dataset, self.beside[chosen], torch.device("cpu"))
        real = rows.values
        key = keys(trainer.recipe.training.seed, chosen.tolist())
        faces = [
            face(one, real.shape[1], (real.shape[2], real.shape[3]))
            for one in trainer.task.wishes(real, key, rows.before)
            if one is not None
        ]
        triples = zip(to_pillow(torch.stack(faces)), made, to_pillow(real), strict=True)
        columns = max(1, columns_for(3 * len(made)) // 3)
        titles = ["shown", "made", "real"] * columns
        return sheet([image for triple in triples for image in triple], 3 * columns, column_titles=titles)

    def write(self, step: int, found: Mapping[str, float], took: Seconds, better: bool) -> None:
        """The line of the log."""
        share = self.trainer.horizon.measuring
        line = {
            "step": step,
            "pictures": len(self.beside),
            "measured": found,
            "best": better,
            "measuring_seconds": round(sum(took.values()), 4),
            "measuring_by_kind": {kind: round(seconds, 4) for kind, seconds in took.items()},
            "measuring_share": round(share.spent / self.trainer.elapsed, 5),
        }
        append(self.folder.metrics, line)
        self.board.numbers(step, {f"measured/{name}": value for name, value in found.items()})
        self.board.numbers(step, {"measuring_share": line["measuring_share"]})
        self.count += 1


def suited(trainer: Trainer) -> int:
    """How many pictures are made: what the recipe says; or the usual number, more if LOOKS times as many can
    be made in half of the share, fewer if they cannot be made once. A run chooses once."""
    settings, horizon = trainer.recipe.training, trainer.horizon
    share, step = horizon.measuring, horizon.plain
    if settings.measure_pictures is not None:
        share.pictures = settings.measure_pictures
    elif share.pictures is None:
        share.pictures = USUAL
        left = horizon.left(trainer.step, trainer.elapsed)
        if step and left is not None:
            # A step asks the network for a batch, and its gradients take as long as two more.
            each = step / (3 * settings.batch) * settings.measure_steps
            most = share.limit * (trainer.elapsed + left) / 2 / each
            while share.pictures * 2 * LOOKS <= min(most, MOST * LOOKS):
                share.pictures *= 2
            while share.pictures > max(most, FEWEST):
                share.pictures = max(share.pictures // 2, FEWEST)
    return share.pictures


def joined(parts: list[Views]) -> Views:
    """One after the other."""
    plain, mirrored = ([np.asarray(rows) for rows in column] for column in zip(*parts, strict=True))
    return Views(np.concatenate(plain), np.concatenate(mirrored))


def batches(numbers: Numbers, size: int) -> Iterator[Numbers]:
    """In order, so many at a time."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
