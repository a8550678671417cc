"""A trained model that can be asked for pictures."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from phosphene import files
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import sample
from phosphene.families.asked import Asked, known
from phosphene.families.compiled import faster
from phosphene.families.device import Asking, choose_device, made_ready
from phosphene.families.diffusion import Diffusion
from phosphene.families.like import read as read_like
from phosphene.families.like import settings
from phosphene.families.place import BEST, find_model
from phosphene.families.precision import Precision, choose_precision
from phosphene.families.restoring import Restoring, frozen
from phosphene.families.rows import Labels, Row, Scales, Texts, each, leading, representative, scaled
from phosphene.families.sampled import MOST_FRAMES, Sampled
from phosphene.networks.build import narrowest
from phosphene.pictures.embedded import read_settings
from phosphene.recipes.settings import PrecisionName
from phosphene.store import model, pipeline, text_encoder
from phosphene.tasks.request import NOTHING, Request
from phosphene.tasks.task import Task
from phosphene.tasks.text import Text

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Generator:
    """A model, the folder it came from, and the device that it computes on. wanted: in which precision.

    text: where its text encoder is now, if not where it was in training.
    """

    model: model.Model
    folder: Path
    device: torch.device
    wanted: str = "auto"
    text: str | None = None

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
        header, device = self.model.header.text, self.device
        if header is None:
            return Task(self.classes)
        text = Text(header.width, lambda: text_encoder.of_header(header, self.text, device))
        return Task(self.classes, text=text)

    @property
    def conditional(self) -> bool:
        """Whether anything can be asked for that guidance could exaggerate."""
        return bool(self.classes) or self.model.header.text is not None

    @property
    def defaults(self) -> Asked:
        """How pictures are made unless the caller says otherwise."""
        s = self.model.header.sampling
        # A recipe's guidance is for its conditions: without any there is nothing to compare.
        guidance = s.guidance if self.conditional else 1.0
        return Asked(s.solver, s.steps, s.grid, guidance=guidance, threshold=s.threshold)

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        first: int | None = None,
        label: Labels = None,
        prompt: Texts = None,
        negative: Texts = None,
        solver: str | None = None,
        steps: int | None = None,
        grid: str | None = None,
        eta: float | None = None,
        churn: float | None = None,
        guidance: Scales = None,
        interval: tuple[float, float] | None = None,
        weaker: Path | str | float | None = None,
        threshold: str | None = None,
        like: Path | str | None = None,
        restoring: Restoring | None = None,
        batch: int = 64,
        trajectory: bool = False,
        watch: Watch | None = None,
    ) -> Sampled:
        """n pictures, a Sequence of Pillow images; `.values` is the tensor, (n, c, h, w) in [-1, 1].

        seed, first: picture i is a function of (seed, first + i), whatever the batch it was made in.
        label: one for all, or one a picture: a class's name or index, None for any. prompt: what pictures
        should show, in words, and negative: what guidance leads away from instead of from no prompt; each
        one for all, or one a picture.
        solver, steps, grid, eta, churn, guidance, interval, threshold: see `phosphene.Asked`; None keeps
        what the model's recipe says. guidance may be one a picture. weaker: guidance leads away from what
        this run, model or shorter average (0.05) of the same kind says, instead (autoguidance).
        like: a PNG made by phosphene, whose settings come first of all.
        restoring: what is known of the pictures, see `phosphene.families.restoring`; solver and steps are
        then those that restore well, unless given.
        batch: pictures a network call. trajectory: keep the noisy pictures on the way in `.frames`.
        watch(done, total) is called after each evaluation of the network.

        Raises ValueError, naming the field, for a value that does not exist or does not fit the model.
        """
        asked, number, remade = self.defaults, 0, None
        if like is not None:
            made, asked = read_like(Path(like), self.model, self.folder)
            number = made.picture
            seed = made.seed if seed is None else seed
            label = made.label if label is None else label
            prompt = made.prompt if prompt is None else prompt
            negative = made.negative if negative is None else negative
            if weaker is None:
                weaker, remade = made.weaker, made.weaker_model
        if restoring is not None:
            restoring.refuse_for(self.channels, self.size)
            asked = restoring.asked(asked)
        n = (1 if like is not None else 16) if n is None else n
        seed, first = seed or 0, number if first is None else first
        changes = {
            "solver": solver,
            "steps": steps,
            "grid": grid,
            "eta": eta,
            "churn": churn,
            "guidance": representative(guidance),
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
        against = None if weaker is None else self._weaker(weaker)
        if remade is not None and against is not None and against.generator.model.fingerprint != remade:
            raise ValueError(f"like {like}: made with another weaker model than {weaker} is now")
        asked.refuse_for(
            self.conditional or against is not None, self.model.header.diffusion.learned_variance
        )
        wishes = zip(
            each("label", label, n), each("prompt", prompt, n), each("negative", negative, n), strict=True
        )
        ways = scaled(asked, guidance, n)
        rows = [
            Row(first + i, Request(*wish), way)
            for i, (wish, way) in enumerate(zip(wishes, ways, strict=True))
        ]
        return self._run(rows, seed, restoring, batch, trajectory, watch, against)

    def _weaker(self, weaker: Path | str | float) -> "Weaker":
        """The model that autoguidance leads away from. Raises ValueError for one of another kind."""
        shorter = isinstance(weaker, int | float)
        place, length = (self.folder, float(weaker)) if shorter else (weaker, None)
        found = load(place, str(self.device), length, self.wanted, text=self.text)
        own, other = self.model.header, found.model.header
        for field in ("size", "channels", "classes", "text"):
            if getattr(own, field) != getattr(other, field):
                raise ValueError(
                    f"weaker {weaker}: its {field} is {getattr(other, field)}, this model's "
                    f"{getattr(own, field)}; give one of the same kind"
                )
        return Weaker(weaker if shorter else str(weaker), found)

    def _run(
        self,
        rows: Sequence[Row],
        seed: int,
        restoring: Restoring | None,
        batch: int,
        trajectory: bool,
        watch: Watch | None,
        weaker: "Weaker | None",
    ) -> Sampled:
        asked = rows[0].asked
        plan = asked.plan(self.family.walked)
        requests = [row.request for row in rows]
        # What cannot be asked is said before work begins.
        self.task.compared(requests, self.task.asked(requests))
        if weaker is not None and any(request.negative is not None for request in requests):
            raise ValueError(f"negative: with weaker {weaker.named} guidance leads away from that; give one")
        stride = math.ceil((plan.evaluations + 1) / MOST_FRAMES)
        scale = torch.hypot(*plan.level).clamp(min=1)
        calls = math.ceil(len(rows) / batch)
        family = self.quick(min(batch, len(rows)), calls * plan.evaluations)
        done, pictures, frames = 0, [], []
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            film: list[Tensor] = []

            def step(n: int, x: Tensor, film: list[Tensor] = film) -> None:
                nonlocal done
                if n and watch is not None:
                    done += 1
                    watch(done, calls * plan.evaluations)
                last = n == plan.evaluations
                if trajectory and (last or n % stride == 0):
                    film.append((x if last else x / float(scale[n])).cpu())

            numbers = [row.number for row in part]
            denoise, condition = self._guided(family, part, weaker, restoring)
            with torch.inference_mode():
                shape = (self.channels, self.size, self.size)
                key = keys(seed, numbers).to(self.device)
                made = sample(denoise, plan, key, condition, shape, step).cpu()
            refuse_infinite(made, numbers, asked)
            if restoring is not None:
                made = restoring.finish(made)
            pictures.append(made)
            frames.append(film)
        more = {} if weaker is None else weaker.said
        more |= {} if restoring is None else restoring.describe()
        said = tuple(
            settings(self.model, self.folder, row.asked, seed, row.number, row.request, more) for row in rows
        )
        joined = tuple(torch.cat(parts) for parts in zip(*frames, strict=True))
        return Sampled(torch.cat(pictures), said, plan.evaluations, joined)

    def _guided(
        self, family: Diffusion, rows: Sequence[Row], weaker: "Weaker | None", restoring: Restoring | None
    ) -> tuple[Denoise, Condition]:
        """The denoiser with what is asked around it, and the condition of these rows."""
        requests = [row.request for row in rows]
        condition = self.task.asked(requests).each(lambda t: t.to(self.device))
        compared = self.task.compared(requests, condition)
        against = None if compared is None else compared.each(lambda t: t.to(self.device))
        # Where nothing is asked, the two answers that guidance compares are the same.
        scales = [row.asked.guidance if weaker or row.request.asks else 1.0 for row in rows]
        asked = leading([row.asked for row in rows])
        other = None if weaker is None else frozen(weaker.generator.family)

        def steer(denoise: Denoise) -> Denoise:
            return asked.steer(denoise, scales, self.device, against, other)

        if restoring is not None:
            return asked.bound(restoring.guide(self.family, steer, self.device)), condition
        return asked.bound(steer(family.denoise)), condition


class Weaker(NamedTuple):
    """The model that autoguidance leads away from, as it was named."""

    named: str | float
    generator: Generator

    @property
    def said(self) -> dict[str, str | float]:
        """Of it in a picture's file."""
        return {"weaker": self.named, "weaker_model": self.generator.model.fingerprint}


def refuse_infinite(made: Tensor, numbers: Sequence[int], asked: Asked) -> None:
    """Raises ValueError for pictures that are not made of finite numbers, which files would show as black."""
    for number, values in zip(numbers, made, strict=True):
        if not bool(values.isfinite().all()):
            raise ValueError(
                f"picture {number}: its values are not finite with solver {asked.solver}, "
                f"steps {asked.steps}, guidance {asked.guidance:g}; take another solver, more steps, "
                "less guidance or threshold clip"
            )


def load(
    place: Path | str,
    device: str = "auto",
    ema: float | None = None,
    precision: str = "auto",
    best: bool = False,
    text: Path | str | None = None,
) -> Generator:
    """The generator of a run or model folder, or of diffusers' folder of a UNet2DModel or its pipeline.

    ema: the length of an average of the weights; None takes the one that was trained to be shipped.
    precision: of products and convolutions, auto, fp32, bf16 or fp16; sums and solvers are float32 always.
    best: of a run, the model that measured best in training instead of the last one.
    text: where the text encoder is now that the model was trained with, if it has moved.
    Raises ValueError for what is not one, or is damaged, and for a length that it does not hold.
    """
    known("precision", precision, get_args(PrecisionName))
    folder = find_model(place, best)
    if not pipeline.is_unet(folder):
        there = None if text is None else str(text)
        return ready(Generator(model.load(folder, ema), folder, choose_device(device), precision, there))
    if ema is not None:
        raise ValueError(f"ema {ema}: {folder} is a model of diffusers, of one set of weights; leave it out")
    return ready(Generator(pipeline.load(folder), folder, choose_device(device), precision))


def ready(generator: Generator) -> Generator:
    """The same; a precision that is not to be had here is said now."""
    assert generator.precision
    return generator


def load_like(
    picture: Path,
    device: str = "auto",
    ema: float | None = None,
    precision: str = "auto",
    text: str | None = None,
) -> Generator:
    """The generator that made a picture, by the place and the average that the picture names."""
    said = read_settings(picture)
    place, length = said.get("run"), said.get("ema") if ema is None else ema
    if not isinstance(place, str):
        raise ValueError(f"like {picture}: it does not say which run made it; give the run too")
    if not isinstance(length, float | None):
        raise ValueError(f"like {picture}: ema {length!r}: a number is accepted")
    return load(place, device, length, precision, text=text)


def fresh_folder(generator: Generator, made: Sampled) -> Path:
    """A folder for samples beside the model that does not exist yet: samples/seed-0, seed-0-2, ..."""
    of_run = generator.folder.name in ("model", BEST)
    base = generator.folder.parent / "samples" if of_run else Path("samples")
    return files.fresh(base / f"seed-{made.settings[0]['seed']}")
