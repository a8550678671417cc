"""Charts by matplotlib as SVG inside the page, whose colours follow the page's: light, dark or paper.

matplotlib writes colours as numbers. Each colour of a chart is a number that stands for a variable of the
page's style and is replaced by it afterwards, so that one picture serves both grounds.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import matplotlib
import numpy as np
from cycler import cycler
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from phosphene.pages.page import Block, macro

STANDS_FOR: Mapping[str, str] = {
    "#010101": "ink",
    "#010102": "quiet",
    "#010103": "grid",
    "#010104": "ground",
    "#010105": "good",
    "#010106": "warning",
    "#010107": "bad",
    **{f"#01010{hex(8 + i)[2:]}": f"s{i}" for i in range(6)},
}
COLOUR = {name: number for number, name in STANDS_FOR.items()}
"""Colours by name: ink, quiet, grid, ground, good, warning, bad, and s0 to s5 for series."""

SERIES = tuple(COLOUR[f"s{i}"] for i in range(6))
WIDTH, HEIGHT = 5.2, 3.0  # inches of 72 units: on a phone a unit is a CSS pixel, nearly

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "phosphene",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOUR["quiet"],
    "axes.labelcolor": COLOUR["quiet"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=SERIES),
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "grid.color": COLOUR["grid"],
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.labelcolor": COLOUR["ink"],
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "text.color": COLOUR["ink"],
    "xtick.color": COLOUR["quiet"],
    "ytick.color": COLOUR["quiet"],
    "mathtext.default": "regular",
}


class Series(NamedTuple):
    """A line. low, high: a band around it. points: also a mark at each value."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    points: bool = False
    dashed: bool = False


class Dot(NamedTuple):
    """A value with its interval, and a floor or other mark to compare with."""

    name: str
    value: float
    low: float
    high: float
    mark: float | None = None


@contextmanager
def drawing(title: str, height: float = HEIGHT, width: float = WIDTH) -> Iterator[tuple[Axes, list[Markup]]]:
    """For any other chart: draw on the axes inside the block; the list then holds the finished chart.

    with drawing("Loss") as (axes, chart):
        axes.plot(x, y, color=COLOUR["s0"])
    chart[0]
    """
    finished: list[Markup] = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        sheet = Figure(figsize=(width, height), layout="constrained")
        axes = sheet.add_subplot()
        # At the chart's left edge, above everything: there is room for it, whatever stands left of the axes.
        sheet.suptitle(_short(title, 48), x=0.01, ha="left", color=COLOUR["ink"], weight="bold", size=11)
        yield axes, finished
        finished.append(_svg(sheet, title))


def lines(
    title: str,
    series: Sequence[Series],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    caption: Block = "",
) -> Markup:
    """Lines over one axis; a series of one value is a mark."""
    with drawing(title) as (axes, chart):
        for i, one in enumerate(series):
            colour = SERIES[i % len(SERIES)]
            mark = "o" if one.points or len(one.x) == 1 else None
            style = "--" if one.dashed else "-"
            axes.plot(one.x, one.y, style, marker=mark, color=colour, label=_short(one.name))
            if one.low is not None and one.high is not None:
                axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.18, linewidth=0)
        axes.set_xlabel(_short(x, 40))
        axes.set_ylabel(_short(y))
        _logarithmic(axes, log_x, log_y)
        if len(series) > 1:
            axes.legend()
    return macro("figure", chart[0], caption, "chart")


def bars(title: str, names: Sequence[str], values: Sequence[float], *, x: str, caption: Block = "") -> Markup:
    """Values by name, longest names readable: the bars lie."""
    with drawing(title, height=1.0 + 0.26 * max(len(names), 1)) as (axes, chart):
        places = range(len(names))
        axes.barh(places, values, color=SERIES[0], height=0.66)
        axes.set_yticks(places, [_short(name) for name in names])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(_short(x, 40))
    return macro("figure", chart[0], caption, "chart")


def histogram(
    title: str,
    values: Mapping[str, Sequence[float]],
    *,
    x: str,
    y: str = "share",
    bins: int = 30,
    log_x: bool = False,
    lines: Mapping[str, float] | None = None,
    caption: Block = "",
) -> Markup:
    """Distributions over common bins, each as shares of its own count. lines: values to be marked."""
    every = np.concatenate([np.asarray(each, float) for each in values.values()])
    every = every[np.isfinite(every) & ((every > 0) | (not log_x))]
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    high = high if high > low else low + 1
    edges = np.geomspace(low, high, bins + 1) if log_x else np.linspace(low, high, bins + 1)
    with drawing(title) as (axes, chart):
        for i, (name, each) in enumerate(values.items()):
            counts, _ = np.histogram(np.clip(each, edges[0], edges[-1]), edges)
            colour = SERIES[i % len(SERIES)]
            axes.stairs(counts / max(1, counts.sum()), edges, fill=True, alpha=0.3, color=colour)
            axes.stairs(counts / max(1, counts.sum()), edges, color=colour, label=_short(name), linewidth=1.4)
        for name, place in (lines or {}).items():
            axes.axvline(place, color=COLOUR["ink"], linestyle="--", linewidth=1, label=_short(name))
        _logarithmic(axes, log_x, False)
        axes.set_xlabel(_short(x, 40))
        axes.set_ylabel(_short(y))
        if len(values) + len(lines or {}) > 1:
            axes.legend()
    return macro("figure", chart[0], caption, "chart")


def intervals(title: str, dots: Sequence[Dot], *, x: str, mark: str = "floor", caption: Block = "") -> Markup:
    """Values with their intervals, one below the other; a mark each (the floor) where there is one."""
    with drawing(title, height=1.1 + 0.32 * max(len(dots), 1)) as (axes, chart):
        for place, dot in enumerate(dots):
            axes.plot([dot.low, dot.high], [place, place], color=SERIES[0], linewidth=2.2, alpha=0.6)
            axes.plot([dot.value], [place], "o", color=SERIES[0])
            if dot.mark is not None:
                new = all(d.mark is None for d in dots[:place])
                axes.plot([dot.mark], [place], "d", color=SERIES[1], label=_short(mark) if new else None)
        axes.set_yticks(range(len(dots)), [_short(dot.name) for dot in dots])
        axes.set_ylim(len(dots) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(_short(x, 40))
        if any(dot.mark is not None for dot in dots):
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    return macro("figure", chart[0], caption, "chart")


def _logarithmic(axes: Axes, x: bool, y: bool) -> None:
    """Logarithmic axes with plain numbers at 1, 2 and 5 of each decade, or where these are many at 1."""
    for yes, set_scale, axis in ((x, axes.set_xscale, axes.xaxis), (y, axes.set_yscale, axes.yaxis)):
        if yes:
            set_scale("log")
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,), numticks=8))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


def _short(name: str, most: int = 28) -> str:
    line = " ".join(name.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _svg(sheet: Figure, title: str) -> Markup:
    # Names are text: a dollar in a folder's name begins no formula.
    for words in sheet.findobj(Text):
        cast(Text, words).set_parse_math(False)
    file = io.BytesIO()
    # The same chart has the same bytes: no date, no names drawn from memory addresses.
    FigureCanvasSVG(sheet).print_svg(file, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = file.getvalue().decode()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", drawn, flags=re.S)
    drawn = re.sub(r' xmlns(:xlink)?="[^"]*"| version="1.1"', "", drawn).replace("xlink:href", "href")
    used = set(re.findall(r"#(\w+)", drawn))
    drawn = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", drawn)
    drawn = re.sub(r"#0101[0-9a-f]{2}", lambda found: f"var(--{STANDS_FOR[found[0]]})", drawn)
    head = Markup('<svg role="img" aria-label="{}"').format(title)
    return Markup(str(head) + drawn[len("<svg") :])
