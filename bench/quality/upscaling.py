"""Super-resolution beside bicubic: `python -m bench.quality.upscaling superres FOLDER --free OTHER`.

The model was trained for it, OTHER (if given) was not and does it without (MMPS); FOLDER holds photographs
that neither saw, cut to the model's size. They are made smaller as in training and larger again. Nearness to
the original (PSNR) favours blur: the distances to other held-out photographs (FD, KID) say whether results
look like photographs. Consistency: the result made smaller, beside what it was made from.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

import phosphene
from bench.quality.restored import (
    COLUMNS,
    MEANT,
    NOTE,
    Bytes,
    Distribution,
    Way,
    distribution,
    each,
    held_out,
    psnr,
    sampled,
    threads,
    to_images,
)
from bench.side_by_side import write
from phosphene.diffusion.measurement import downsampling
from phosphene.families.generator import Generator
from phosphene.families.sampled import Sampled
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.recipes.tasks import SuperResolutionTask

BICUBIC, TRAINED, MEAN = "bicubic (Pillow)", "trained", f"trained, mean of {MEANT}"


def smaller(pictures: Bytes, factor: int) -> Bytes:
    """As in training."""
    size = pictures.shape[-1]
    measured = downsampling(3, size, size, factor).apply(to_values(torch.from_numpy(pictures)))
    return to_bytes(measured).numpy()


def bicubic(images: list[Image.Image], size: int) -> Way:
    return lambda i: images[i].resize((size, size), Image.Resampling.BICUBIC)


class Measured(NamedTuple):
    """Of one way: PSNR to the original, and of the result made smaller to what it was made from, in dB."""

    name: str
    psnr: float
    consistency: float
    distribution: Distribution
    seconds: float


def factor_of(trained: Generator) -> int:
    """ValueError for a model that was not trained to make pictures larger."""
    task = trained.model.header.task
    if not isinstance(task, SuperResolutionTask):
        raise ValueError(f"model: trained for {task.kind}, not for super_resolution")
    return task.factor


def measure(
    trained: Generator, folder: Path, count: int, free: Generator | None = None
) -> Iterator[Measured]:
    """Each way in turn: bicubic, trained, without training if there is another model, and the originals."""
    factor = factor_of(trained)
    sides = held_out(folder, trained.size, count)
    small = smaller(np.ascontiguousarray(sides.own), factor)
    images = to_images(small)

    def ask(generator: Generator, method: str | None = None) -> Callable[..., Sampled]:
        return lambda i, **how: generator.upscale(images[i], factor=factor, method=method, **how)

    ways: dict[str, Way] = {
        BICUBIC: bicubic(images, trained.size),
        TRAINED: sampled(ask(trained)),
        MEAN: sampled(ask(trained), MEANT),
    }
    if free is not None:
        ways["without training, mmps"] = sampled(ask(free, "mmps"))
    ways["the originals"] = lambda i: to_images(sides.own[i : i + 1])[0]
    for name, way in ways.items():
        start = time.perf_counter()
        made = each(way, count)
        seconds = (time.perf_counter() - start) / count
        consistent = psnr(smaller(made, factor), small)
        yield Measured(name, psnr(made, sides.own), consistent, distribution(made, sides), seconds)


def table(
    trained: Generator, folder: Path, count: int, name: str, free: Generator | None = None
) -> dict[str, Measured]:
    """Each way by its name, also kept in bench/results."""
    ways, rows, factor = dict[str, Measured](), list[list[object]](), factor_of(trained)
    for one in measure(trained, folder, count, free):
        ways[one.name] = one
        cells = [f"{one.psnr:.2f}", f"{one.consistency:.2f}", *one.distribution.cells]
        rows.append([one.name, *cells, f"{one.seconds:.2f}"])
        print(rows[-1], flush=True)
    write(
        name,
        f"Super-resolution {factor}x to {trained.size} pixels: {folder.parent.name}",
        {"pictures": count, "factor": factor, "model": trained.model.fingerprint[:16]},
        ["", "PSNR, dB", "consistency, dB", *COLUMNS, "s a picture"],
        rows,
        [NOTE],
        device=trained.device.type,
    )
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--free", help="a run that was not trained for it")
    parser.add_argument("-n", "--count", type=int, default=200)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    threads(options.threads)
    trained = phosphene.load(options.run, options.device)
    free = None if options.free is None else phosphene.load(options.free, options.device)
    table(trained, options.folder, options.count, f"upscaling_{Path(options.run).name}", free)


if __name__ == "__main__":
    main()
