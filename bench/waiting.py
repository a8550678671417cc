"""The share of training's time that waits for data: `python -m bench.waiting`.

A set that is kept on the device, and the same set read from its cache file by the thread ahead, as sets are
that do not fit; with flips and with EDM's augmentations, which are computed on the device and counted apart.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bench.end_to_end import SETTINGS, folder_of_pictures
from bench.side_by_side import write
from phosphene.data.cache import prepare
from phosphene.data.loader import Loader, Rows
from phosphene.data.sources import find
from phosphene.families.family import Batch
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed
from phosphene.training.train import build
from phosphene.training.workers import Workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder_of_pictures(Path(place), 2000)
        data = prepare(find(place), 32)
        for words, more in (("flips", {"data.flip": True}), ("EDM's augmentations", {"data.augment": 0.12})):
            for where, resident in (("on the device", 2**30), ("from the cache file", 0)):
                settings = SETTINGS | {"data.flip": False, "data.source": place, "data.size": 32} | more
                recipe = changed(RECIPES["ddpm"], settings | {"training.batch": 64})
                trainer = build(recipe, data, torch.device("cpu"), Workers())
                training, _ = data.split(recipe.data.held_out)
                trainer.loader = Loader(data, training, 64, 0, "cpu", resident=resident)
                prepared = 0.0
                make = trainer.batch

                def batch(rows: Rows, make: Callable[[Rows], Batch] = make) -> Batch:
                    nonlocal prepared
                    start = time.perf_counter()
                    made = make(rows)
                    prepared += time.perf_counter() - start
                    return made

                trainer.batch = batch
                trainer.update()
                trainer.waited, prepared, start = 0.0, 0.0, time.perf_counter()
                for _ in range(arguments.steps):
                    trainer.update()
                spent = time.perf_counter() - start
                trainer.loader.close()
                rows.append(
                    [
                        where,
                        words,
                        f"{100 * trainer.waited / spent:.2f} %",
                        f"{100 * prepared / spent:.2f} %",
                        f"{1e3 * spent / arguments.steps:.0f}",
                    ]
                )
                print(rows[-1], flush=True)
    write(
        "waiting",
        "Waiting for data: a U-Net of 3M weights, 32x32, batch 64",
        {"steps": arguments.steps},
        ["the set lies", "augmented by", "waiting", "augmenting and conditions", "ms a step"],
        rows,
        ["Pictures are decoded and resized once, before the run; every run's metrics have `waiting`."],
    )


if __name__ == "__main__":
    main()
