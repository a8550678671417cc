"""What SDEdit keeps and changes, by strength: `python -m bench.quality.sdedit faces data/faces-edits`.

The model is one of text to image, which was never trained to edit; the set is one of triples that phosphene
makes (`phosphene data faces --edits`). A picture is noised by so much and made whole again with the caption
of the picture after the edit, where that caption says what is to change. Judged as in
`bench.quality.editing`: whether it has changed, whether all else is as it was, and both. A low strength
changes nothing, a high one makes another picture. With --trained faces-editing that model, told the
instructions of the same triples, stands beside it.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

import phosphene
from bench.quality.editing import JUDGES, Pictures, Triples, edited, triples
from bench.quality.restored import threads, to_images
from bench.quality.text import among, shown
from bench.side_by_side import write
from phosphene.data.made.folder import read_made
from phosphene.families.generator import Generator
from phosphene.measures.interval import Interval
from phosphene.pictures.pixels import to_bytes

STRENGTHS = (0.5, 0.6, 0.7, 0.8, 0.9)
SEED = 1


class Measured(NamedTuple):
    """Shares of `of` pictures. way: the strength, or the trained model."""

    way: str
    of: int
    both: Interval
    changed: Interval
    kept: Interval


def told(asked: Triples) -> Triples:
    """Those whose caption after the edit says what has changed."""
    says = [i for i, (_, after) in enumerate(asked.rows) if after["edit"] in after["claims"]]
    some = Triples(asked.kind, [], asked.before[says], asked.after[says], [asked.rows[i] for i in says])
    return said(some, "text")


def said(asked: Triples, field: str) -> Triples:
    """In the words of that field."""
    return asked._replace(instructions=[after[field] for _, after in asked.rows])


def measure(
    generator: Generator,
    folder: Path,
    count: int,
    strengths: Sequence[float] = STRENGTHS,
    trained: Generator | None = None,
) -> Iterator[Measured]:
    """Each strength in turn, of the same pictures and the same noise; then `trained`, told the instructions.
    Raises ValueError for a set that is no judged one of triples with claims, and for a model that hears no
    captions."""
    made = read_made(folder) or {}
    if made.get("set") != "faces" or not made.get("edits"):
        raise ValueError(f"{folder}: not a set of faces' triples (phosphene data faces --edits)")
    if not generator.hears or generator.edits:
        raise ValueError("model: give one of text to image")
    asked = told(next(triples(folder, count, generator.size)))
    images = to_images(asked.before)
    for strength in strengths:
        answers = [
            generator.edit(image, prompt=words, strength=strength, seed=SEED, first=i).values
            for i, (image, words) in enumerate(zip(images, asked.instructions, strict=True))
        ]
        yield judged(f"strength {strength:g}", to_bytes(torch.cat(answers)).numpy(), asked)
    if trained is not None:
        yield judged("trained for it", edited(trained, said(asked, "instruction"), SEED, {}), asked)


def judged(way: str, made: Pictures, asked: Triples) -> Measured:
    found = JUDGES["faces"](made, asked)
    return Measured(way, len(made), *map(among, (found.both, found.changed, found.kept)))


def table(
    generator: Generator,
    folder: Path,
    count: int,
    name: str,
    strengths: Sequence[float] = STRENGTHS,
    trained: Generator | None = None,
) -> list[Measured]:
    """Each strength, also kept in bench/results."""
    found, rows = list[Measured](), list[list[object]]()
    for one in measure(generator, folder, count, strengths, trained):
        found.append(one)
        rows.append([one.way, one.of, *map(shown, (one.both, one.changed, one.kept))])
        print(rows[-1], flush=True)
    defaults = generator.defaults
    write(
        name,
        f"Editing without training, by SDEdit: faces at {generator.size} pixels",
        {
            "triples": count,
            "seed": SEED,
            "guidance": defaults.guidance,
            "solver": defaults.solver,
            "model": generator.model.fingerprint[:16],
            "trained": "none" if trained is None else trained.model.fingerprint[:16],
        },
        ["", "pictures", "both, %", "changed, %", "kept, %"],
        rows,
        ["In brackets: 95% intervals. Of the triples those whose caption says what has changed."],
        device=generator.device.type,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("set", type=Path)
    parser.add_argument("--trained", help="a model that was trained for editing, to stand beside it")
    parser.add_argument("-n", "--count", type=int, default=200, help="triples")
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    threads(options.threads)
    generator = phosphene.load(options.run, options.device)
    trained = None if options.trained is None else phosphene.load(options.trained, options.device)
    name = f"sdedit_{Path(options.run).name}"
    table(generator, options.set, options.count, name, options.strengths, trained)


if __name__ == "__main__":
    main()
