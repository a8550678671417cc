"""A comparison as a page."""

from pathlib import Path

from phosphene import files
from phosphene.evaluation.chapters import images
from phosphene.evaluation.compare import Comparison, Row
from phosphene.evaluation.record import read_samples
from phosphene.pages import blocks, charts
from phosphene.pages.page import Block, Section, page

SHOWN = 16


def write(comparison: Comparison, roots: tuple[Path | None, ...], out: Path) -> Path:
    """The page as a file. roots: the folders of the runs whose samples are shown, None for none."""
    files.write_atomic(out, written(comparison, roots))
    return out


def written(comparison: Comparison, roots: tuple[Path | None, ...]) -> str:
    """Figures side by side, intervals as charts, samples of the same seeds."""
    first = comparison.evaluations[0]
    facts: dict[str, blocks.Cell] = {
        "data": f"{first.data}, fingerprint {first.data_fingerprint[:16]}",
        "samples": f"{first.asked.count:,} each, seed {first.asked.seed}",
        "reference": first.asked.reference,
        "encoders": ", ".join(dict.fromkeys(f.encoder for f in first.figures if f.encoder)),
    }
    runs = [
        [name, e.model[:16], ", ".join(f"{k} {v}" for k, v in e.sampling.items()), f"{e.seconds:,.0f}"]
        for name, e in zip(comparison.names, comparison.evaluations, strict=True)
    ]
    sections = [
        Section(
            "Footing",
            [
                "The same for all runs:",
                blocks.facts(facts),
                blocks.table(["run", "model (sha256)", "sampling", "seconds to evaluate"], runs),
            ],
        ),
        Section("Figures", [table(comparison), *_apart(comparison)]),
        Section("Intervals", [blocks.grid(*_charts(comparison))]),
        Section("Samples", _samples(comparison, roots)),
    ]
    return page(f"{len(comparison.names)} runs compared", sections, under=", ".join(comparison.names))


def table(comparison: Comparison) -> Block:
    """Values with intervals; a mark where a run differs from the first, and at the best."""
    columns = ["figure", *comparison.names, "floor"]
    rows = [[row.name, *cells(row), _floor(row)] for row in comparison.rows]
    words = (
        "In brackets: interval of 95%. * best value. Differs, same: whether the interval of the difference "
        "from the first run misses 0, picture by picture (paired) where values of single pictures are kept."
    )
    return blocks.table(columns, rows, words)


def cells(row: Row) -> list[str]:
    """A cell a run: value, interval, star at the best, and whether it differs from the first."""
    found = []
    for i, (figure, difference) in enumerate(zip(row.figures, row.differences, strict=True)):
        words = blocks.number(figure.value)
        if figure.low is not None and figure.high is not None:
            words = blocks.interval(figure.value, figure.low, figure.high)
        words += " *" if row.best == i else ""
        if difference is not None:
            how = ", paired" if difference.paired else ""
            words += f" ({'differs' if difference.significant else 'same'}{how})"
        found.append(words)
    return found


def _floor(row: Row) -> str:
    floors = [figure.floor for figure in row.figures if figure.floor is not None]
    return blocks.number(floors[0]) if floors and len(set(floors)) == 1 else ""


def _apart(comparison: Comparison) -> list[Block]:
    return [f"Not in all runs: {', '.join(comparison.apart)}."] if comparison.apart else []


def _charts(comparison: Comparison) -> list[Block]:
    found = []
    for row in comparison.rows:
        dots = [
            charts.Dot(name, figure.value, figure.low, figure.high, figure.floor)
            for name, figure in zip(comparison.names, row.figures, strict=True)
            if figure.low is not None and figure.high is not None
        ]
        if len(dots) == len(comparison.names):
            found.append(charts.intervals(row.name, dots, x="value and interval of 95%"))
    return found


def _samples(comparison: Comparison, roots: tuple[Path | None, ...]) -> list[Block]:
    parts: list[Block] = ["The same seeds and labels in all runs, not chosen."]
    for name, evaluation, root in zip(comparison.names, comparison.evaluations, roots, strict=True):
        if root is not None:
            made = read_samples(root, evaluation)[:SHOWN]
            parts.append(blocks.gallery(images(made), caption=name, alt=f"sample of {name}"))
    return parts
