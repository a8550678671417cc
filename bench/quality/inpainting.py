"""Parts of pictures made anew, beside OpenCV: `python -m bench.quality.inpainting RUN FOLDER --free OTHER`.

RUN was trained for inpainting, OTHER was not and does it without (MMPS, RePaint); FOLDER holds pictures that
neither saw. Masks are strokes, boxes and borders as in training, of another seed. Outside the mask a result
has to be what it was, exactly. Inside there is more than one good answer: nearness to the original (PSNR)
favours blur, so that the distances of whole pictures to other held-out ones (FD, KID) count as well; the row
of the originals is what they would be at best.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import phosphene
from bench.quality.restored import Bytes, Way, distribution, each, held_out, psnr, threads, to_images
from bench.side_by_side import write
from phosphene.diffusion.noise import keys
from phosphene.families.generator import Generator
from phosphene.tasks.masks import known

SEED = 2**31  # of masks: training's are small numbers
RADIUS = 3  # pixels that OpenCV looks around


def masks(count: int, size: int) -> np.ndarray:
    """True where a picture is missing. (n, 1, h, w)"""
    return known(keys(SEED, range(count)), 0, size, size).numpy() < 0.5


def opencv(images: list[Image.Image], missing: np.ndarray, method: int) -> Way:
    def way(i: int) -> Image.Image:
        hole = (255 * missing[i, 0]).astype(np.uint8)
        return Image.fromarray(cv2.inpaint(np.asarray(images[i]), hole, RADIUS, method))

    return way


def generated(
    generator: Generator, images: list[Image.Image], missing: np.ndarray, method: str | None
) -> Way:
    def way(i: int) -> Image.Image:
        hole = Image.fromarray((255 * missing[i, 0]).astype(np.uint8))
        return generator.inpaint(images[i], hole, method=method, seed=1, first=i)[0]

    return way


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--free", help="a run that was not trained for it")
    parser.add_argument("--methods", nargs="*", default=["mmps", "repaint"], help="of --free")
    parser.add_argument("-n", "--count", type=int, default=200)
    parser.add_argument("--name", default="inpainting", help="of the file of results")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    threads(options.threads)
    trained = phosphene.load(options.run, options.device)
    sides = held_out(options.folder, trained.size, options.count)
    images, missing = to_images(sides.own), masks(options.count, trained.size)
    ways: dict[str, Way] = {
        "Telea (OpenCV)": opencv(images, missing, cv2.INPAINT_TELEA),
        "Navier-Stokes (OpenCV)": opencv(images, missing, cv2.INPAINT_NS),
        "trained": generated(trained, images, missing, None),
    }
    if options.free is not None:
        free = phosphene.load(options.free, options.device)
        ways |= {f"without training, {m}": generated(free, images, missing, m) for m in options.methods}
    rows: list[list[object]] = []

    def row(name: str, made: Bytes, seconds: float) -> None:
        found = distribution(made, sides)
        inside, outside = psnr(made, sides.own, missing), psnr(made, sides.own, ~missing)
        cells = [f"{inside:.2f}", f"{outside:.2f}", f"{found.frechet:.3f}", found.kernel, f"{seconds:.2f}"]
        rows.append([name, *cells])
        print(rows[-1], flush=True)

    for name, way in ways.items():
        start = time.perf_counter()
        made = each(way, options.count)
        row(name, made, (time.perf_counter() - start) / options.count)
    row("the originals", sides.own, 0.0)
    write(
        options.name,
        f"Inpainting at {trained.size} pixels: {options.folder.name}",
        {
            "pictures": options.count,
            "hidden": f"{missing.mean():.1%}",
            "model": trained.model.fingerprint[:16],
        },
        ["", "PSNR inside, dB", "PSNR outside, dB", "FD", "KID x 1000", "s a picture"],
        rows,
        ["FD, KID: on the shipped encoder, to as many other held-out pictures. In brackets: 95% intervals."],
        device=trained.device.type,
    )


if __name__ == "__main__":
    main()
