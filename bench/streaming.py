"""Shards that are streamed, beside the same shards decoded once: `python -m bench.streaming`.

JPEGs of 256 pixels in WebDataset shards, trained at 64: seconds before the first step, pictures decoded a
second, the share of training that waits for data, and the peak of memory against the size of the set.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from bench.side_by_side import write
from phosphene.data.load import load
from phosphene.data.sources import find
from phosphene.data.streamed import Streamed
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import Recipe, changed
from phosphene.training.train import build
from phosphene.training.workers import Workers

SIDE, SIZE, SHARD, BATCH = 256, 64, 1000, 64
NETWORK = {
    "network.width": 32,
    "network.multipliers": [1, 2, 2, 2],
    "network.blocks": 1,
    "network.attention": [8],
    "training.batch": BATCH,
    "data.size": SIZE,
    "data.channels": "RGB",
}


def make(place: Path, count: int) -> int:
    """Crops of two photographs as shards, captioned; returns their bytes."""
    photos, random = load_sample_images().images, np.random.default_rng(0)
    for start in range(0, count, SHARD):
        with tarfile.open(place / f"{start // SHARD:04}.tar", "w") as tar:
            for number in range(start, min(start + SHARD, count)):
                y, x = random.integers(0, 427 - SIDE), random.integers(0, 640 - SIDE)
                crop = Image.fromarray(photos[number % 2][y : y + SIDE, x : x + SIDE])
                jpeg = io.BytesIO()
                crop.save(jpeg, "JPEG", quality=90)
                for suffix, content in (("jpg", jpeg.getvalue()), ("txt", b"a crop")):
                    member = tarfile.TarInfo(f"{number:07}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return sum(path.stat().st_size for path in place.iterdir())


def recipe(place: Path, stream: bool) -> Recipe:
    return changed(RECIPES["flow"], NETWORK | {"data.source": str(place), "data.stream": stream})


def child(place: Path, stream: bool, steps: int) -> None:
    """Prints seconds until the data is there, seconds a step, the share of waiting, and the peak of memory in
    kB after `steps` steps; 0 steps only reads 50 batches."""
    began = time.perf_counter()
    wanted = recipe(place, stream)
    data = load(wanted.data)
    trainer = build(wanted, data, torch.device("cpu"), Workers())
    if not stream:
        trainer.loader.resident = None  # as a set that does not fit
    ready = time.perf_counter() - began
    if steps:
        trainer.update()
        trainer.waited = 0.0
    began = time.perf_counter()
    for step in range(steps or 50):
        if steps:
            trainer.update()
        else:
            trainer.loader.batch(step)
    each = (time.perf_counter() - began) / (steps or 50)
    trainer.loader.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(ready, each, trainer.waited / each / (steps or 50), peak)


def measured(place: Path, stream: bool, steps: int) -> tuple[float, float, float, float]:
    with tempfile.TemporaryDirectory() as cache:
        words = [sys.executable, "-m", "bench.streaming", "--child", str(place), str(int(stream)), str(steps)]
        there = os.environ | {"PHOSPHENE_CACHE": cache}
        said = subprocess.run(words, capture_output=True, text=True, check=True, env=there).stdout.split()
    ready, each, waiting, peak = map(float, said)
    return ready, each, waiting, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--child", nargs=3)
    arguments = parser.parse_args()
    if arguments.child:
        place, stream, steps = arguments.child
        child(Path(place), stream == "1", int(steps))
        return
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as name:
        for count in (arguments.count // 10, arguments.count):
            place = Path(name) / str(count)
            place.mkdir()
            size = make(place, count)
            began = time.perf_counter()
            source = find(place)
            indexed = time.perf_counter() - began
            notes.append(f"{count:,} pictures, {size / 1e6:,.0f} MB: indexed in {indexed:.2f} s.")
            for threads in (1, os.cpu_count() or 1) if count == arguments.count else ():
                data = load(recipe(place, True).data)
                assert isinstance(data.pictures, Streamed)
                pictures = Streamed(source, data.pictures.settings, threads)
                some = np.random.default_rng(1).permutation(count)[:1000]
                began = time.perf_counter()
                pictures[some]
                rate = len(some) / (time.perf_counter() - began)
                pictures.close()
                notes.append(f"Decoded with {threads} threads: {rate:,.0f} pictures a second.")
            for stream in (False, True):
                ready, each, waiting, peak = measured(place, stream, arguments.steps)
                batch, reading = measured(place, stream, 0)[1::2]
                rows.append(
                    [
                        f"{count:,}",
                        "streamed" if stream else "decoded once",
                        f"{ready:.1f}",
                        f"{each:.2f}",
                        f"{100 * waiting:.1f} %",
                        f"{BATCH / batch:,.0f}",
                        f"{peak / 1e3:,.0f}",
                        f"{reading / 1e3:,.0f}",
                    ]
                )
                print(rows[-1], flush=True)
    print(*notes, sep="\n")
    write(
        "streaming",
        f"Shards streamed: JPEGs of {SIDE} pixels trained at {SIZE}, batch {BATCH}",
        {"steps": arguments.steps},
        [
            "pictures",
            "way",
            "s before step 1",
            "s a step",
            "waiting",
            "pictures/s read only",
            "peak MB",
            "read only",
        ],
        rows,
        notes,
    )


if __name__ == "__main__":
    main()
