"""What was measured along the way, as charts: what belongs together in one, with the function that measured.

Columns of the log are named as `training.figures` has them, with encoders: kd_held_out_random-conv-af969db9.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from phosphene.measures import colour, diversity, kernel, memorisation
from phosphene.pages import charts
from phosphene.pages.page import Block
from phosphene.recipes.settings import Recipe

Lines = Sequence[Mapping[str, Any]]
ENDS = ("low", "high")  # of an interval, as the log names them: NAME_low


MOST = 300  # points of a curve: more cannot be seen
ENCODED = ("kd_held_out_", "kd_", "spread_", "vendi_")  # beginnings of columns that end with their encoder


class Points(NamedTuple):
    """Steps and values."""

    x: list[float]
    y: list[float]


class Group(NamedTuple):
    """A chart. series: beginnings of columns, the first that fits counts, and what they are called; without a
    name the rest of the column's is taken. function: what measured it."""

    title: str
    y: str
    series: Mapping[str, str]
    function: str


GROUPS = (
    Group(
        "Kernel distance of samples",
        "distance",
        {"kd_held_out_": "to held-out pictures", "kd_": "to training pictures"},
        f"{kernel.__name__}.kernel_distance",
    ),
    Group(
        "Copies of training pictures",
        "share",
        {"copied_by_chance": "of real pictures, by chance", "copied": "of samples"},
        f"{memorisation.__name__}.memorisation",
    ),
    Group(
        "Diversity of samples",
        "of real pictures'",
        {"spread_": "mean distance of two", "vendi_": "Vendi score"},
        f"{diversity.__name__}.diversity",
    ),
    Group("Colour drift", "standard errors", {"colour_drift": "the farthest"}, f"{colour.__name__}.colour"),
    Group(
        "Contrast, samples less real",
        "of 1",
        {"colour_deviation_of_": ""},
        f"{colour.__name__}.colour",
    ),
    Group("Light and colour, samples less real", "of 1", {"colour_": ""}, f"{colour.__name__}.colour"),
)


def measured(log: Lines) -> list[Markup]:
    """A chart a group, with intervals where there are some, and one for each column that is in none."""
    lines = [line for line in log if isinstance(line.get("measured"), dict)]
    names = dict.fromkeys(name for line in lines for name in line["measured"])
    points = {name: some for name in names if (some := _points(lines, name)).x}
    ends = {f"{name}_{end}" for name in names for end in ENDS}
    left, found = [name for name in points if name not in ends], list[Markup]()
    for group in GROUPS:
        some = {name: said for name in left if (said := _called(group, name)) is not None}
        left = [name for name in left if name not in some]
        if some:
            on = ", ".join(dict.fromkeys(filter(None, map(_encoder, some))))
            found.append(_chart(group, some, points, f"{group.function}{' on ' if on else ''}{on}"))
    return found + [_chart(Group(name, "", {}, ""), {name: name}, points, "") for name in left]


def _called(group: Group, name: str) -> str | None:
    for start, words in group.series.items():
        if name.startswith(start):
            return words or name.removeprefix(start).replace("_", " ")
    return None


def _encoder(name: str) -> str:
    """With whose name a column ends, if with any."""
    return next((name.removeprefix(start) for start in ENCODED if name.startswith(start)), "")


def _chart(group: Group, names: Mapping[str, str], points: Mapping[str, Points], caption: str) -> Markup:
    lines = []
    for name, words in names.items():
        low, high = (points.get(f"{name}_{end}", Points([], [])).y for end in ENDS)
        band = (low, high) if len(low) == len(high) == len(points[name].x) else (None, None)
        lines.append(charts.Series(words, *points[name], *band, points=True))
    return charts.lines(group.title, lines, x="step", y=group.y, caption=caption)


def _points(lines: Lines, name: str) -> Points:
    """Steps and values of a figure."""
    return thinned(
        [
            (line["step"], line["measured"][name])
            for line in lines
            if isinstance(line["measured"].get(name), int | float)
        ]
    )


def thinned(points: Sequence[tuple[int | float, int | float]]) -> Points:
    """At most MOST of them, each the mean of its neighbours; what is not finite is left out."""
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    size = max(1, math.ceil(len(finite) / MOST))
    groups = [finite[i : i + size] for i in range(0, len(finite), size)]
    return Points(
        [sum(x for x, _ in g) / len(g) for g in groups], [sum(y for _, y in g) / len(g) for g in groups]
    )


def how(log: Lines, recipe: Recipe) -> list[Block]:
    """What the charts are of, and which model was best."""
    lines = [line for line in log if isinstance(line.get("measured"), dict)]
    counts = dict.fromkeys(f"{line['pictures']:,}" for line in lines if "pictures" in line)
    settings = recipe.training
    parts: list[Block] = [
        f"{' or '.join(counts) or 'Some'} samples by the averaged weights, of seed {settings.seed} and from "
        f"picture 0 on, in {settings.measure_steps} steps without guidance, with the labels of as many "
        "training pictures. Bands are intervals of 95%. Below each chart: the function that measured it, and "
        "the encoder."
    ]
    best = [line for line in lines if line.get("best")]
    if best:
        parts.append(f"The model that measured best was that of step {best[-1]['step']:,}; best/ keeps it.")
    return parts
