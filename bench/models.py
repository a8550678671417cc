"""Trains, measures and ships the models of models/: `python -m bench.models shapes faces --budget 1h`.

Stage by stage, each a command or a function that others may use, and skipped where it is done, so that what
was stopped goes on from there:

    data        phosphene data SET                              -> data/models/SET
    train       phosphene train --recipe models/NAME.toml       -> runs/models/NAME
    measure     bench.quality                                   -> runs/models/NAME/scores.json
    ship        in float16, with card, recipe, scores           -> models/NAME

What is measured is fresh: training saw none of it. bench/planned.py says what is trained.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench.planned import PLANNED, Extent, Planned
from phosphene import files
from phosphene.families.device import use_threads
from phosphene.store import shipped
from phosphene.store.model import WEIGHTS
from phosphene.store.shipped import About, Score
from phosphene.training.folder import RunFolder

ALL = 10**6  # tiles, of however many there are
MODELS, DATA, RUNS = Path("models"), Path("data/models"), Path("runs/models")


def command(*words: str | Path) -> None:
    """Runs a command of phosphene, which is shown. Raises CalledProcessError where it stops."""
    print("$ phosphene", *words, flush=True)
    subprocess.run([sys.executable, "-m", "phosphene", *map(str, words)], check=True)


def here_or_shipped(name: str) -> Path:
    """The run that was trained here, or the name of the model that is shipped."""
    trained = RUNS / name
    return trained if trained.exists() else Path(name)


def make_data(planned: Planned, extent: Extent) -> Path:
    """The set's folder. A set is whole or absent: what is there is not made again."""
    count, name = str(extent.pictures or planned.count), planned.data
    DATA.mkdir(parents=True, exist_ok=True)

    def made(folder: Path, name: str, *how: str | Path) -> Path:
        if not folder.exists():
            command("data", name, "--out", folder, *how)
        return folder

    if planned.of_whole is not None:
        side = str(planned.of_whole)
        whole = made(DATA / f"{name}-{side}", name, "--count", count, "--size", side)
        return made(
            DATA / f"{name}-{side}-tiles", "photos", "--from", whole, "--count", str(ALL), "--size", "64"
        )
    how = ["--count", count, "--size", "64", *(["--edits"] if planned.edits else [])]
    return made(DATA / (f"{name}-edits" if planned.edits else name), name, *how)


def train(planned: Planned, data: Path, extent: Extent) -> RunFolder:
    """The run, finished: one that was stopped goes on."""
    run, how = RunFolder(RUNS / planned.name), ["--budget", extent.budget, "--device", extent.device]
    how += [] if extent.threads is None else ["--threads", str(extent.threads)]
    if run.recipe.is_file():
        command("train", "--resume", run.root, *how)
    else:
        how += [] if planned.begins is None else ["--from", here_or_shipped(planned.begins)]
        command("train", data / "train", "--out", run.root, "--recipe", MODELS / f"{planned.name}.toml", *how)
    return run


def scores(planned: Planned, run: RunFolder, data: Path, extent: Extent) -> list[Score]:
    """As they are measured, or were of these very weights, of as many."""
    kept = run.root / "scores.json"
    known: dict[str, object] = {"model": files.sha256(run.model / WEIGHTS), "count": extent.count}
    known |= {"candidates": extent.candidates, "ranker": extent.ranker and str(extent.ranker)}
    if kept.is_file() and (found := json.loads(kept.read_text()))["of"] == known:
        return [Score.model_validate(one) for one in found["scores"]]
    found = list(planned.scores(run.root, data, extent))
    told = {"of": known, "scores": [one.model_dump(exclude_none=True) for one in found]}
    kept.write_text(json.dumps(told, indent=1) + "\n")
    return found


def ship(planned: Planned, run: RunFolder, found: list[Score]) -> None:
    told = About(
        about=planned.about,
        licence=planned.licence,
        example=planned.example,
        measured=planned.measured,
        ranker=planned.ranker,
        scores=tuple(found),
    )
    # Where pictures and models were in the checkout, wherever that was.
    recipe = run.recipe.read_text()
    for folder in (DATA, RUNS, MODELS):
        recipe = recipe.replace(f'"{folder.resolve()}/', f'"{folder}/')
    shipped.ship(run.model, MODELS / planned.name, recipe, told)
    print(f"shipped in {MODELS / planned.name}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*PLANNED], help=", ".join(PLANNED))
    parser.add_argument("--budget", default="1h", help="of training, each")
    parser.add_argument("--trained", action="store_true", help="measure and ship the runs as they are")
    parser.add_argument("--count", type=int, default=500, help="prompts of a kind, or pictures")
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--ranker", type=Path, help="a CLIP that chooses among the candidates")
    parser.add_argument("--pictures", type=int, help="made to train on")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    use_threads(options.threads)
    given = Extent(
        options.budget,
        options.count,
        options.candidates,
        options.pictures,
        options.device,
        options.threads,
        options.ranker,
    )
    for name in options.names:
        if name not in PLANNED:
            parser.error(f"{name}: known are {', '.join(PLANNED)}")
        planned, extent = PLANNED[name], given
        if planned.ranker is not None and given.ranker is None:
            extent = replace(given, ranker=here_or_shipped(planned.ranker))
        data = make_data(planned, extent)
        run = RunFolder(RUNS / name) if options.trained else train(planned, data, extent)
        ship(planned, run, scores(planned, run, data, extent))


if __name__ == "__main__":
    main()
