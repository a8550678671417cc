"""Colouring, deblurring, denoising: `python -m bench.quality.restoration RUN FOLDER`.

The model was trained for one of them; FOLDER holds photographs that it never saw. They are made grey, blurred
or noisy as in training, each by a different width or level, which the model is not told. Beside what it makes
of them: what it was shown, and for noise OpenCV's non-local means, which is told how much there is. Nearness
to the original (PSNR) favours blur and, of colours, brown; the distances (FD, KID) say whether results look
like photographs.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
from phosphene.diffusion.noise import keys
from phosphene.families.generator import Generator
from phosphene.families.sampled import Sampled
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.pictures.sheet import sheet
from phosphene.recipes.tasks import DenoisingTask

SHOWN, TRAINED, MEAN = "what is shown", "trained", f"trained, mean of {MEANT}"
MEANS = "non-local means (OpenCV)"
ORIGINALS = "the originals"
SEED = 2**31  # of blurs and noise: training's are small numbers
LOOKED_AT = 6  # rows of the sheet


def shown(generator: Generator, own: Bytes) -> list[Image.Image]:
    """What the task shows of these pictures. ValueError for a model that was trained for no such task."""
    sight, kind = generator.task.sight, generator.model.header.task.kind
    if sight is None or kind not in ("colouring", "deblurring", "denoising"):
        raise ValueError(f"model: trained for {kind}, not for colouring, deblurring or denoising")
    values = to_values(torch.from_numpy(np.ascontiguousarray(own)))
    seen = to_bytes(sight.draw(values, keys(SEED, range(len(own))), 0).picture).numpy()
    return to_images(seen.repeat(3, axis=1) if seen.shape[1] == 1 else seen)


def non_local_means(images: list[Image.Image], own: Bytes) -> Way:
    """Told the deviation of each picture's noise, by which it is strongest."""
    import cv2  # of the extra bench alone

    def way(i: int) -> Image.Image:
        noisy = np.asarray(images[i])
        deviation = float((noisy.astype(np.float64) - own[i].transpose(1, 2, 0)).std())
        blue_first = np.ascontiguousarray(noisy[..., ::-1])  # as OpenCV's pictures are
        clean = cv2.fastNlMeansDenoisingColored(blue_first, None, deviation, deviation)
        return Image.fromarray(np.ascontiguousarray(clean[..., ::-1]))

    return way


class Measured(NamedTuple):
    """Of one way: PSNR to the original, in dB."""

    name: str
    psnr: float
    distribution: Distribution
    seconds: float
    made: Bytes


def measure(trained: Generator, folder: Path, count: int) -> Iterator[Measured]:
    """Each way in turn."""
    sides = held_out(folder, trained.size, count)
    images, originals = shown(trained, sides.own), to_images(sides.own)

    def ask(i: int, **how: Any) -> Sampled:
        return trained.restore(images[i], **how)

    ways: dict[str, Way] = {SHOWN: lambda i: images[i]}
    if isinstance(trained.model.header.task, DenoisingTask):
        ways[MEANS] = non_local_means(images, sides.own)
    ways |= {
        TRAINED: sampled(ask),
        MEAN: sampled(ask, MEANT),
        ORIGINALS: lambda i: originals[i],
    }
    for name, way in ways.items():
        start = time.perf_counter()
        made = each(way, count)
        seconds = (time.perf_counter() - start) / count
        yield Measured(name, psnr(made, sides.own), distribution(made, sides), seconds, made)


def table(
    trained: Generator, folder: Path, count: int, name: str, look: Path | None = None
) -> dict[str, Measured]:
    """Each way by its name, also kept in bench/results. look: of a sheet, a column each way."""
    ways, rows = dict[str, Measured](), list[list[object]]()
    for one in measure(trained, folder, count):
        ways[one.name] = one
        rows.append([one.name, f"{one.psnr:.2f}", *one.distribution.cells, f"{one.seconds:.2f}"])
        print(rows[-1], flush=True)
    if look is not None:
        columns = [to_images(one.made[:LOOKED_AT]) for one in ways.values()]
        cells = [image for row in zip(*columns, strict=True) for image in row]
        sheet(cells, len(columns), column_titles=[*ways]).save(look)
    kind = trained.model.header.task.kind
    write(
        name,
        f"{kind.capitalize()} at {trained.size} pixels: {folder.parent.name}",
        {"pictures": count, "model": trained.model.fingerprint[:16]},
        ["", "PSNR, dB", *COLUMNS, "s a picture"],
        rows,
        [NOTE],
        device=trained.device.type,
    )
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", "--count", type=int, default=200)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--look", type=Path, help="write a sheet here, a column each way")
    options = parser.parse_args()
    threads(options.threads)
    trained = phosphene.load(options.run, options.device)
    table(trained, options.folder, options.count, f"restoration_{Path(options.run).name}", options.look)


if __name__ == "__main__":
    main()
