"""Whether speed costs quality: the same training on fast operators and on plain ones in float32:
`python -m bench.quality`. The fast side computes in the precision that is chosen here, or in --precision.

Three seeds each, on the digits (8x8) and on crops of photographs (32x32): the kernel distance of samples to
real pictures (on features of fixed random convolutions, unbiased; smaller is better), for the digits
also the share that a classifier reads as asked, and how far the outputs of equal weights differ.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

from bench.end_to_end import folder_of_pictures
from bench.side_by_side import write

CODE = """
import json, sys
import numpy as np, torch
import phosphene
from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion.condition import Condition
from phosphene.measures import digits
from phosphene.measures.features.fixed import random_convolutions
from phosphene.measures.kernel import kernel_distance
from phosphene.kernels.library import library, plain
from phosphene.pictures.pixels import to_bytes

assert (library() is None) == {off}
generator = phosphene.train(
    {data!r}, out={out!r}, size={size}, images={images}, batch=64, seed={seed}, settings={settings!r},
    precision={precision!r}, progress=False,
)
generator = phosphene.load({out!r}, precision={precision!r})
labels = [i % 10 for i in range({count})] if generator.classes else None
made = generator.sample({count}, seed=1, label=labels, guidance=1.0, batch=250, steps=20)
real = prepare(find({data!r}), {size}).pictures
real = real[np.random.default_rng(0).permutation(len(real))[:2 * {count}]]
encoder = random_convolutions()
features = [encoder(part) for part in (real[:{count}], real[{count}:], to_bytes(made.values).numpy())]
distance = kernel_distance(features[0], features[2])
# As many real pictures as there are on the other side, beside others: what chance alone makes of it.
floor = kernel_distance(features[0][:len(features[1])], features[1])
read = digits.read(made.values, labels).accuracy if labels else None
network, x = generator.family.network, made.values[:16]
exact = phosphene.load({out!r}, precision="fp32").family.network
t, condition = torch.full((16,), 500.0), Condition(label=torch.full((16,), -1)) if labels else Condition()
with torch.no_grad():
    fast = network(x, t, condition)
    with plain():
        slow = exact(x, t, condition)
difference = ((fast - slow).norm() / slow.norm()).item()
print(json.dumps(dict(distance=distance.value, floor=floor.value, name=encoder.name, read=read,
    difference=difference, precision=generator.precision.name)))
"""
DIGITS = {
    "network.width": 32,
    "network.blocks": 1,
    "network.attention": [4],
    "training.learning_rate": 2e-3,
    "training.warmup": 50,
}
PHOTOGRAPHS = {
    "network.width": 16,
    "network.multipliers": [1, 2, 2],
    "network.blocks": 1,
    "network.attention": [8],
    "training.learning_rate": 2e-3,
    "training.warmup": 50,
}


def trained(
    place: Path,
    precision: str | None,
    data: str,
    size: int,
    images: int,
    seed: int,
    settings: object,
    count: int,
) -> dict:
    """What a run in a process of its own came to. precision: of fast operators; None: plain ones, float32."""
    off = precision is None
    out = str(place / f"{size}-{seed}-{off}")
    given = {"data": data, "out": out, "size": size, "images": images, "seed": seed, "settings": settings}
    code = CODE.format(off=off, precision=precision or "fp32", count=count, **given)
    environment = os.environ | ({"PHOSPHENE_KERNELS": "off"} if off else {})
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=25600)
    parser.add_argument("--precision", default="auto", help="of the fast side")
    arguments = parser.parse_args()
    rows, found = [], []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "photographs").mkdir()
        folder_of_pictures(place / "photographs", 2000)
        cases = {
            "digits, 8x8": ("digits", 8, DIGITS, 800),
            "photograph crops, 32x32": (str(place / "photographs"), 32, PHOTOGRAPHS, 300),
        }
        for case, (data, size, settings, count) in cases.items():
            for precision in (arguments.precision, None):
                found = [
                    trained(place, precision, data, size, arguments.images, seed, settings, count)
                    for seed in range(arguments.seeds)
                ]
                distances = [one["distance"] for one in found]
                read = [one["read"] for one in found if one["read"] is not None]
                rows.append(
                    [
                        case,
                        f"{'plain' if precision is None else 'fast'}, {found[0]['precision']}",
                        " ".join(f"{d:.4g}" for d in distances),
                        f"{mean(distances):.4g} +- {stdev(distances):.2g}",
                        f"{found[0]['floor']:.4g}",
                        " ".join(f"{100 * share:.1f}" for share in read) or "-",
                        "-" if precision is None else f"{max(one['difference'] for one in found):.1e}",
                    ]
                )
                print(rows[-1], flush=True)
    write(
        "quality",
        "Quality: the same training on fast operators and on plain ones in float32",
        {"seeds": arguments.seeds, "pictures seen": arguments.images, "precision": arguments.precision},
        [
            "data",
            "operators",
            "distance, a seed each",
            "mean and deviation",
            "real against real",
            "read as asked, %",
            "outputs differ by",
        ],
        rows,
        [
            f"Kernel distance (phosphene.measures.kernel) on {found[0]['name']}: 800 digits, 300 crops.",
            "No guidance, 20 steps. Equal seeds begin equal and drift apart by rounding.",
            "Outputs differ: of one network's weights on either side, relative, the most of the seeds.",
        ],
    )


if __name__ == "__main__":
    main()
