"""Cost against batch, picture size, width and number of pictures, in one plot: `python -m bench.scaling`.

Every line should be flat: it shows the time a unit of work, over the same at the first point. Work is
multiply-adds for the network and pictures for the data. What climbs grows faster than its work.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch

from bench.side_by_side import RESULTS, machine, units, write
from phosphene.data.dataset import Dataset, Report
from phosphene.data.loader import Loader
from phosphene.diffusion.condition import Condition
from phosphene.families.device import made_ready
from phosphene.networks.count import multiply_adds
from phosphene.networks.unet import UNet, UNetConfig

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NOTE = "Of the pictures, 0.05 to 0.8 ms a batch of 64: what is read for the first time costs a page fault."


def network(width: int, levels: int = 3) -> UNet:
    widths = tuple(width * m for m in (1, 2, 2, 2)[:levels])
    attention = tuple(level == levels - 1 for level in range(levels))
    return UNet(UNetConfig(3, 3, widths, attention, blocks=1, head_width=32))


def seconds(run: Callable[[], object], least: float = 1.0) -> float:
    """The least time of a call, over a second or three calls: what the work costs when nobody disturbs."""
    run()
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def step_seconds(made: UNet, batch: int, size: int) -> float:
    """Forward and backward."""
    made_ready(made, torch.device("cpu")).train()
    x, t = torch.randn(batch, 3, size, size), torch.rand(batch)

    def run() -> None:
        made.zero_grad()
        made(x, t, Condition()).square().mean().backward()

    return seconds(run)


def batch_seconds(folder: Path, pictures: int, size: int = 32, batch: int = 64) -> float:
    """A batch out of a file of so many pictures, as large sets are read. The file has holes, not pixels."""
    shape = (pictures, 3, size, size)
    values = np.memmap(folder / f"{pictures}", np.uint8, "w+", shape=shape)
    report = Report(pictures, pictures, (), 0, {}, {}, ())
    data = Dataset(values, None, (), None, ("",), "", report)
    loader = Loader(data, np.arange(pictures), batch, 0, "cpu", resident=0)
    try:
        loader.batch(0)
        step = iter(range(1, 10**9))
        return seconds(lambda: loader.read(next(step)), 0.5)
    finally:
        loader.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=256, help="pixels a side at the most")
    arguments = parser.parse_args()
    adds = {size: multiply_adds(network(32), 3, size, size) for size in (32, 64, 128, 256)}
    names = ("batch (32x32, width 32)", "size (width 32)", "width (32x32)")
    lines: dict[str, dict[int, float]] = {name: {} for name in names}
    for batch in (1, 4, 16, 64, 256):
        cost = step_seconds(network(32), batch, 32)
        lines["batch (32x32, width 32)"][batch] = cost / batch
    for size in (s for s in adds if s <= arguments.largest):
        lines["size (width 32)"][size] = step_seconds(network(32), 4, size) / adds[size]
    for width in (32, 64, 96, 128, 192):
        made = network(width)
        lines["width (32x32)"][width] = step_seconds(made, 8, 32) / multiply_adds(made, 3, 32, 32)
    with tempfile.TemporaryDirectory() as place:
        counts = (10**3, 10**4, 10**5, 10**6)
        lines["pictures in the set"] = {count: batch_seconds(Path(place), count) for count in counts}
    rows = []
    figure, axes = plt.subplots(figsize=(8, 5))
    for name, values in lines.items():
        first = next(iter(values.values()))
        relative = {key: value / first for key, value in values.items()}
        axes.plot(range(len(relative)), list(relative.values()), marker="o", label=name)
        for place, (key, value) in enumerate(relative.items()):
            axes.annotate(f"{key:g}", (place, value), textcoords="offset points", xytext=(4, 4), fontsize=8)
        rows += [[name, f"{key:g}", f"{values[key]:.3g}", f"{value:.2f}"] for key, value in relative.items()]
    axes.set_ylabel("time a unit of work, relative to the first point")
    axes.set_xticks([])
    axes.set_yscale("log")
    axes.axhline(1, color="grey", linewidth=0.5)
    axes.legend()
    figure.savefig(RESULTS / f"scaling-{units(machine())}.png", dpi=120)
    write(
        "scaling",
        "Scaling: a training step's time for a unit of work",
        {"largest size": arguments.largest},
        ["against", "at", "seconds a unit", "relative to the first"],
        rows,
        [
            f"![the same as a plot](scaling-{units(machine())}.png)",
            "Above 1 and growing would be a defect.",
            NOTE,
        ],
    )


if __name__ == "__main__":
    main()
