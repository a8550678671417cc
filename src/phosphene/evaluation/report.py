"""report.html: a run on one page that needs nothing else. Every figure in it is one of evaluation.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from phosphene import files
from phosphene.evaluation import chapters, journey
from phosphene.evaluation.along import Lines
from phosphene.evaluation.cost import Meter, Prices, cost, power
from phosphene.evaluation.evaluate import refuse_other_data, run_folder
from phosphene.evaluation.record import Evaluation, file_of, read, read_samples
from phosphene.evaluation.sets import Real, real
from phosphene.families.device import use_threads
from phosphene.families.generator import Generator, load
from phosphene.networks.count import parameters
from phosphene.pages import blocks
from phosphene.pages.page import Section, page
from phosphene.pictures.pixels import WORDS
from phosphene.recipes.settings import Recipe
from phosphene.tasks.request import Request
from phosphene.training.folder import RunFolder
from phosphene.training.metrics import read as read_log
from phosphene.version import __version__

REPORT = "report.html"


class Known(NamedTuple):
    """All that a report is made of. evaluation, made: None where the run has not been evaluated."""

    root: Path
    recipe: Recipe
    generator: Generator
    data: Real
    log: Lines
    evaluation: Evaluation | None
    made: np.ndarray | None


def report(
    run: str | Path,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    prices: Prices | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Path:
    """Writes a run's report and returns where; for the options see `phosphene.report`."""
    use_threads(threads)
    root = run_folder(run)
    folder = RunFolder(root)
    recipe, generator = folder.read_recipe(), load(root, device)
    there = real(recipe, data)
    refuse_other_data(generator, there)
    evaluated = file_of(root, None).is_file()
    evaluation = read(file_of(root, None)) if evaluated else None
    if evaluation is not None and evaluation.model != generator.model.fingerprint:
        evaluation = None  # of an earlier state of the run: its figures are not this model's
    made = None if evaluation is None else read_samples(root, evaluation)
    known = Known(root, recipe, generator, there, read_log(folder.metrics), evaluation, made)
    place = root / REPORT if out is None else Path(out)
    files.write_atomic(place, written(known, prices or Prices(), stale=evaluated and evaluation is None))
    return place


def written(known: Known, prices: Prices, stale: bool = False) -> str:
    """The page."""
    meter = Meter()
    back = journey.reverse(known.generator, known.data)
    sections = [
        summary(known, stale),
        pictures(known),
        *([chapters.figures(known.evaluation)] if known.evaluation is not None else []),
        chapters.curves(known.log, known.evaluation, known.recipe),
        *copies(known),
        journey.section(journey.forward(known.generator, known.data), back),
        time_and_energy(known, prices, meter.watts()),
        chapters.data(known.data, known.recipe),
        chapters.settings(known.recipe),
        reproduced(known),
    ]
    origin = known.generator.model.header.provenance
    under = f"{known.recipe.name}: {known.recipe.summary}"
    foot = f"Made by phosphene {__version__} from {known.root.name}"
    foot += "." if origin is None else f", which phosphene {origin.version} trained."
    return page(f"Report of {known.root.resolve().name}", sections, under=under, foot=foot)


HEADLINES = ("digits read", "shapes: clear", "shapes: as asked", "faces: clear", "faces: as asked")
HEADS = ("KID", "KD-", "FID", "FD-", "memorisation", "bits/dim", "evaluations")


def summary(known: Known, stale: bool) -> Section:
    """What matters at first sight: failures noticed, memorisation, a few figures."""
    parts: list[blocks.Block] = list(chapters.findings(known.log))
    if not parts:
        parts.append(blocks.note("The log of the training names no failure.", "good"))
    evaluation = known.evaluation
    if evaluation is None:
        why = "The figures that are there are of an earlier state of the model." if stale else ""
        words = f"{why} Not evaluated yet: phosphene evaluate {known.root}".strip()
        parts.append(blocks.note(words, "warning", "No figures"))
    else:
        parts += [*unlearned(evaluation), verdict(evaluation)]
        heads = [f for f in evaluation.figures if f.name in HEADLINES or f.name.startswith(HEADS)]
        columns = ["figure", "value", "interval", "floor", "what it says"]
        parts.append(blocks.table(columns, chapters.figure_rows(heads)))
    header = known.generator.model.header
    origin = header.provenance
    parts.append(
        blocks.facts(
            {
                "weights": f"{parameters(known.generator.model.network):,}, "
                f"sha256 {known.generator.model.fingerprint[:16]}",
                "pictures": f"{header.size}x{header.size} {WORDS[header.channels]}",
                "trained": ""
                if origin is None
                else f"{origin.step:,} steps, {origin.images:,} pictures seen",
                "on": known.data.where,
            }
        )
    )
    return Section("Summary", parts)


def unlearned(evaluation: Evaluation) -> list[Markup]:
    """Said where the model tells the bytes of held-out pictures in more bits than they have."""
    tightest = [figure for figure in evaluation.figures if figure.name.startswith("bits/dim")][-1:]
    return [
        blocks.note(
            f"{figure.name} is {blocks.number(figure.value)}: more than the 8 bits of a value without "
            "any model. It has learned too little, or its training pictures by heart.",
            "bad",
            "Worse than no model on pictures it has not seen",
        )
        for figure in tightest
        if (figure.value if figure.low is None else figure.low) > 8
    ]


def verdict(evaluation: Evaluation) -> Markup:
    """Whether it copies its training pictures."""
    found = [figure for figure in evaluation.figures if figure.name.startswith("memorisation")]
    if any(figure.arguments.get("memorising") for figure in found):
        words = "More samples count as copies of training pictures than held-out pictures do."
        return blocks.note(words, "bad", "Memorisation")
    if found:
        return blocks.note("Samples are no more like training pictures than held-out pictures are.", "good")
    why = next((f": {why}" for name, why in evaluation.left_out if name.startswith("memorisation")), "")
    return blocks.note(f"Memorisation was not measured{why}.", "warning")


def pictures(known: Known) -> Section:
    """The first samples of those that were measured; without an evaluation, some that are made now."""
    if known.evaluation is None or known.made is None:
        requests = [Request(shown=one) for one in journey.examples(known.generator, known.data, 32)]
        made = known.generator.make(requests, seed=0)
        return Section("Samples", [blocks.gallery(made.pairs, caption="Seed 0, not chosen", alt="sample")])
    asked = known.evaluation.asked
    words = f"The first of {asked.count:,} samples of seed {asked.seed}, not chosen"
    return chapters.samples(known.made, words)


def copies(known: Known) -> Sequence[Section]:
    if known.evaluation is None or known.made is None or not known.evaluation.nearest:
        return []
    return [chapters.nearest(known.evaluation, known.made, known.data)]


def time_and_energy(known: Known, prices: Prices, measured: float | None) -> Section:
    """What the run took, from its log and the clock of its training."""
    origin = known.generator.model.header.provenance
    seconds = 0.0 if origin is None else origin.seconds
    assumed = power(prices, known.generator.device.type, measured)
    spent = cost(seconds, assumed, prices)
    shares = [float(line["measuring_share"]) for line in known.log if "measuring_share" in line]
    asked = known.recipe.training.measure_share
    facts: dict[str, blocks.Cell] = {
        "training": f"{seconds:,.0f} s ({spent.hours:.3f} hours)",
        "of that measuring": f"{shares[-1]:.1%} ({asked:.1%} at most was asked)" if shares else None,
        "energy, estimated": f"{spent.kwh:.4f} kWh",
        "cost, estimated": f"{spent.money:.4f} {prices.currency}",
    }
    if known.evaluation is not None:
        facts["evaluation"] = f"{known.evaluation.seconds:,.0f} s on {known.evaluation.machine}"
    facts = {name: value for name, value in facts.items() if value is not None}
    return Section("Time, energy, cost", [blocks.facts(facts), f"The estimate {spent.words}."])


def reproduced(known: Known) -> Section:
    origin = known.generator.model.header.provenance
    seen = None if origin is None else origin.images
    return chapters.reproduce(known.root, known.data.where, known.evaluation, seen)
