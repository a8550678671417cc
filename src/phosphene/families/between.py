"""Pictures on the way between others: between seeds, between prompts or labels, or both at once.

    z = cos(pi s / 2) z_0 + sin(pi s / 2) z_1      the noise: where it begins and all that is fresh on the way
    D = (1 - s) D_0 + s D_1                        the answers to what is asked at the two ends

A way may lead through several places; between two of them s runs from 0 to 1. At a place itself the picture
is the very one that it would be alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image

from phosphene.diffusion import guidance
from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.noise import Between, Key
from phosphene.families.around import Around, Steer
from phosphene.families.asked import Asked
from phosphene.families.diffusion import Diffusion
from phosphene.families.making import asking
from phosphene.families.options import Options, numbered
from phosphene.families.ready import Ready
from phosphene.families.rows import Row
from phosphene.families.sampled import Sampled
from phosphene.pictures.animation import write_animation
from phosphene.pictures.sheet import CELL, headed, readable, sheet
from phosphene.tasks.request import Label, Request
from phosphene.tasks.task import Task

SHOWN = 9  # pictures of a strip at most
FILM_MS = 60
LINES = 4  # of a title


@dataclass(frozen=True)
class Place:
    """One that a way leads through: whose noise, and what is asked."""

    seed: int
    request: Request


@dataclass(frozen=True)
class Frame(Row):
    """A picture on the way: `share` of the way from a place, whose request is the row's, to the next."""

    here: Place
    there: Place
    share: float


def frames(places: Sequence[Place], count: int, number: int, asked: Asked) -> list[Frame]:
    """`count` pictures at even distances over all parts of a way, the first and the last place included."""
    parts = len(places) - 1
    made = []
    for i in range(count):
        whole, rest = divmod(i * parts, count - 1)
        part = min(whole, parts - 1)
        here, there = places[part], places[part + 1]
        share = whole + rest / (count - 1) - part
        made.append(Frame(number, here.request, asked, here, there, share))
    return made


@dataclass(frozen=True)
class Way(Around):
    """The noise and the answers mixed. task, device: of the model, for the second request."""

    task: Task
    device: torch.device

    def key(self, seed: int, rows: Sequence[Row]) -> Between:
        """Between the seeds of each frame's two places."""
        own = cast("Sequence[Frame]", rows)
        number = torch.tensor([row.number for row in own])
        here, there = torch.tensor([(row.here.seed, row.there.seed) for row in own]).unbind(1)
        share = torch.tensor([row.share for row in own], dtype=torch.float64)
        return Between(Key(here, number), Key(there, number), share)

    def guide(self, family: Diffusion, steer: Steer, rows: Sequence[Row]) -> Denoise:
        """Between the guided answers to each frame's two requests; one answer where both are the same."""
        denoise, own = steer(family.denoise), cast("Sequence[Frame]", rows)
        if all(row.here.request == row.there.request for row in own):
            return denoise
        other = self.task.asked([row.there.request for row in own]).each(lambda t: t.to(self.device))
        share = torch.tensor([row.share for row in own], device=self.device)
        return guidance.between(denoise, other, share)


@dataclass(frozen=True)
class Strip(Sampled):
    """The pictures of a way, in order. titles: what stands above them. heading: what holds for all."""

    titles: tuple[str, ...] = ()
    heading: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"frame-{i:03}.png" for i in range(len(self)))

    @property
    def films(self) -> Mapping[str, Callable[[Path], None]]:
        return {"way.gif": self.film, **super().films}

    def sheet(self, columns: int | None = None, row_titles: Sequence[str] | None = None) -> Image.Image:
        """One labelled row, of nine pictures at even distances if there are more."""
        count = min(SHOWN, len(self))
        chosen = [i * (len(self) - 1) // (count - 1) for i in range(count)]
        images, titles = [self[i] for i in chosen], [self.titles[i] for i in chosen]
        enlarge = readable(images, CELL)
        row = sheet(images, count, enlarge=enlarge, column_titles=titles, lines=LINES)
        return headed(row, self.heading) if self.heading else row

    def film(self, path: Path) -> None:
        """There and back again, as a GIF (or WebP, or PNG, by suffix)."""
        there = list(self)
        back = there[-2:0:-1]
        enlarge = readable(there, CELL)
        write_animation([*there, *back], path, ms=FILM_MS, hold_last_ms=FILM_MS, enlarge=enlarge)


def interpolate(
    ready: Ready,
    n: int,
    seeds: Sequence[int],
    prompt: Sequence[str],
    label: Sequence[Label],
    negative: str | None,
    how: Options,
) -> Strip:
    """What `Generator.interpolate` does (its words stand there), everything as lists."""
    if seeds and "seed" in how:
        raise ValueError(f"seed {how.get('seed')}: beside seeds {list(seeds)}; give one of the two")
    through = places(seeds or [how.get("seed") or 0], prompt, label, negative)
    if n < len(through):
        raise ValueError(f"n {n}: give {len(through)} or more; the places themselves are among them")
    for place in through:
        numbered(1, Options({**how, "seed": place.seed}))
    way = Way(ready.task, ready.device)
    making = asking(ready, [place.request for place in through[:1]], way, ready.defaults, how)
    rows = frames(through, n, making.rows[0].number, making.rows[0].asked)
    made = replace(making, rows=rows).all()
    settings = tuple({**said, **told(frame)} for said, frame in zip(made.settings, rows, strict=True))
    titles, heading = titled(through, rows)
    return Strip(made.values, settings, made.evaluations, made.frames, titles=titles, heading=heading)


def places(
    seeds: Sequence[int], prompt: Sequence[str], label: Sequence[Label], negative: str | None
) -> list[Place]:
    """The places of a way: of each list one value for all of them, or one a place.

    Raises ValueError for one place only, and for lists of different lengths.
    """
    counts = {"seeds": len(seeds), "prompts": len(prompt), "labels": len(label)}
    most = max(counts.values())
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if most < 2:
        raise ValueError(f"{said}: nothing to go between; give two seeds, prompts or labels, or more")
    if any(count not in (0, 1, most) for count in counts.values()):
        raise ValueError(f"{said}: give as many of each, or one for all")

    def at(values: Sequence[Any], i: int) -> Any:
        return values[i % len(values)] if values else None

    return [Place(at(seeds, i), Request(at(label, i), at(prompt, i), negative)) for i in range(most)]


def told(frame: Frame) -> dict[str, Any]:
    """What the file of a picture says of the way that it lies on."""
    ends = [
        {
            name: value
            for name, value in {"seed": end.seed, **end.request.describe()}.items()
            if value is not None
        }
        for end in (frame.here, frame.there)
    ]
    return {"seed": frame.here.seed, "between": ends, "share": frame.share}


def titled(through: Sequence[Place], rows: Sequence[Frame]) -> tuple[tuple[str, ...], str]:
    """What changes, above each place, shares above what lies between; and what is the same everywhere."""
    facts = [
        {
            "seed": f"seed {place.seed}",
            "label": None if place.request.label is None else f"label {place.request.label}",
            "prompt": place.request.prompt,
        }
        for place in through
    ]
    changing = [name for name in facts[0] if len({fact[name] for fact in facts}) > 1]
    same = [fact for name, fact in facts[0].items() if name not in changing and fact is not None]
    titles = []
    for row in rows:
        at = {0.0: row.here, 1.0: row.there}.get(row.share)
        fact = None if at is None else facts[through.index(at)]
        titles.append(f"{row.share:.2f}" if fact is None else ", ".join(str(fact[n]) for n in changing))
    return tuple(titles), ", ".join(map(str, same))
