"""A trained model that can be asked for pictures."""

import copy
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from phosphene import files
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import sample
from phosphene.families.asked import Asked, known
from phosphene.families.compiled import faster
from phosphene.families.device import Asking, Precision, choose_device, choose_precision, made_ready
from phosphene.families.diffusion import Diffusion
from phosphene.families.sampled import MOST_FRAMES, Sampled
from phosphene.networks.build import narrowest
from phosphene.pictures.embedded import read_settings
from phosphene.recipes.settings import PrecisionName, Settings, first_line
from phosphene.store import model, pipeline
from phosphene.tasks.request import NOTHING, Label, Request
from phosphene.tasks.task import Task
from phosphene.version import __version__

BEST = "best"
"""The folder of a run in which training keeps the model that measured best."""

Watch = Callable[[int, int], None]
Labels = Label | Sequence[Label | None] | None


@dataclass(frozen=True)
class Generator:
    """A model, the folder it came from, and the device that it computes on. wanted: in which precision."""

    model: model.Model
    folder: Path
    device: torch.device
    wanted: str = "auto"

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.model.header.size

    @property
    def channels(self) -> int:
        """1 grey, 3 RGB, 4 RGBA."""
        return self.model.header.channels

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that may be asked for."""
        return self.model.header.classes

    @cached_property
    def precision(self) -> Precision:
        """Of products and convolutions, and why. Raises ValueError for one that is not to be had here."""
        return choose_precision(self.wanted, self.device, narrowest(self.model.config))

    @cached_property
    def family(self) -> Diffusion:
        """The network and what its answers mean: for those who want the parts."""
        network = self.model.network
        if self.precision.name != "fp32":
            # Rounded weights are this generator's own: the model keeps what its file holds.
            network = Asking(copy.deepcopy(network), self.precision.name, self.device)
        return Diffusion(made_ready(network, self.device), self.model.header.diffusion)

    def quick(self, rows: int, calls: int) -> Diffusion:
        """The family with its network in the way that is fastest for so many calls with so many rows."""
        x = torch.zeros(rows, self.channels, self.size, self.size, device=self.device)
        condition = self.task.asked([NOTHING] * rows).each(lambda t: t.to(self.device))

        def call(network: nn.Module) -> None:
            network(x, x.new_zeros(rows), condition)

        with torch.inference_mode():
            name = f"ask {rows} {self.precision.name}"
            network = faster(self.family.network, self.device, lambda _: float(calls), call, name)
        return self.family.with_network(network)

    @cached_property
    def task(self) -> Task:
        return Task(self.classes)

    @property
    def defaults(self) -> Asked:
        """How pictures are made unless the caller says otherwise."""
        s = self.model.header.sampling
        # A recipe's guidance is for its labels: without any there is nothing to compare.
        guidance = s.guidance if self.classes else 1.0
        return Asked(s.solver, s.steps, s.grid, guidance=guidance, threshold=s.threshold)

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        first: int | None = None,
        label: Labels = None,
        solver: str | None = None,
        steps: int | None = None,
        grid: str | None = None,
        eta: float | None = None,
        churn: float | None = None,
        guidance: float | None = None,
        interval: tuple[float, float] | None = None,
        threshold: str | None = None,
        like: Path | str | None = None,
        batch: int = 64,
        trajectory: bool = False,
        watch: Watch | None = None,
    ) -> Sampled:
        """n pictures, a Sequence of Pillow images; `.values` is the tensor, (n, c, h, w) in [-1, 1].

        seed, first: picture i is a function of (seed, first + i), whatever the batch it was made in.
        label: one for all, or one a picture: a class's name or index, None for any.
        solver, steps, grid, eta, churn, guidance, interval, threshold: see `phosphene.Asked`; None keeps
        what the model's recipe says. like: a PNG made by phosphene, whose settings come first of all.
        batch: pictures a network call. trajectory: keep the noisy pictures on the way in `.frames`.
        watch(done, total) is called after each evaluation of the network.

        Raises ValueError, naming the field, for a value that does not exist or does not fit the model.
        """
        if like is not None:
            made, asked = self._like(Path(like))
            number = made.picture
            seed = made.seed if seed is None else seed
            label = made.label if label is None else label
        else:
            asked, number = self.defaults, 0
        n = (1 if like is not None else 16) if n is None else n
        seed, first = seed or 0, number if first is None else first
        changes = {
            "solver": solver,
            "steps": steps,
            "grid": grid,
            "eta": eta,
            "churn": churn,
            "guidance": guidance,
            "interval": interval,
            "threshold": threshold,
        }
        asked = replace(asked, **{name: value for name, value in changes.items() if value is not None})
        for field, value, least in (("n", n, 1), ("seed", seed, 0), ("first", first, 0), ("batch", batch, 1)):
            if value < least:
                raise ValueError(f"{field} {value}: give {least} or more")
        for field, value, numbers in (("seed", seed, 1), ("first", first, n)):
            if value + numbers > 2**63:
                raise ValueError(f"{field} {value}: give {2**63 - numbers} or less")
        asked.refuse_for(bool(self.classes), self.model.header.diffusion.learned_variance)
        return self._run(asked, seed, range(first, first + n), _each(label, n), batch, trajectory, watch)

    def _run(
        self,
        asked: Asked,
        seed: int,
        numbers: range,
        labels: Sequence[Label | None],
        batch: int,
        trajectory: bool,
        watch: Watch | None,
    ) -> Sampled:
        plan = asked.plan(self.family.walked)
        requests = [Request(label) for label in labels]
        self.task.asked(requests)  # a label that does not exist is said before work begins
        stride = math.ceil((plan.evaluations + 1) / MOST_FRAMES)
        scale = torch.hypot(*plan.level).clamp(min=1)
        calls = math.ceil(len(numbers) / batch)
        family = self.quick(min(batch, len(numbers)), calls * plan.evaluations)
        done, pictures, frames = 0, [], []
        for start in range(0, len(numbers), batch):
            rows = numbers[start : start + batch]
            film: list[Tensor] = []

            def step(n: int, x: Tensor, film: list[Tensor] = film) -> None:
                nonlocal done
                if n and watch is not None:
                    done += 1
                    watch(done, calls * plan.evaluations)
                last = n == plan.evaluations
                if trajectory and (last or n % stride == 0):
                    film.append((x if last else x / float(scale[n])).cpu())

            part = requests[start : start + batch]
            condition = self.task.asked(part).each(lambda t: t.to(self.device))
            # Where nothing is asked, the two answers that guidance compares are the same.
            anything = any(request.asks for request in part)
            guided = asked if anything else replace(asked, guidance=1.0, interval=None)
            denoise = guided.guide(family.denoise, len(rows), self.device)
            with torch.inference_mode():
                shape = (self.channels, self.size, self.size)
                key = keys(seed, rows).to(self.device)
                made = sample(denoise, plan, key, condition, shape, step).cpu()
            refuse_infinite(made, rows, asked)
            pictures.append(made)
            frames.append(film)
        settings = tuple(
            self._settings(asked, seed, number, label) for number, label in zip(numbers, labels, strict=True)
        )
        joined = tuple(torch.cat(parts) for parts in zip(*frames, strict=True))
        return Sampled(torch.cat(pictures), settings, plan.evaluations, joined)

    def _settings(self, asked: Asked, seed: int, number: int, label: Label | None) -> dict[str, Any]:
        """What a picture's file says of how it was made."""
        made = {"ema": self.model.ema, "seed": seed, "picture": number, "label": label, **asked.describe()}
        return {
            "phosphene": __version__,
            "model": self.model.fingerprint,
            "run": str(self.folder),
            **{name: value for name, value in made.items() if value is not None},
        }

    def _like(self, path: Path) -> tuple["_Made", Asked]:
        """The settings inside a picture, checked. Raises ValueError if another model made it."""
        given = read_settings(path)
        if given.get("ema") != self.model.ema:
            raise ValueError(
                f"like {path}: made with ema {given.get('ema')}, not {self.model.ema}; load the model with it"
            )
        if given.get("model") != self.model.fingerprint:
            raise ValueError(f"like {path}: made by another model ({given.get('run')}), not by {self.folder}")
        names = [field.name for field in fields(Asked)]
        try:
            made = _Made.model_validate({name: given.get(name) for name in _Made.model_fields})
            values = json.dumps({name: given[name] for name in names if name in given})
            return made, TypeAdapter(Asked).validate_json(values)
        except ValidationError as error:
            raise ValueError(f"like {path}: {first_line(error)}") from None


class _Made(Settings):
    """What a picture's file says besides how it was asked for."""

    seed: int
    picture: int
    label: int | str | None


def refuse_infinite(made: Tensor, numbers: Sequence[int], asked: Asked) -> None:
    """Raises ValueError for pictures that are not made of finite numbers, which files would show as black."""
    for number, values in zip(numbers, made, strict=True):
        if not bool(values.isfinite().all()):
            raise ValueError(
                f"picture {number}: its values are not finite with solver {asked.solver}, "
                f"steps {asked.steps}, guidance {asked.guidance:g}; take another solver, more steps, "
                "less guidance or threshold clip"
            )


def _each(label: Labels, n: int) -> list[Label | None]:
    """One label a picture."""
    if label is None or isinstance(label, str | int):
        return [label] * n
    if len(label) != n:
        raise ValueError(f"label: {len(label)} labels for {n} pictures; give one, or one a picture")
    return list(label)


def find_model(place: Path | str, best: bool = False) -> Path:
    """The model folder of a run, of a model folder itself, of the run of this name below runs/, or of a
    pipeline of diffusers. best: of a run, the model that measured best in training."""
    candidates = [Path(place), Path("runs") / place]
    if best:
        for folder in candidates:
            if (files.standing(folder / BEST) / model.CONFIG).is_file():
                return folder / BEST
        raise ValueError(
            f"best: {place} holds no best model; a run keeps one when it is measured, which takes some time "
            "and training.measure_share above 0"
        )
    for folder in candidates:
        for found in (folder / "model", folder, folder / pipeline.UNET):
            if (files.standing(found) / model.CONFIG).is_file():
                return found
    if any((folder / "recipe.toml").is_file() for folder in candidates):
        raise ValueError(
            f"{place}: this run has not saved a model yet; go on with it: train --resume {place}"
        )
    raise ValueError(f"{place}: no run or model here; give a run's folder, its name, or a model folder")


def load(
    place: Path | str,
    device: str = "auto",
    ema: float | None = None,
    precision: str = "auto",
    best: bool = False,
) -> Generator:
    """The generator of a run or model folder, or of diffusers' folder of a UNet2DModel or its pipeline.

    ema: the length of an average of the weights; None takes the one that was trained to be shipped.
    precision: of products and convolutions, auto, fp32, bf16 or fp16; sums and solvers are float32 always.
    best: of a run, the model that measured best in training instead of the last one.
    Raises ValueError for what is not one, or is damaged, and for a length that it does not hold.
    """
    known("precision", precision, get_args(PrecisionName))
    folder = find_model(place, best)
    if not pipeline.is_unet(folder):
        return ready(Generator(model.load(folder, ema), folder, choose_device(device), precision))
    if ema is not None:
        raise ValueError(f"ema {ema}: {folder} is a model of diffusers, of one set of weights; leave it out")
    return ready(Generator(pipeline.load(folder), folder, choose_device(device), precision))


def ready(generator: Generator) -> Generator:
    """The same; a precision that is not to be had here is said now."""
    assert generator.precision
    return generator


def load_like(
    picture: Path, device: str = "auto", ema: float | None = None, precision: str = "auto"
) -> Generator:
    """The generator that made a picture, by the place and the average that the picture names."""
    said = read_settings(picture)
    place, length = said.get("run"), said.get("ema") if ema is None else ema
    if not isinstance(place, str):
        raise ValueError(f"like {picture}: it does not say which run made it; give the run too")
    if not isinstance(length, float | None):
        raise ValueError(f"like {picture}: ema {length!r}: a number is accepted")
    return load(place, device, length, precision)


def fresh_folder(generator: Generator, made: Sampled) -> Path:
    """A folder for samples beside the model that does not exist yet: samples/seed-0, seed-0-2, ..."""
    of_run = generator.folder.name in ("model", BEST)
    base = generator.folder.parent / "samples" if of_run else Path("samples")
    return files.fresh(base / f"seed-{made.settings[0]['seed']}")
