"""The doctor on many pictures: `python -m bench.doctor --count 100000`.

Files of mixed formats and sizes are made (blends of photographs' crops, all different), with faults planted
in a known number; the command is run in a process of its own, and its seconds, its peak of memory and what
it found are written down. Needs 7 kB of disk a picture.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_sample_images

from bench.side_by_side import write

FORMATS = ("jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "webp", "png", "gif")
EVERY = 1000  # in so many pictures lie the faults below
FAULTS = {"copies": 10, "near-copies": 10, "unreadable": 2, "blank": 1, "tiny": 1}


def photographs() -> list[Image.Image]:
    arrays = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]
    return [Image.fromarray(array) for array in (*arrays, *load_sample_images().images)]


def picture(number: int, photos: list[Image.Image]) -> Image.Image:
    """A function of its number: two crops blended, 160 to 256 pixels a side."""
    random = np.random.default_rng(number)
    width, height = (int(side) for side in random.integers(160, 257, 2))
    size = (width, height)
    parts: list[Image.Image] = []
    for _ in range(2):
        photo = photos[random.integers(len(photos))]
        side = int(random.integers(80, 200))
        left, top = (int(random.integers(0, most - side)) for most in photo.size)
        part = photo.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        parts.append(ImageOps.mirror(part) if random.random() < 0.5 else part)
    return Image.blend(parts[0], parts[1], float(random.uniform(0.2, 0.8)))


def save(image: Image.Image, path: Path) -> None:
    if path.suffix in (".png", ".gif"):
        image = image.resize((image.width * 2 // 5, image.height * 2 // 5))
    if path.suffix == ".webp":
        image.save(path, quality=75, method=0)
    else:
        image.save(path)


def make(folder: Path, number: int, photos: list[Image.Image]) -> None:
    """One file, faulty where its number says so."""
    place = folder / f"{number % 100:02}"
    suffix = FORMATS[number % len(FORMATS)]
    path, turn = place / f"{number:06}.{suffix}", number % EVERY
    bounds = np.cumsum([*FAULTS.values()])
    fault = [*FAULTS, ""][int(np.searchsorted(bounds, turn, side="right"))]
    original = number + 500  # of the same thousand, and no fault itself
    if fault == "copies":
        save(picture(original, photos), path.with_suffix(f".{FORMATS[original % len(FORMATS)]}"))
    elif fault == "near-copies":
        image = picture(original, photos)
        image = image.resize((image.width * 7 // 10, image.height * 7 // 10), Image.Resampling.LANCZOS)
        image = ImageOps.mirror(image) if number % 2 else ImageEnhance.Brightness(image).enhance(0.9)
        image.save(path.with_suffix(".jpg"), quality=60)
    elif fault == "unreadable":
        save(picture(number, photos), path)
        path.write_bytes(path.read_bytes()[:700])
    elif fault == "blank":
        Image.new("RGB", (200, 180), tuple(np.random.default_rng(number).integers(256, size=3))).save(path)
    elif fault == "tiny":
        picture(number, photos).resize((20, 24)).save(path)
    else:
        save(picture(number, photos), path)


def planted(count: int) -> dict[str, int]:
    return {fault: number * (count // EVERY) for fault, number in FAULTS.items()}


def fill(folder: Path, count: int, threads: int) -> None:
    photos = photographs()
    for part in range(100):
        (folder / f"{part:02}").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda number: make(folder, number, photos), range(count)):
            pass


def examined(folder: Path, out: Path, threads: int) -> tuple[float, float, float, int]:
    """Wall seconds, processor seconds, the peak of memory in GiB, and the exit code, of the whole command. It
    starts no processes, so its peak is the tree's."""
    words = ["-m", "phosphene", "doctor", folder, "--out", out, "--threads", threads, "--quiet"]
    begun = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, *map(str, words)], os.environ)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - begun
    return (
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 2**20,
        os.waitstatus_to_exitcode(status),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help=f"a multiple of {EVERY}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fill", type=Path, help="only make the pictures, here")
    parser.add_argument("--folder", type=Path, help="pictures made before")
    arguments = parser.parse_args()
    if arguments.fill:
        fill(arguments.fill, arguments.count, arguments.threads)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.folder or Path(place) / "pictures"
        if arguments.folder is None:
            fill(folder, arguments.count, arguments.threads)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        out = Path(place) / "doctor"
        load = round(os.getloadavg()[0], 1)
        wall, processor, memory, code = examined(folder, out, arguments.threads)
        said = json.loads((out / "doctor.json").read_text())
        page = (out / "doctor.html").stat().st_size
        shutil.rmtree(out)
    found = {finding["kind"]: finding["count"] for finding in said["findings"]}
    rows = [
        ["pictures", f"{arguments.count:,}", f"{size / 1e9:.2f} GB, {', '.join(said['formats'])}"],
        ["seconds, all told", f"{wall:.0f}", "under 300"],
        ["of them examining", f"{said['seconds']:.0f}", f"{said['found'] / said['seconds']:.0f} pictures/s"],
        ["processor seconds", f"{processor:.0f}", ""],
        ["peak of memory, GiB", f"{memory:.2f}", "under 1 (0.93 GiB is 1 GB)"],
        ["exit code", str(code), "1: findings"],
        ["report, MB", f"{page / 1e6:.1f}", ""],
        *(
            [f"{kind}, found", f"{found.get(kind, 0):,}", f"{count:,} planted"]
            for kind, count in planted(arguments.count).items()
        ),
    ]
    write(
        "doctor",
        f"The doctor on {arguments.count:,} pictures",
        {"threads": arguments.threads, "pictures": arguments.count, "load": load},
        ["what", "measured", "beside it"],
        rows,
        [
            "Everything: reading, copies, outliers, the proposal with its measured steps, HTML and JSON.",
            "Seconds depend on what else runs (load, before); processor seconds hardly do.",
            "Blank beyond what was planted: blends of clear sky.",
            "Near copies beyond what was planted were not looked at one by one.",
        ],
    )


if __name__ == "__main__":
    main()
