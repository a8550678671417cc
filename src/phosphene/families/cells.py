"""A labelled sheet of two or three settings: each cell is the very picture that sampling gives with them.

A cell is asked for alone, as `sample(1, ...)` would be, so that not a bit of it depends on its neighbours.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from phosphene.families.axes import BY_CLIP, LOADED, MOST, OF_PICTURE, Axis, Caption
from phosphene.families.options import Options, Watch
from phosphene.families.sampled import Sampled
from phosphene.pictures.embedded import write_png
from phosphene.pictures.sheet import CELL, below, headed, readable, sheet
from phosphene.version import __version__

LINES = 4  # of a title


Ask = Callable[..., Sampled]
"""`sample` of a model, or `edit` of a picture."""

Load = Callable[[Mapping[str, Any]], Ask]
"""Finds the model of a cell, by the knobs of `axes.LOADED` that are not its usual ones."""


@dataclass(frozen=True)
class Cells(Sampled):
    """Pictures in order of z, y, x. axes: x, then y, then z, one to three. heading: what holds for all."""

    axes: tuple[Axis, ...] = ()
    heading: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        places = product(*(range(len(axis.values)) for axis in reversed(self.axes)))
        letters = "xyz"[: len(self.axes)][::-1]
        return tuple(
            "-".join(f"{a}{i}" for a, i in zip(letters, place, strict=True)) + ".png" for place in places
        )

    @property
    def films(self) -> Mapping[str, Any]:
        return {}

    def sheet(self, columns: int | None = None, row_titles: Sequence[str] | None = None) -> Image.Image:
        """x to the right, y downwards, a page for each value of z below the other."""
        x, y, z = (*self.axes, None, None)[:3]
        wide = len(x.values) if x else 1
        page = wide * (len(y.values) if y else 1)
        images = list(self)
        pages = [
            sheet(
                images[start : start + page],
                wide,
                enlarge=readable(images, CELL),
                column_titles=x.titles if x else None,
                row_titles=y.titles if y else None,
                lines=LINES,
            )
            for start in range(0, len(images), page)
        ]
        if z is not None:
            pages = [headed(one, title) for one, title in zip(pages, z.titles, strict=True)]
        whole = below(pages)
        return headed(whole, self.heading) if self.heading else whole

    def save(self, folder: Path | str) -> list[Path]:
        """sheet.png, with what was asked inside, and the picture of each cell with its settings."""
        paths = super().save(folder)
        axes = [{"knob": axis.knob, "values": list(axis.values)} for axis in self.axes]
        write_png(self.sheet(), paths[0], {"phosphene": __version__, "axes": axes, "heading": self.heading})
        return paths


def grid(
    load: Load, axes: Sequence[Axis], prompt: str | None, fixed: Mapping[str, Any], how: Options
) -> Cells:
    """What `Generator.grid` does (its words stand there). fixed: what all cells are asked besides `how`."""
    if how.get("trajectory"):
        raise ValueError("trajectory: a sheet of cells keeps none; sample does")
    caption = None if prompt is None else Caption(prompt)
    axes = (*axes, *(caption.axes if caption else ()))
    check(axes, prompt, fixed, how)
    watch, cells = how.get("watch"), list(product(*(axis.values for axis in reversed(axes))))
    common = {**how, **fixed}
    models: dict[tuple[tuple[str, Any], ...], Ask] = {}
    made: list[Sampled] = []
    for number, values in enumerate(cells):
        chosen = dict(zip([(axis.knob, axis.slot) for axis in axes], reversed(values), strict=True))
        words = [str(value) for (_, slot), value in chosen.items() if slot is not None]
        asked: dict[str, Any] = {**common, "prompt": caption.filled(words) if caption else None}
        asked |= {knob: value for (knob, slot), value in chosen.items() if slot is None}
        loading = {name: asked.pop(name) for name in LOADED if asked.get(name) is not None}
        place = tuple(loading.items())
        if place not in models:
            models[place] = load(loading)
        asked["watch"] = None if watch is None else _part(watch, number, len(cells))
        made.append(
            models[place](n=1, **{name: value for name, value in asked.items() if name not in LOADED})
        )
        if made[-1].values.shape != made[0].values.shape:
            shapes = ["x".join(map(str, one.values.shape[1:])) for one in (made[0], made[-1])]
            raise ValueError(
                f"axis run: pictures of {shapes[0]} and {shapes[1]} values; give models of one size"
            )
    settings = tuple(dict(one.settings[0]) for one in made)
    told = said(axes, prompt, fixed, how).items()
    heading = ", ".join(str(value) if name == "prompt" else f"{name} {value}" for name, value in told)
    values, evaluations = torch.cat([one.values for one in made]), sum(one.evaluations for one in made)
    return Cells(values, settings, evaluations, axes=tuple(axes), heading=heading)


def refuse_knobs(named: Collection[str], shown: bool) -> None:
    """Raises ValueError for knobs of a picture where none is shown, and for those of a CLIP where one is."""
    for knob in BY_CLIP if shown else OF_PICTURE:
        if knob in named:
            other = "a picture that is changed has none; leave one out" if shown else "give image too"
            raise ValueError(f"{knob}: {other}")


def check(axes: Sequence[Axis], prompt: str | None, fixed: Mapping[str, Any], how: Options) -> None:
    """Raises ValueError for axes that are none, too many, or speak twice of one knob."""
    if not axes:
        raise ValueError("axes: none; give x, for example guidance=1,2,4, or a prompt with {red,blue}")
    if len(axes) > MOST:
        raise ValueError(f"axes: {len(axes)}; a sheet has {MOST} at most, pairs of braces counted")
    whole = [axis.knob for axis in axes if axis.slot is None]
    for knob in whole:
        if whole.count(knob) > 1:
            raise ValueError(f"axis {knob}: twice; give each knob once")
        given = prompt if knob == "prompt" else {**fixed, **how}.get(knob)
        if given is not None:
            raise ValueError(f"{knob} {given!r}: beside an axis of it; give one of the two")


def said(axes: Sequence[Axis], prompt: str | None, fixed: Mapping[str, Any], how: Options) -> dict[str, Any]:
    """What holds for all cells, as far as it was asked for."""
    everything = {"prompt": prompt, **fixed, **how}
    own = {axis.knob for axis in axes if axis.slot is None} | {"watch", "batch", "trajectory"}
    return {name: value for name, value in everything.items() if value is not None and name not in own}


def _part(watch: Watch, number: int, of: int) -> Watch:
    """The bar of a cell as a part of the whole."""
    return lambda done, total: watch(number * total + done, of * total)
