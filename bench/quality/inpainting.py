"""Parts of pictures made anew, beside OpenCV: `python -m bench.quality.inpainting RUN FOLDER --free OTHER`.

RUN was trained for inpainting, OTHER was not and does it without (PiGDM, RePaint, MMPS); FOLDER holds
pictures that neither saw. Masks are strokes, boxes and borders as in training, of another seed. Outside the
mask a result has to be what it was, exactly. Inside there is more than one good answer: nearness to the
original (PSNR) favours blur, so that the distances of whole pictures to other held-out ones (FD, KID) count
as well; the row of the originals is what they would be at best.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import phosphene
from bench.quality.restored import (
    COLUMNS,
    MEANT,
    NOTE,
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
from phosphene.families.questions import FREE
from phosphene.families.sampled import Sampled
from phosphene.tasks.masks import known

TELEA, STOKES = "Telea (OpenCV)", "Navier-Stokes (OpenCV)"
TRAINED, MEAN = "trained", f"trained, mean of {MEANT}"
SEED = 2**31  # of masks: training's are small numbers
RADIUS = 3  # pixels that OpenCV looks around


def masks(count: int, size: int) -> np.ndarray:
    """True where a picture is missing. (n, 1, h, w)"""
    return known(keys(SEED, range(count)), 0, size, size).numpy() < 0.5


def opencv(images: list[Image.Image], missing: np.ndarray, name: str) -> Way:
    """By one of OpenCV's two methods."""
    import cv2  # of the extra bench alone

    method = cv2.INPAINT_TELEA if name == TELEA else cv2.INPAINT_NS

    def way(i: int) -> Image.Image:
        hole = (255 * missing[i, 0]).astype(np.uint8)
        return Image.fromarray(cv2.inpaint(np.asarray(images[i]), hole, RADIUS, method))

    return way


class Measured(NamedTuple):
    """Of one way: PSNR to the original where the picture was missing and where it was known, in dB."""

    name: str
    inside: float
    outside: float
    distribution: Distribution
    seconds: float


def measure(
    trained: Generator,
    folder: Path,
    count: int,
    free: Generator | None = None,
    methods: Sequence[str] = (),
    means: bool = True,
) -> Iterator[Measured]:
    """Each way in turn: OpenCV's, trained, without training if there is another model, and the originals.
    means: also the mean of several samples, which takes the longest."""
    sides, missing = held_out(folder, trained.size, count), masks(count, trained.size)
    images, holes = (
        to_images(sides.own),
        [Image.fromarray((255 * one[0]).astype(np.uint8)) for one in missing],
    )

    def ask(generator: Generator, method: str | None = None) -> Callable[..., Sampled]:
        return lambda i, **how: generator.inpaint(images[i], holes[i], method=method, **how)

    ways: dict[str, Way] = {
        TELEA: opencv(images, missing, TELEA),
        STOKES: opencv(images, missing, STOKES),
        TRAINED: sampled(ask(trained)),
    }
    if means:
        ways[MEAN] = sampled(ask(trained), MEANT)
    if free is not None:
        ways |= {f"without training, {m}": sampled(ask(free, m)) for m in methods}
    ways["the originals"] = lambda i: images[i]
    for name, way in ways.items():
        start = time.perf_counter()
        made = each(way, count)
        seconds = (time.perf_counter() - start) / count
        inside, outside = psnr(made, sides.own, missing), psnr(made, sides.own, ~missing)
        yield Measured(name, inside, outside, distribution(made, sides), seconds)


def table(
    trained: Generator,
    folder: Path,
    count: int,
    name: str,
    free: Generator | None = None,
    methods: Sequence[str] = (),
    means: bool = True,
) -> dict[str, Measured]:
    """Each way by its name, also kept in bench/results."""
    ways, rows = dict[str, Measured](), list[list[object]]()
    for one in measure(trained, folder, count, free, methods, means):
        ways[one.name] = one
        cells = [f"{one.inside:.2f}", f"{one.outside:.2f}", *one.distribution.cells]
        rows.append([one.name, *cells, f"{one.seconds:.2f}"])
        print(rows[-1], flush=True)
    write(
        name,
        f"Inpainting at {trained.size} pixels: {folder.parent.name}",
        {
            "pictures": count,
            "hidden": f"{masks(count, trained.size).mean():.1%}",
            "model": trained.model.fingerprint[:16],
            "without training": "none" if free is None else free.model.fingerprint[:16],
        },
        ["", "PSNR inside, dB", "PSNR outside, dB", *COLUMNS, "s a picture"],
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
    parser.add_argument("--methods", nargs="*", default=[FREE], help="of --free")
    parser.add_argument("-n", "--count", type=int, default=200)
    parser.add_argument("--no-mean", action="store_true", help="leave out the mean of several samples")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    threads(options.threads)
    trained = phosphene.load(options.run, options.device)
    free = None if options.free is None else phosphene.load(options.free, options.device)
    # With other methods than usual it is a table of its own, beside the usual one.
    more = [] if options.methods == [FREE] else options.methods
    name = "-".join([f"inpainting_{Path(options.run).name}", *more])
    how = (options.methods, not options.no_mean)
    table(trained, options.folder, options.count, name, free, *how)


if __name__ == "__main__":
    main()
