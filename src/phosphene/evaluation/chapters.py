"""The chapters of a report, each a function from what is known of a run to a section of the page."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from markupsafe import Markup
from PIL import Image

from phosphene.evaluation import along
from phosphene.evaluation.along import Lines, thinned
from phosphene.evaluation.record import Evaluation, Figure
from phosphene.evaluation.sets import Real
from phosphene.pages import blocks, charts
from phosphene.pages.page import Section
from phosphene.pictures.pixels import WORDS, to_pillow, to_values
from phosphene.recipes.settings import Recipe, to_toml

SHOWN = 64
CURVES: Mapping[str, tuple[str, bool]] = {
    "loss": ("Loss", True),
    "gradient": ("Norm of the gradient", True),
    "rate": ("Learning rate, as a share of the recipe's", False),
    "images_per_second": ("Pictures a second", False),
}
"""Columns of the log, their titles, and whether the axis is logarithmic."""


def images(pictures: UInt8[np.ndarray, "n c h w"]) -> list[Image.Image]:
    """Bytes as Pillow pictures."""
    return to_pillow(to_values(torch.from_numpy(np.ascontiguousarray(pictures))))


def samples(made: UInt8[np.ndarray, "n c h w"], words: str) -> Section:
    """The first samples, not chosen."""
    return Section("Samples", [blocks.gallery(images(made[:SHOWN]), caption=words, alt="sample")])


def figure_rows(figures: Sequence[Figure]) -> list[list[blocks.Cell]]:
    """A row each: name, value, interval, floor, what it says."""
    rows: list[list[blocks.Cell]] = []
    for figure in figures:
        given = figure.low is not None and figure.high is not None
        between = ""
        if figure.low is not None and figure.high is not None and given:
            between = f"{blocks.number(figure.low)} to {blocks.number(figure.high)}"
        arrow = {"lower": "↓", "higher": "↑", "neither": ""}[figure.better]
        floored = None if figure.floor is None else blocks.number(figure.floor)
        rows.append(
            [
                f"{figure.name}\N{NO-BREAK SPACE}{arrow}".strip(),
                blocks.number(figure.value),
                between,
                floored,
                figure.about,
            ]
        )
    return rows


def figures(evaluation: Evaluation) -> Section:
    """All figures by encoder, how each came about, and what was left out."""
    asked, parts = evaluation.asked, list[blocks.Block]()
    sampling = ", ".join(f"{name} {value}" for name, value in evaluation.sampling.items())
    parts.append(
        f"{asked.count:,} samples (seed {asked.seed}, fingerprint {evaluation.samples.fingerprint}; "
        f"{sampling}). "
        "Intervals are of 95%. Floor: the same figure of real pictures against other real pictures, as many; "
        "a perfect generator could reach it. ↓ lower is better, ↑ higher."
    )
    columns = ["figure", "value", "interval", "floor", "what it says"]
    for encoder, some in evaluation.by_encoder.items():
        title = "Of pictures and of the model" if encoder is None else f"On features of {encoder}"
        parts += [blocks.heading(title), blocks.table(columns, figure_rows(some))]
    if evaluation.left_out:
        lines = "; ".join(f"{name}: {why}" for name, why in evaluation.left_out)
        parts.append(blocks.note(lines, "plain", "Left out"))
    parts.append(blocks.details("How each figure came about", trace(evaluation)))
    return Section("Figures", parts)


def trace(evaluation: Evaluation) -> Markup:
    """The sets of pictures by letters; then of each figure the function, arguments, encoder and sets, and the
    seconds it took."""
    compared = [(f.samples, f.reference, f.twin) for f in evaluation.figures]
    every = {some.fingerprint: some for sets in compared for some in sets if some is not None}
    letters = {mark: f"set\N{NO-BREAK SPACE}{number}" for number, mark in enumerate(every, 1)}
    sets: list[list[blocks.Cell]] = [
        [letters[mark], some.what, some.count, str(some.seed), mark] for mark, some in every.items()
    ]
    rows: list[list[blocks.Cell]] = []
    for figure, some in zip(evaluation.figures, compared, strict=True):
        arguments = ", ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in figure.arguments.items()
        )
        called = f"{figure.function}({arguments})"
        marks = ["" if one is None else letters[one.fingerprint] for one in some]
        rows.append([figure.name, called, figure.encoder, *marks, f"{figure.seconds:.2f}"])
    columns = ["figure", "function", "encoder", "samples", "reference", "twin", "seconds"]
    return blocks.table(["", "pictures", "count", "seed", "fingerprint"], sets) + blocks.table(columns, rows)


def by_level(evaluation: Evaluation) -> Markup:
    """The losses at each noise level."""
    ratios = [level.ratio for level in evaluation.levels]
    lines = [
        charts.Series("held-out", ratios, [level.held_out for level in evaluation.levels], points=True),
        charts.Series("training", ratios, [level.training for level in evaluation.levels], points=True),
    ]
    words = "Where held-out lies well above training, the model has begun to learn its pictures by heart."
    title = "Loss by noise level, at the end"
    return charts.lines(title, lines, x="sigma / alpha", y="loss", log_x=True, caption=words)


def curves(log: Lines, evaluation: Evaluation | None, recipe: Recipe) -> Section:
    """What the log says of the training, and the final losses by level."""
    parts: list[blocks.Block] = []
    steps = [line for line in log if "loss" in line]
    held = [line for line in log if "held_out_loss" in line]
    for column, (title, log_y) in CURVES.items():
        points = thinned([(line["step"], line[column]) for line in steps if line.get(column) is not None])
        if not points.x:
            continue
        lines = [charts.Series("training", *points)]
        if column == "loss" and held:
            points = thinned([(line["step"], line["held_out_loss"]) for line in held])
            lines.append(charts.Series("held-out", *points, points=True))
        positive = all(value > 0 for line in lines for value in line.y)
        parts.append(
            charts.lines(title, lines, x="step", y=column.replace("_", " "), log_y=log_y and positive)
        )
    if held and len(held[-1].get("levels", ())) > 1:
        levels = held[-1]["levels"]
        picked = sorted({0, len(levels) // 2, len(levels) - 1})
        lines = [
            charts.Series(
                f"sigma/alpha {levels[i]:.2g}",
                *thinned([(line["step"], line["held_out_by_level"][i]) for line in held]),
                points=True,
            )
            for i in picked
        ]
        parts.append(charts.lines("Held-out loss by noise level", lines, x="step", y="loss"))
    if evaluation is not None and evaluation.levels:
        parts.append(by_level(evaluation))
    if not parts:
        return Section("Training", ["The log holds no step."])
    drawn, said = along.measured(log), along.how(log, recipe)
    more = [blocks.heading("Measured along the way"), *said, blocks.grid(*drawn)] if drawn else []
    return Section("Training", [blocks.grid(*parts), *more])


def nearest(evaluation: Evaluation, made: UInt8[np.ndarray, "n c h w"], data: Real) -> Section:
    """The samples that are most like copies, each beside the training picture nearest to it."""
    pairs = []
    for near in evaluation.nearest:
        real = np.asarray(data.dataset.pictures[near.index])
        both = images(np.stack([made[near.sample], real[..., ::-1] if near.flipped else real]))
        words = f"{near.name}{', mirrored' if near.flipped else ''}, ratio {near.ratio:.2f}"
        if near.copied:
            words += ", counts as a copy"
        pairs.append(blocks.strip(both, [f"sample {near.sample}", words], alt=near.name))
    text = (
        "Each sample (left) beside the training picture nearest to it (right), the most alike first. Ratio: "
        "its distance over that of the second nearest; below 1/3 it counts as a copy, as it does where it is "
        "nearer, for its neighbourhood, than 99 of 100 held-out pictures are."
    )
    share = [figure for figure in evaluation.figures if figure.name.startswith("memorisation")]
    words = [
        f"{figure.name}: {blocks.number(100 * figure.value)}% of samples count as copies, "
        f"{blocks.number(100 * (figure.floor or 0))}% of held-out pictures do"
        for figure in share
    ]
    return Section("Nearest training pictures", [text, *words, blocks.pairs(pairs)])


def findings(log: Lines) -> list[Markup]:
    """What the watch noticed, each kind once, with the first step and how often."""
    lines = [line for line in log if "finding" in line]
    found = []
    for kind in dict.fromkeys(line["finding"] for line in lines):
        same = [line for line in lines if line["finding"] == kind]
        last = same[-1]
        often = f" (and {len(same) - 1:,} times more until step {last['step']:,})" if len(same) > 1 else ""
        words = f"Step {same[0]['step']:,}{often}: {last.get('what', '')} {last.get('advice', '')}".strip()
        found.append(blocks.note(words, "warning", str(kind)))
    return found


def data(real: Real, recipe: Recipe) -> Section:
    """What the model was trained on."""
    dataset, report = real.dataset, real.dataset.report
    facts: dict[str, blocks.Cell] = {
        "source": real.where,
        "fingerprint": dataset.fingerprint,
        "pictures": len(dataset.pictures),
        "trained on, held out": f"{len(real.training):,}, {len(real.held_out):,}",
        "brought to": f"{dataset.size}x{dataset.size} {WORDS[dataset.channels]}, fit {recipe.data.fit}",
        "classes": ", ".join(dataset.classes) if dataset.labels is not None else "none",
        "captions": sum(map(bool, dataset.captions or ())),
        "copies of another": report.duplicates,
        "unreadable": len(report.unreadable),
    }
    facts |= dict(report.notes)
    step = max(1, len(real.training) // 32)
    some = dataset.at(real.training[::step][:32], among=real.training).pixels
    shown = blocks.gallery(
        images(some), caption="Training pictures, at even distances", alt="training picture"
    )
    return Section("Data", [blocks.facts(facts), shown])


def settings(recipe: Recipe) -> Section:
    """The recipe, word for word."""
    training = recipe.training
    facts = {
        "name": f"{recipe.name}: {recipe.summary}",
        "network": recipe.network.kind,
        "diffusion": f"schedule {recipe.diffusion.schedule}, predicts {recipe.diffusion.prediction}",
        "optimizer": f"{training.optimizer}, rate {training.learning_rate:g}, batch {training.batch}",
        "seed": training.seed,
    }
    return Section(
        "Recipe", [blocks.facts(facts), blocks.details("recipe.toml", blocks.code(to_toml(recipe)))]
    )


def reproduce(root: Path, source: str, evaluation: Evaluation | None, images_seen: int | None) -> Section:
    """The commands that make all of this again."""
    run = shlex.quote(str(root))
    length = "" if images_seen is None else f" --images {images_seen}"
    lines = [
        "# the run: the same steps, whatever time they take",
        f"phosphene train {shlex.quote(source)} --recipe {run}/recipe.toml{length} --no-tune "
        f"--out {run}-again",
    ]
    if evaluation is not None:
        lines += [
            "# the figures: computed again, and compared bit for bit",
            f"phosphene evaluate --again {run}/evaluation.json",
            "# the figures from options",
            evaluate_command(root, evaluation),
        ]
    lines += ["# this page", f"phosphene report {run}"]
    words = "A run of a fixed number of pictures is the same bit for bit on the same machine and versions."
    return Section("How to reproduce", [blocks.code(*lines), words])


MEASURES = (
    "count",
    "seed",
    "reference",
    "solver",
    "steps",
    "guidance",
    "likelihood",
    "flow",
    "tolerance",
)
MACHINERY = ("inception", "dinov2", "clip", "ema", "batch", "device", "threads", "precision")


def evaluate_command(root: Path, evaluation: Evaluation) -> str:
    """The command with all options that make the same figures."""
    asked = evaluation.asked
    words = ["phosphene", "evaluate", str(root), "--data", evaluation.source]
    for name in MEASURES:
        if getattr(asked, name) is not None:
            words += [f"--{name}", str(getattr(asked, name))]
    for encoder in asked.encoders:
        words += ["--encoder", encoder]
    for name in MACHINERY:
        if getattr(asked, name) is not None:
            words += [f"--{name}", str(getattr(asked, name))]
    return shlex.join(words)
