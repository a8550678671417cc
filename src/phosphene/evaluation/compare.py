"""Runs side by side, on equal footing or not at all.

What is compared must be the same in data, reference pictures, counts, seeds, encoders and tolerance. Against
the first run, a figure differs where the interval of the difference misses 0:

    paired      both keep a value for each picture, of the same pictures: bootstrap of the mean difference
    unpaired    half-widths of both intervals, added in squares
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phosphene.evaluation.evaluate import run_folder
from phosphene.evaluation.record import FILE, Evaluation, Figure, read
from phosphene.measures.interval import LEVEL, Interval

DRAWS = 2000


class Difference(NamedTuple):
    """A run's figure less the first run's. paired: picture by picture."""

    interval: Interval
    paired: bool

    @property
    def significant(self) -> bool:
        return not self.interval.holds(0.0)


class Row(NamedTuple):
    """A figure in all runs; differences: from the first run, None where there is no interval."""

    figures: tuple[Figure, ...]
    differences: tuple[Difference | None, ...]

    @property
    def name(self) -> str:
        return self.figures[0].name

    @property
    def best(self) -> int | None:
        """Which run has the best value; None where the best is not defined or shared by all."""
        better, values = self.figures[0].better, [figure.value for figure in self.figures]
        if better == "neither" or len(set(values)) == 1:
            return None
        return values.index(min(values) if better == "lower" else max(values))


class Comparison(NamedTuple):
    """Evaluations that may be compared, their names, and a row a figure. apart: figures that not all runs
    have."""

    names: tuple[str, ...]
    evaluations: tuple[Evaluation, ...]
    rows: tuple[Row, ...]
    apart: tuple[str, ...]


class NotComparableError(ValueError):
    """Why runs are not compared, a line each in `reasons`."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


def compare(places: Sequence[str | Path]) -> Comparison:
    """Compares runs (folders, names below runs/, or files evaluation*.json), the first as the one to differ
    from.

    Raises NotComparableError with a line for each reason, ValueError for a run that has not been evaluated.
    """
    if len(places) < 2:
        raise ValueError(f"compare: {len(places)} runs given; give two or more")
    files = [_file(place) for place in places]
    evaluations = [read(file) for file in files]
    names = _names(files, evaluations)
    reasons = [
        reason
        for name, evaluation in zip(names[1:], evaluations[1:], strict=True)
        for reason in refusals(names[0], evaluations[0], name, evaluation)
    ]
    if reasons:
        raise NotComparableError(reasons)
    have = [{figure.name: figure for figure in evaluation.figures} for evaluation in evaluations]
    shared = [name for name in have[0] if all(name in other for other in have)]
    every = dict.fromkeys(name for figures in have for name in figures)
    rows = tuple(row([figures[name] for figures in have]) for name in shared)
    apart = tuple(name for name in every if name not in shared)
    return Comparison(tuple(names), tuple(evaluations), rows, apart)


EQUAL: Sequence[tuple[str, Callable[[Evaluation], object], str]] = (
    (
        "data fingerprint",
        lambda e: e.data_fingerprint[:16],
        "they were trained on other pictures, which makes every figure another question",
    ),
    ("samples", lambda e: e.asked.count, "figures depend on the count; evaluate with one --count"),
    ("seed", lambda e: e.asked.seed, "other reference pictures are drawn; evaluate with one --seed"),
    (
        "reference",
        lambda e: _reference(e),
        "evaluate with one --reference runs that hold out the same pictures (data.held_out)",
    ),
    ("encoders", lambda e: ", ".join(_encoders(e)), "evaluate with the same --encoder"),
    ("ELBO pictures", lambda e: e.asked.likelihood, "evaluate with one --likelihood"),
    ("ODE pictures", lambda e: e.asked.flow, "evaluate with one --flow"),
    ("ODE tolerance", lambda e: e.asked.tolerance, "evaluate with one --tolerance"),
)
"""What must be equal, how it is found, and why or what to do."""


def refusals(first: str, one: Evaluation, second: str, other: Evaluation) -> list[str]:
    """Why two evaluations are not comparable, a line each; none if they are."""
    return [
        f"{first} and {second}: {what} {of(one)} and {of(other)}: {why}"
        for what, of, why in EQUAL
        if of(one) != of(other)
    ]


def row(figures: Sequence[Figure]) -> Row:
    """One figure of all runs."""
    return Row(tuple(figures), (None, *(difference(figures[0], figure) for figure in figures[1:])))


def difference(first: Figure, other: Figure) -> Difference | None:
    """other - first with its interval of 95%."""
    same = first.reference == other.reference
    if same and first.each is not None and other.each is not None and len(first.each) == len(other.each):
        gaps = np.array(other.each) - np.array(first.each)
        return Difference(bootstrap_mean(gaps), True)
    if first.low is None or first.high is None or other.low is None or other.high is None:
        return None
    value = other.value - first.value
    below = np.hypot(other.value - other.low, first.high - first.value)
    above = np.hypot(other.high - other.value, first.value - first.low)
    return Difference(Interval(value, value - float(below), value + float(above)), False)


def bootstrap_mean(values: np.ndarray, seed: int = 0) -> Interval:
    """The mean and the interval of the means of draws with replacement."""
    rng = np.random.default_rng(seed)
    means = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), DRAWS) @ values / len(values)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def _file(place: str | Path) -> Path:
    path = Path(place)
    return path if path.suffix == ".json" else run_folder(place) / FILE


def _names(files: Sequence[Path], evaluations: Sequence[Evaluation]) -> list[str]:
    """Short names that differ: of the folder, with the average's length where it is not the one that is
    shipped; of the files where these are the same."""
    lengths = [evaluation.asked.ema for evaluation in evaluations]
    names = [
        file.resolve().parent.name + ("" if length is None else f", ema {length:g}")
        for file, length in zip(files, lengths, strict=True)
    ]
    return names if len(set(names)) == len(names) else [str(file) for file in files]


def _reference(evaluation: Evaluation) -> str:
    found = {f.reference.fingerprint for f in evaluation.figures if f.encoder and f.reference and f.samples}
    return f"{evaluation.asked.reference} ({', '.join(sorted(found))})"


def _encoders(evaluation: Evaluation) -> list[str]:
    return sorted({figure.encoder for figure in evaluation.figures if figure.encoder is not None})
