"""Cascades beside one another: `python -m bench.quality.cascade CASCADE... --set data/faces`.

The set is one that phosphene makes and judges, of another seed than what the cascades learned of:
`phosphene data faces --size 512 --seed 1`, as tiles were cut of both sides of theirs. Its held-out side is
brought to the pixels that the cascades make. Two questions, each of every cascade in turn:

    stages      held-out pictures, made as small as the base's are, go through the further stages alone: how
                near the originals they come (PSNR) and whether they look like them (paired KID)
    whole       pictures for the held-out captions: whether they show what was asked, read by the set's judge;
                and their distance (FD, KID) to other held-out pictures

The encoder sees 64 pixels, so that distances are of one tile of each picture, at the same place in every way.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
import torch

import phosphene
from bench.quality.restored import (
    COLUMNS,
    NOTE,
    Bytes,
    Distribution,
    Sides,
    distribution,
    each,
    psnr,
    threads,
    to_images,
)
from bench.quality.text import pictures
from bench.quality.upscaling import bicubic, smaller
from bench.side_by_side import write
from phosphene.data.made.folder import read_made
from phosphene.evaluation.told import ALL, JUDGES
from phosphene.families.generator import Cascade
from phosphene.families.sampled import Sampled
from phosphene.measures.features.shipped import SIDE
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.recipes.tasks import SuperResolutionTask
from phosphene.tasks.request import NOTHING

SEED = 1


class Held(NamedTuple):
    """Captions of seen combinations that no training picture has, their pictures, and as many others."""

    captions: list[str]
    own: Bytes
    others: Bytes


class Measured(NamedTuple):
    """Of one way. whole: of a cascade, whose pictures are near to no original. psnr: to the pictures that the
    captions are of, in dB. told: the share of what a caption says that the pictures show, mean over its
    aspects."""

    name: str
    whole: bool
    psnr: float
    told: float
    distribution: Distribution
    seconds: float


def held_out(folder: Path, size: int, count: int) -> Held:
    """Of a made set; of faces the captions are of those without a withheld pair. Raises ValueError for too
    few pictures."""
    place = folder / "held-out"
    rows = [json.loads(line) for line in (place / "metadata.jsonl").read_text("utf-8").splitlines()]
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    own = [row for row in rows if not row.get("withheld")][:count]
    others = [row for row in rows if row not in own][:count]
    if min(len(own), len(others)) < count:
        many = min(len(own), len(rows) // 2)
        raise ValueError(f"count {count}: {place} has {len(rows)} pictures; give {many} or less")
    return Held([row["text"] for row in own], pictures(place, own, size), pictures(place, others, size))


def tiles(whole: Bytes) -> Bytes:
    """One of each picture, as large as the encoder sees: where, goes by its number alone."""
    places = np.random.default_rng(0).integers(0, whole.shape[-1] - SIDE + 1, (len(whole), 2))
    return np.stack([one[:, y : y + SIDE, x : x + SIDE] for one, (y, x) in zip(whole, places, strict=True)])


def enlarged_by(cascade: Cascade, small: Bytes) -> Bytes:
    """By the stages after the base."""
    values = to_values(torch.from_numpy(small)).to(cascade.device)
    told = tuple({"seed": SEED, "picture": i} for i in range(len(small)))
    made = cascade.onwards(Sampled(values, told, 0), [NOTHING] * len(small), {})
    return to_bytes(made.values).cpu().numpy()


def asked_of(cascade: Cascade, captions: list[str]) -> Bytes:
    made = cascade.sample(len(captions), prompt=captions, seed=SEED)
    return to_bytes(made.values).cpu().numpy()


def side(cascade: Cascade) -> int:
    """Pixels a side of what it makes."""
    tasks = [stage.model.header.task for stage in cascade.further]
    return cascade.size * math.prod(task.factor for task in tasks if isinstance(task, SuperResolutionTask))


def measure(cascades: Mapping[str, Cascade], folder: Path, count: int) -> Iterator[Measured]:
    """The stages of each cascade beside bicubic enlargement and the originals, then each cascade whole.
    Raises ValueError for cascades that differ in size, hear nothing or make pictures smaller than a tile, and
    for a set without a judge."""
    shapes = {(one.size, side(one)) for one in cascades.values()}
    if len(shapes) > 1:
        raise ValueError("cascades: give those that begin and end with as many pixels as one another")
    ((base, size),) = shapes
    if size < SIDE:
        raise ValueError(f"cascades: of {size} pixels; the encoder sees {SIDE}")
    for name, one in cascades.items():
        if not one.hears:
            raise ValueError(f"cascade {name}: its base hears no captions")
    set_name = str((read_made(folder) or {}).get("set"))
    if set_name not in JUDGES:
        raise ValueError(f"{folder}: not a set that is judged ({', '.join(JUDGES)})")
    judge, held = JUDGES[set_name], held_out(folder, size, count)
    sides = Sides(tiles(held.own), tiles(held.others))
    small = smaller(held.own, size // base)
    ways: list[tuple[str, bool, Callable[[], Bytes]]] = [
        ("bicubic (Pillow)", False, lambda: each(bicubic(to_images(small), size), count)),
        *[(f"{name}, stages", False, partial(enlarged_by, one, small)) for name, one in cascades.items()],
        ("the originals", False, lambda: held.own),
        *[(f"{name}, whole", True, partial(asked_of, one, held.captions)) for name, one in cascades.items()],
    ]
    for name, whole, way in ways:
        start = time.perf_counter()
        made = way()
        seconds = (time.perf_counter() - start) / count
        judged = judge(made, held.captions)
        told = mean(mean(map(float, one)) for aspect, one in judged.items() if aspect != ALL)
        yield Measured(name, whole, psnr(made, held.own), told, distribution(tiles(made), sides), seconds)


def of(cascade: Cascade) -> str:
    """Its models, and how each is asked."""
    models = [cascade.model, *(one.model for one in cascade.further)]
    return "; ".join(
        f"{model.fingerprint[:16]} {said.sampling.solver} {said.sampling.steps} steps, augmentation "
        f"{said.augmentation:g}"
        for model, said in zip(models, cascade.stages, strict=True)
    )


def table(cascades: Mapping[str, Cascade], folder: Path, count: int, name: str) -> dict[str, Measured]:
    """Each way by its name, also kept in bench/results."""
    ways, rows = dict[str, Measured](), list[list[object]]()
    for one in measure(cascades, folder, count):
        ways[one.name] = one
        frechet, kernel, paired = one.distribution.cells
        own = ["-", "-"] if one.whole else [f"{one.psnr:.2f}", paired]
        rows.append([one.name, *own, frechet, kernel, f"{100 * one.told:.1f}", f"{one.seconds:.2f}"])
        print(rows[-1], flush=True)
    first = next(iter(cascades.values()))
    kind, paired = COLUMNS[:2], COLUMNS[2]
    write(
        name,
        f"Cascades from {first.size} to {side(first)} pixels: {(read_made(folder) or {})['set']}",
        {"pictures": count, "seed": SEED, **{name: of(one) for name, one in cascades.items()}},
        ["", "PSNR, dB", paired, *kind, "shows what is asked, %", "s a picture"],
        rows,
        [NOTE, "Distances are of a tile of 64 pixels of each picture."],
        device=first.device.type,
    )
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cascades", nargs="+", type=Path)
    parser.add_argument("--set", type=Path, required=True, help="a set that phosphene makes and judges")
    parser.add_argument("-n", "--count", type=int, default=100)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    threads(options.threads)
    loaded = {folder.name: phosphene.load(folder, options.device) for folder in options.cascades}
    cascades = {name: one for name, one in loaded.items() if isinstance(one, Cascade)}
    if len(cascades) < len(options.cascades):
        parser.error("cascades: give folders of phosphene cascade, of different names")
    table(cascades, options.set, options.count, f"cascade_{options.set.name}")


if __name__ == "__main__":
    main()
