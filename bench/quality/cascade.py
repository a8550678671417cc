"""Cascades beside one another: `python -m bench.quality.cascade CASCADE... --set data/faces-512`.

The set is one that phosphene makes and judges (`phosphene data faces --size 512`); its held-out side is
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
    """Captions that no training picture has, their pictures, and as many other pictures."""

    captions: list[str]
    own: Bytes
    others: Bytes


class Measured(NamedTuple):
    """Of one way. psnr: to the pictures that the captions are of, in dB. told: the share of what a caption
    says that the pictures show, mean over its aspects."""

    name: str
    psnr: float
    told: float
    distribution: Distribution
    seconds: float


def held_out(folder: Path, size: int, count: int) -> Held:
    """Of a made set. Raises ValueError for too few pictures."""
    place = folder / "held-out"
    rows = [json.loads(line) for line in (place / "metadata.jsonl").read_text("utf-8").splitlines()]
    if len(rows) < 2 * count:
        raise ValueError(f"count {count}: {place} has {len(rows)} pictures; give half of that or less")
    order = np.random.default_rng(0).permutation(len(rows))[: 2 * count]
    some = [rows[i] for i in order]
    both = pictures(place, some, size)
    return Held([row["text"] for row in some[:count]], both[:count], both[count:])


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
    Raises ValueError for cascades whose pictures differ in size, and for a set without a judge."""
    shapes = {(one.size, side(one)) for one in cascades.values()}
    if len(shapes) > 1:
        raise ValueError("cascades: give those that begin and end with as many pixels as one another")
    ((base, size),) = shapes
    set_name = str((read_made(folder) or {}).get("set"))
    if set_name not in JUDGES:
        raise ValueError(f"{folder}: not a set that is judged ({', '.join(JUDGES)})")
    judge, held = JUDGES[set_name], held_out(folder, size, count)
    sides = Sides(tiles(held.own), tiles(held.others))
    small = smaller(held.own, size // base)
    ways: dict[str, Callable[[], Bytes]] = {
        "bicubic (Pillow)": lambda: each(bicubic(to_images(small), size), count)
    }
    for name, one in cascades.items():
        ways[f"{name}, stages"] = lambda one=one: enlarged_by(one, small)
    ways["the originals"] = lambda: held.own
    for name, one in cascades.items():
        ways[f"{name}, whole"] = lambda one=one: asked_of(one, held.captions)
    for name, way in ways.items():
        start = time.perf_counter()
        made = way()
        seconds = (time.perf_counter() - start) / count
        judged = judge(made, held.captions)
        told = mean(mean(map(float, one)) for aspect, one in judged.items() if aspect != ALL)
        yield Measured(name, psnr(made, held.own), told, distribution(tiles(made), sides), seconds)


def table(cascades: Mapping[str, Cascade], folder: Path, count: int, name: str) -> dict[str, Measured]:
    """Each way by its name, also kept in bench/results."""
    ways, rows = dict[str, Measured](), list[list[object]]()
    for one in measure(cascades, folder, count):
        ways[one.name] = one
        frechet, kernel, paired = one.distribution.cells
        # Of other faces: nothing is near to the originals, nor is there a pair.
        own = ["-", "-"] if one.name.endswith("whole") else [f"{one.psnr:.2f}", paired]
        rows.append([one.name, *own, frechet, kernel, f"{100 * one.told:.1f}", f"{one.seconds:.2f}"])
        print(rows[-1], flush=True)
    first = next(iter(cascades.values()))
    kind, paired = COLUMNS[:2], COLUMNS[2]
    write(
        name,
        f"Cascades from {first.size} to {side(first)} pixels: {(read_made(folder) or {})['set']}",
        {"pictures": count, "seed": SEED},
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
