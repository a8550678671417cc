"""Trains, measures and ships the models of models/: `python -m bench.models shapes faces --budget 1h`.

Stage by stage, each a command or a function that others may use, and skipped where it is done, so that what
was stopped goes on from there:

    data        phosphene data NAME                             -> data/models/NAME
    train       phosphene train --recipe models/NAME.toml       -> runs/models/NAME
    measure     bench.quality.text                              -> runs/models/NAME/scores.json
    ship        in float16, with card, recipe, scores           -> models/NAME

Prompts and seeds of the scores are fresh: training saw no picture of them.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import phosphene
from bench.quality.text import Measured, measure
from phosphene.measures.interval import Interval
from phosphene.store import shipped
from phosphene.store.shipped import About, Score
from phosphene.training.folder import RunFolder

MODELS, DATA, RUNS = Path("models"), Path("data/models"), Path("runs/models")


@dataclass(frozen=True)
class Aim:
    """A figure that is aimed at. kind: of prompts. figure: right (all that is asked), mean (over aspects) or
    any_right (at least one of the candidates)."""

    name: str
    kind: str
    figure: str
    target: float | None = None


@dataclass(frozen=True)
class Planned:
    """A model to ship. count: pictures that are made to train on."""

    name: str
    count: int
    about: str
    licence: str
    example: str
    aims: tuple[Aim, ...]


SHAPES = Planned(
    "shapes",
    40_000,
    "scenes of coloured shapes, 64 pixels, from captions",
    "Apache-2.0",
    'phosphene sample shapes --prompt "a red circle left of a blue star"',
    (
        Aim("captions of seen combinations", "held-out", "right", 95),
        Aim("the same, one of four right", "held-out", "any_right", 98),
        Aim("withheld pairs of colour and shape", "withheld", "right", 85),
        Aim("words never trained on", "paraphrased", "right", 80),
    ),
)
FACES = Planned(
    "faces",
    40_000,
    "cartoon faces, 64 pixels, from captions",
    "Apache-2.0; it learned from Avataaars by Pablo Stanley, free for personal and commercial use",
    'phosphene sample faces --prompt "a smiling person with red curly hair and glasses"',
    (
        Aim("attributes, mean of ten", "held-out", "mean", 95),
        Aim("all that a caption says", "held-out", "right"),
        Aim("attributes, words never trained on", "paraphrased", "mean"),
    ),
)
PLANNED = {planned.name: planned for planned in (SHAPES, FACES)}


@dataclass(frozen=True)
class Extent:
    """How much of it. budget: of training; count: prompts of a kind; candidates: for each."""

    budget: str
    count: int
    candidates: int
    pictures: int | None
    device: str


def command(*words: str | Path) -> None:
    """Runs a command of phosphene, which is shown. Raises CalledProcessError where it stops."""
    print("$ phosphene", *words, flush=True)
    subprocess.run([sys.executable, "-m", "phosphene", *map(str, words)], check=True)


def make_data(planned: Planned, extent: Extent) -> Path:
    folder = DATA / planned.name
    if not folder.exists():  # a set is whole or absent
        folder.parent.mkdir(parents=True, exist_ok=True)
        count = extent.pictures or planned.count
        command("data", planned.name, "--out", folder, "--count", str(count), "--size", "64")
    return folder


def train(planned: Planned, data: Path, extent: Extent) -> RunFolder:
    """The run, finished: one that was stopped goes on."""
    run, how = RunFolder(RUNS / planned.name), ("--budget", extent.budget, "--device", extent.device)
    if run.recipe.is_file():
        command("train", "--resume", run.root, *how)
    else:
        command("train", data / "train", "--out", run.root, "--recipe", MODELS / f"{planned.name}.toml", *how)
    return run


def scores(planned: Planned, run: RunFolder, data: Path, extent: Extent) -> list[Score]:
    """The aims, measured; or as they were measured of these very weights, as many prompts."""
    generator, kept = phosphene.load(run.root, extent.device), run.root / "scores.json"
    known = {"model": generator.model.fingerprint, "count": extent.count, "candidates": extent.candidates}
    if kept.is_file() and (found := json.loads(kept.read_text()))["of"] == known:
        return [Score.model_validate(one) for one in found["scores"]]
    kinds = {}
    for one in measure(generator, data, extent.count, candidates=extent.candidates):
        kinds[one.kind] = one
        print(f"{planned.name}: {one.kind}: {100 * one.right.value:.1f}% right", flush=True)
    found = list(reached(planned, kinds, extent))
    told = {"of": known, "scores": [one.model_dump(exclude_none=True) for one in found]}
    kept.write_text(json.dumps(told, indent=1) + "\n")
    return found


def reached(planned: Planned, kinds: dict[str, Measured], extent: Extent) -> Iterator[Score]:
    for aim in planned.aims:
        if aim.kind not in kinds or (aim.figure == "any_right" and extent.candidates != 4):
            continue
        one = kinds[aim.kind]
        figure: Interval | float = getattr(one, aim.figure)
        value, *ends = figure if isinstance(figure, Interval) else (figure,)
        low, high = (round(100 * end, 1) for end in ends) if ends else (None, None)
        yield Score(
            name=aim.name, value=round(100 * value, 1), low=low, high=high, of=one.of, target=aim.target
        )


def ship(planned: Planned, run: RunFolder, found: list[Score]) -> None:
    told = About(
        about=planned.about,
        licence=planned.licence,
        example=planned.example,
        measured="Pictures of fresh seeds for prompts that training never saw, read by the set's own judge.",
        scores=tuple(found),
    )
    shipped.ship(run.model, MODELS / planned.name, run.recipe.read_text(), told)
    print(f"shipped in {MODELS / planned.name}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*PLANNED], help=", ".join(PLANNED))
    parser.add_argument("--budget", default="1h", help="of training, each")
    parser.add_argument("--count", type=int, default=500, help="prompts of a kind")
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--pictures", type=int, help="made to train on")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    extent = Extent(options.budget, options.count, options.candidates, options.pictures, options.device)
    for name in options.names:
        if name not in PLANNED:
            parser.error(f"{name}: known are {', '.join(PLANNED)}")
        planned = PLANNED[name]
        data = make_data(planned, extent)
        run = train(planned, data, extent)
        ship(planned, run, scores(planned, run, data, extent))


if __name__ == "__main__":
    main()
