"""Whether an editing model does what it is told, and nothing else: `python -m bench.quality.editing RUN SET`.

The set is one of triples that phosphene makes (`phosphene data shapes --edits`, faces --edits); the run was
trained on its train/. What is asked are the instructions of its other sides:

    held-out       pictures that training never began with, instructions in its words
    paraphrased    the same, in words that no training instruction has (faces)
    withheld       pairs of colour and shape that training never showed (shapes)

Judged exactly, from pixels: by the scene oracle, or by the shipped reader of attributes. `changed`: what was
asked for is there (or gone). `kept`: everything else is as it was, and nothing came. `both` is the target's
figure. Beside it, what the judge makes of the pictures that were rendered as answers.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

import phosphene
from bench.quality.text import among, pictures, shown
from bench.side_by_side import write
from phosphene.data.made.faces.attributes import ATTRIBUTES
from phosphene.data.made.folder import read_made
from phosphene.data.made.shapes import oracle
from phosphene.data.made.shapes.claims import Group
from phosphene.data.made.shapes.edit import parse
from phosphene.data.made.shapes.scene import from_fields
from phosphene.families.generator import Generator
from phosphene.measures import attributes
from phosphene.measures.interval import Interval
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.pictures.sheet import sheet
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown

Pictures = UInt8[np.ndarray, "n c h w"]
LOOKED_AT = 8  # rows of the sheet


class Triples(NamedTuple):
    """Instructions of one kind, the pictures before and after, and what the set says of both."""

    kind: str
    instructions: list[str]
    before: Pictures
    after: Pictures
    rows: list[tuple[Mapping[str, Any], Mapping[str, Any]]]


class Judged(NamedTuple):
    """Of each picture: what was asked for was done, and all else was left alone."""

    changed: list[bool]
    kept: list[bool]

    @property
    def both(self) -> list[bool]:
        return [a and b for a, b in zip(*self, strict=True)]


def triples(folder: Path, most: int, size: int) -> Iterator[Triples]:
    """What is asked, at most so much of a kind, at even distances."""
    for side, kind, field in (
        ("held-out", "held-out", "instruction"),
        ("held-out", "paraphrased", "paraphrased_instruction"),
        ("withheld", "withheld", "instruction"),
    ):
        place = folder / side
        if not (place / "metadata.jsonl").is_file():
            continue
        lines = (place / "metadata.jsonl").read_text("utf-8").splitlines()
        rows = {row["file_name"]: row for row in map(json.loads, lines)}
        targets = [row for row in rows.values() if field in row]
        some = [targets[i * len(targets) // most] for i in range(most)] if len(targets) > most else targets
        if not some:
            continue
        pairs = [(rows[row["source"]], row) for row in some]
        before, after = (pictures(place, [pair[i] for pair in pairs], size) for i in (0, 1))
        yield Triples(kind, [row[field] for row in some], before, after, pairs)


def shapes(made: Pictures, asked: Triples) -> Judged:
    """By the scene oracle: things as multisets of colour, shape, size and place, and the background."""
    changed, kept = [], []
    for picture, rows in zip(made, asked.rows, strict=True):
        scenes = (*map(from_fields, rows), oracle.read(picture.transpose(1, 2, 0)).scene)
        before, after, seen = (Counter((*thing.kind, thing.place) for thing in one.things) for one in scenes)
        stays, new, gone = before & after, after - before, before - after
        rest = seen - stays
        changed.append(not new - rest and not gone & rest)
        kept.append(
            not stays - seen and not rest - new - gone and scenes[2].background == scenes[1].background
        )
    return Judged(changed, kept)


def faces(made: Pictures, asked: Triples) -> Judged:
    """By the reader of attributes; behind sunglasses eyes are what hides them."""
    changed, kept = [], []
    for seen, (_, after) in zip(attributes.read(torch.from_numpy(made)).faces(), asked.rows, strict=True):
        right = {name: getattr(seen, name) == after[name] for name in ATTRIBUTES}
        changed.append(right.pop(after["edit"]))
        kept.append(all(right.values()))
    return Judged(changed, kept)


JUDGES = {"shapes": shapes, "faces": faces}


def edited(generator: Generator, asked: Triples, seed: int, how: Mapping[str, Any]) -> Pictures:
    """What the model makes of each."""
    values = to_values(torch.from_numpy(asked.before))
    requests = [
        Request(prompt=words, shown=Shown(picture))
        for words, picture in zip(asked.instructions, values, strict=True)
    ]
    return to_bytes(generator.make(requests, seed=seed, **how).values).numpy()


class Measured(NamedTuple):
    """Of instructions of one kind: shares of pictures. both: also by kind of edit, in percent, and of shapes
    by what the instruction says of the thing that is meant. real: both, of the pictures that were rendered as
    answers."""

    asked: Triples
    made: Pictures
    both: Interval
    changed: Interval
    kept: Interval
    real: Interval
    by_edit: Mapping[str, float]
    by_name: Mapping[str, float]

    @property
    def kind(self) -> str:
        return self.asked.kind

    @property
    def of(self) -> int:
        return len(self.made)


def measure(generator: Generator, folder: Path, count: int, seed: int = 1, **how: Any) -> Iterator[Measured]:
    """Each kind of instruction in turn. how: of `Generator.make`. ValueError for a set that is no judged one
    of triples, and for a model that does not edit."""
    made = read_made(folder) or {}
    name = str(made.get("set"))
    if name not in JUDGES or not made.get("edits"):
        raise ValueError(f"{folder}: not a set of triples that is judged ({', '.join(JUDGES)}, --edits)")
    if not generator.edits:
        raise ValueError("model: not trained for editing (--recipe edit)")
    for asked in triples(folder, count, generator.size):
        answers = edited(generator, asked, seed, how)
        judged, real = JUDGES[name](answers, asked), JUDGES[name](asked.after, asked)
        both, changed, kept = map(among, (judged.both, judged.changed, judged.kept))
        by_edit = grouped(judged.both, [row["edit"] for _, row in asked.rows])
        by_name = grouped(judged.both, list(map(said_of, asked.instructions))) if name == "shapes" else {}
        yield Measured(asked, answers, both, changed, kept, among(real.both), by_edit, by_name)


def grouped(right: Sequence[bool], groups: Sequence[str]) -> dict[str, float]:
    """The share that is right of each group, in percent."""
    of: dict[str, list[bool]] = {}
    for group, one in zip(groups, right, strict=True):
        of.setdefault(group, []).append(one)
    return {group: 100 * mean(map(float, some)) for group, some in sorted(of.items())}


def said_of(instruction: str) -> str:
    """What an instruction of shapes says of the thing that is meant."""
    which = parse(instruction).which
    if isinstance(which, Group):
        return "new"
    return " and ".join(name for name, said in asdict(which).items() if said) or "it"


def table(
    generator: Generator,
    folder: Path,
    count: int,
    name: str,
    seed: int = 1,
    look: Path | None = None,
    **how: Any,
) -> list[Measured]:
    """Each kind of instruction, also kept in bench/results. look: of a sheet: before, made, after."""
    found, rows, notes, looked = list[Measured](), list[list[object]](), list[str](), list[Image.Image]()
    for one in measure(generator, folder, count, seed, **how):
        found.append(one)
        for what, groups in (("kind of edit", one.by_edit), ("what is said of the thing", one.by_name)):
            if groups:
                parts = (f"{group} {right:.1f}" for group, right in groups.items())
                notes.append(f"{one.kind}, both, by {what}: {', '.join(parts)}")
        rows.append([one.kind, one.of, *map(shown, (one.both, one.changed, one.kept, one.real))])
        print(rows[-1], flush=True)
        for three in list(zip(one.asked.before, one.made, one.asked.after, strict=True))[:LOOKED_AT]:
            looked += [Image.fromarray(picture.transpose(1, 2, 0)) for picture in three]
    if look is not None:
        sheet(looked, 3, column_titles=["before", "made", "after"]).save(look)
    defaults = generator.defaults
    write(
        name,
        f"Editing by instruction: {(read_made(folder) or {})['set']} at {generator.size} pixels",
        {
            "triples of a kind": count,
            "seed": seed,
            "guidance": how.get("guidance", defaults.guidance),
            "image guidance": how.get("image_guidance", defaults.image_guidance),
            "steps": how.get("steps", defaults.steps),
            "solver": defaults.solver,
            "model": generator.model.fingerprint[:16],
        },
        ["instructions", "pictures", "both, %", "changed, %", "kept, %", "rendered answers: both, %"],
        rows,
        ["In brackets: 95% intervals.", *notes],
        device=generator.device.type,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("set", type=Path)
    parser.add_argument("-n", "--count", type=int, default=500, help="triples of a kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--image-guidance", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--look", type=Path, help="write a sheet here: before, made, after")
    options = parser.parse_args()
    generator = phosphene.load(options.run, options.device)
    names = ("guidance", "image_guidance", "steps", "batch")
    how = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    name = f"editing_{Path(options.run).name}"
    table(generator, options.set, options.count, name, options.seed, options.look, **how)


if __name__ == "__main__":
    main()
