"""Pictures from requests: a batch at a time through the sampler, with all that goes around it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.plan import sample
from phosphene.families.around import Around, key_of
from phosphene.families.asked import Asked
from phosphene.families.diffusion import Diffusion
from phosphene.families.like import settings
from phosphene.families.options import BATCH, Options, changed, numbered
from phosphene.families.ready import Ready
from phosphene.families.restoring import frozen
from phosphene.families.rows import Row, leading, scaled
from phosphene.families.sampled import MOST_FRAMES, Sampled
from phosphene.store.model import Header
from phosphene.store.text_encoder import shortened
from phosphene.tasks.request import Request


@dataclass(frozen=True)
class Weaker:
    """The model that autoguidance leads away from, as it was named."""

    named: str | float
    ready: Ready

    @property
    def fingerprint(self) -> str:
        """Of its weights."""
        return self.ready.model.fingerprint

    @property
    def said(self) -> dict[str, str | float]:
        """Of it in a picture's file."""
        return {"weaker": self.named, "weaker_model": self.fingerprint}


@dataclass(frozen=True)
class Making:
    """What is asked of a model, checked: rows of pictures, and all that holds for every row."""

    ready: Ready
    rows: Sequence[Row]
    seed: int
    around: Around
    weaker: Weaker | None
    how: Options

    def all(self) -> Sampled:
        """The pictures of all rows. Raises ValueError for what cannot be asked, before work begins."""
        asked, rows, ready = self.rows[0].asked, self.rows, self.ready
        plan = self.around.plan(asked, ready.family.walked)
        requests = [row.request for row in rows]
        ready.task.refuse(requests)
        if self.weaker is not None and any(request.negative is not None for request in requests):
            raise ValueError(
                f"negative: with weaker {self.weaker.named} guidance leads away from that; give one"
            )
        batch, watch, films = (
            self.how.get("batch") or BATCH,
            self.how.get("watch"),
            self.how.get("trajectory"),
        )
        stride = math.ceil((plan.evaluations + 1) / MOST_FRAMES)
        scale = torch.hypot(*plan.level).clamp(min=1)
        calls = math.ceil(len(rows) / batch)
        family = ready.family
        if not self.around.derives:
            family = ready.quick(min(batch, len(rows)), calls * plan.evaluations)
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
                if films and (last or n % stride == 0):
                    film.append((x if last else x / float(scale[n])).cpu())

            numbers = [row.number for row in part]
            denoise, condition = self._guided(family, part)
            with torch.inference_mode():
                key = self.around.key(self.seed, part).to(ready.device)
                x = self.around.begin(plan, key, part, (ready.channels, ready.size, ready.size))
                made = sample(denoise, plan, key, condition, x, step).cpu()
            refuse_infinite(made, numbers, asked)
            pictures.append(self.around.finish(made, part))
            frames.append(film)
        joined = tuple(torch.cat(parts) for parts in zip(*frames, strict=True))
        values = torch.cat(pictures)
        size = (values.shape[2], values.shape[3])
        seen = self.around.seen(rows, size, ready.channels)
        return Sampled(values, self._settings(), plan.evaluations, joined, seen)

    def _settings(self) -> tuple[Mapping[str, Any], ...]:
        """What the file of each picture says."""
        more = {**({} if self.weaker is None else self.weaker.said), **self.around.describe()}
        model, folder = self.ready.model, self.ready.folder
        return tuple(
            settings(model, folder, row.asked, self.seed, row.number, row.request, more) for row in self.rows
        )

    def _guided(self, family: Diffusion, rows: Sequence[Row]) -> tuple[Denoise, Condition]:
        """The denoiser with what is asked around it, and the condition of these rows."""
        task, device = self.ready.task, self.ready.device
        requests = [row.request for row in rows]
        condition = task.asked(requests, key_of(self.seed, rows)).each(lambda t: t.to(device))
        compared = task.compared(requests, condition)
        against = None if compared is None else compared.each(lambda t: t.to(device))
        # Where nothing is asked, the two answers that guidance compares are the same.
        scales = [row.asked.guidance if self.weaker or row.request.asks else 1.0 for row in rows]
        asked = leading([row.asked for row in rows])
        of_picture = [1.0 if (own := row.asked.image_guidance) is None else own for row in rows]
        other = None if self.weaker is None else self.around.whole(frozen(self.weaker.ready.family))

        def steer(denoise: Denoise) -> Denoise:
            return asked.steer(denoise, scales, device, against, other, of_picture)

        return asked.bound(self.around.guide(family, steer, rows)), condition


def asking(ready: Ready, requests: Sequence[Request], around: Around, asked: Asked, how: Options) -> Making:
    """A picture for each request. asked: how they are made, but for what `how` says otherwise.

    Raises ValueError, naming the field, for a value that does not exist or does not fit the model.
    """
    around.refuse_for(ready.channels, ready.size)
    asked = changed(around.asked(asked), how)
    seed, numbers = numbered(len(requests), how)
    weaker = None if "weaker" not in how else weaker_than(ready, how["weaker"])
    learned = ready.model.header.diffusion.learned_variance
    asked.refuse_for(ready.conditional or weaker is not None, learned, ready.edits)
    ways = scaled(asked, how.get("guidance"), len(requests), how.get("image_guidance"))
    rows = [Row(*row) for row in zip(numbers, requests, ways, strict=True)]
    for row in rows:
        _refuse_unheard(row, ready.model.header.text is not None, weaker)
    return Making(ready, rows, seed, around, weaker, how)


def _refuse_unheard(row: Row, hears: bool, weaker: Weaker | None) -> None:
    """Raises ValueError for what guidance would pass over without a word: a negative prompt where nothing is
    guided, a weaker model where the answers that are compared are this model's own."""
    negative, of_picture = row.request.negative, row.asked.image_guidance
    if negative is not None and hears and weaker is None and not row.asked.guides:
        raise ValueError(
            f"negative {shortened(negative)!r}: it counts with guidance; give guidance above 1 too"
        )
    if weaker is not None and of_picture not in (None, 1):
        raise ValueError(
            f"weaker {weaker.named}: image_guidance {of_picture:g} compares this model's own answers; give "
            "image_guidance 1, or leave weaker out"
        )


def weaker_than(ready: Ready, named: Path | str | float | None) -> Weaker:
    """The model that autoguidance leads away from. Raises ValueError for one of another kind."""
    assert named is not None
    shorter = isinstance(named, int | float)
    place, length = (ready.folder, float(named)) if shorter else (named, None)
    adapters = {one.place: one.weight for one in ready.model.adapters} if shorter else None
    found = Ready.load(place, str(ready.device), length, ready.wanted, text=ready.text, adapters=adapters)
    own, other = _kind(ready.model.header), _kind(found.model.header)
    for field, value in own.items():
        if other[field] != value:
            raise ValueError(
                f"weaker {named}: its {field} is {other[field]}, this model's {value}; give one of the same "
                "kind"
            )
    return Weaker(named if shorter else str(named), found)


def _kind(header: Header) -> dict[str, Any]:
    """What models share whose answers can be compared. An encoder is its weights, wherever it lies."""
    text = None if header.text is None else header.text.fingerprint
    return {
        "size": header.size,
        "channels": header.channels,
        "classes": header.classes,
        "task": header.task,
        "text": text,
    }


def refuse_infinite(made: Float[Tensor, "b c h w"], numbers: Sequence[int], asked: Asked) -> None:
    """Raises ValueError for pictures that are not made of finite numbers, which files would show as black."""
    for number, values in zip(numbers, made, strict=True):
        if not bool(values.isfinite().all()):
            raise ValueError(
                f"picture {number}: its values are not finite with solver {asked.solver}, "
                f"steps {asked.steps}, guidance {asked.guidance:g}; take another solver, more steps, "
                "less guidance or threshold clip"
            )
