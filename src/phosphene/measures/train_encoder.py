"""Trains the encoder that comes with phosphene, and writes its weights and its card.

    phosphene data photos --out sets/photos --count 8000    (emoji, glyphs, faces and shapes in the same way)
    python -m phosphene.measures.train_encoder sets/*

Without labels (SimCLR, Chen 2020): two views of each picture, cut, mirrored and recoloured by chance, should
be more alike than views of different pictures:

    loss = -ln [exp(z_i z_j / tau) / sum_{k != i} exp(z_i z_k / tau)],  z of length 1, (i, j) of one picture

Views are neither blurred nor made noisy: an encoder that learned not to see that would say nothing of it.
"""

import argparse
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

from phosphene import files
from phosphene.data.cache import prepare
from phosphene.data.dataset import Dataset
from phosphene.data.loader import indices
from phosphene.data.sources import find
from phosphene.measures.features.encoder import Encoder, rgb
from phosphene.measures.features.encoders import ENCODERS
from phosphene.measures.features.shipped import SIDE, WEIGHTS, Trained, shipped
from phosphene.measures.kernel import kernel_distance
from phosphene.measures.train_attributes import blurred
from phosphene.store.tensors import write_tensors

BATCH, RATE, WARMUP, TEMPERATURE, SEED = 96, 2e-3, 50, 0.2, 0xE4C0
LENGTH = 128  # of z

Damage = Callable[[Float32[Tensor, "n 3 s s"]], Float32[Tensor, "n 3 s s"]]


def pictures(folder: Path, side: str) -> Dataset:
    """A made set, one of its sides, at the encoder's size."""
    return prepare(find(folder / side), SIDE)


def coloured(data: Dataset) -> UInt8[Tensor, "n 3 s s"]:
    """As RGB on white."""
    return rgb(torch.tensor(data.pictures)).round().to(torch.uint8)


def view(values: Float32[Tensor, "b 3 s s"], random: torch.Generator) -> Float32[Tensor, "b 3 s s"]:
    """A part of each picture, 0.3 to 1 of its area and up to 4/3 as wide as high or the other way round,
    mirrored or not, of another brightness, contrast and saturation; a fifth of them grey."""
    rows = len(values)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=random)

    area, aspect = uniform(0.3, 1.0, rows), torch.exp(uniform(-0.29, 0.29, rows))
    across, down = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    mirror = torch.where(uniform(0.0, 1.0, rows) < 0.5, -1.0, 1.0)
    theta = torch.zeros(rows, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = across * mirror, down
    theta[:, 0, 2] = (1 - across) * uniform(-1.0, 1.0, rows)
    theta[:, 1, 2] = (1 - down) * uniform(-1.0, 1.0, rows)
    grid = functional.affine_grid(theta, list(values.shape), align_corners=False)
    values = functional.grid_sample(values, grid, "bilinear", "reflection", align_corners=False)
    grey = values.mean(1, keepdim=True)
    saturation = uniform(0.5, 1.5, rows, 1, 1, 1) * (uniform(0.0, 1.0, rows, 1, 1, 1) > 0.2)
    values = grey + saturation * (values - grey)
    values = values.mean((1, 2, 3), keepdim=True) + uniform(0.6, 1.4, rows, 1, 1, 1) * (
        values - values.mean((1, 2, 3), keepdim=True)
    )
    return (values + uniform(-60.0, 60.0, rows, 1, 1, 1)).clamp(0, 255)


def contrast(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """The loss of SimCLR; row i and row i + b are views of one picture."""
    z = functional.normalize(z)
    alike = z @ z.T / TEMPERATURE
    alike = alike.masked_fill(torch.eye(len(z), dtype=torch.bool), -math.inf)
    return functional.cross_entropy(alike, torch.arange(len(z)).roll(len(z) // 2))


def train(pixels: UInt8[Tensor, "n 3 s s"], steps: int, seconds: float) -> tuple[Trained, int]:
    """The encoder after so many steps, or as many as fit into the time."""
    torch.manual_seed(SEED)
    random = torch.Generator().manual_seed(SEED)
    network = Trained()
    head = nn.Sequential(nn.Linear(384, 256), nn.ReLU(), nn.Linear(256, LENGTH))
    weights = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, RATE, weight_decay=0.02)
    began, step = time.monotonic(), 0
    while step < steps and time.monotonic() - began < seconds:
        gone = max(step / steps, (time.monotonic() - began) / seconds)
        rate = RATE * min(1, (step + 1) / WARMUP) * (1 + math.cos(math.pi * gone)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = pixels[torch.from_numpy(indices(len(pixels), BATCH, SEED, step))].float()
        loss = contrast(head(network(torch.cat([view(rows, random), view(rows, random)]))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 25 == 0:
            print(step, f"loss {loss.item():.3f}", f"{time.monotonic() - began:.0f} s", flush=True)
    return network.eval(), step


def probe(encoder: Encoder, train: Dataset, test: Dataset) -> float:
    """The share of `test` whose label a straight cut through the features tells."""
    assert train.labels is not None
    assert test.labels is not None
    scaler = StandardScaler().fit(inputs := encoder(train.pictures[:]))
    model = LogisticRegression(max_iter=2000, C=0.1).fit(scaler.transform(inputs), train.labels)
    known = {name: number for number, name in enumerate(train.classes)}
    rows = [row for row, label in enumerate(test.labels) if test.classes[label] in known]
    aims = np.array([known[test.classes[test.labels[row]]] for row in rows])
    return float((model.predict(scaler.transform(encoder(test.pictures[rows]))) == aims).mean())


def halves(data: Dataset) -> tuple[Dataset, Dataset]:
    """A labelled set in two, every other picture."""
    assert data.labels is not None
    labels = data.labels
    parts = [
        Dataset(data.pictures[i::2], labels[i::2], data.classes, None, data.names[i::2], "", data.report)
        for i in range(2)
    ]
    return parts[0], parts[1]


def damages() -> Mapping[str, Damage]:
    """What generators do to pictures, a little of it. Values in [0, 255]."""
    random = torch.Generator().manual_seed(SEED)
    return {
        "blurred by 0.5 px": lambda values: blurred(values, 0.5),
        "noise of 2%": lambda values: values + 0.02 * 255 * torch.randn(values.shape, generator=random),
        "5% brighter": lambda values: values * 1.05,
        "halved and doubled": lambda values: functional.interpolate(
            functional.avg_pool2d(values, 2), scale_factor=2, mode="bilinear"
        ),
        "quarters swapped": lambda values: values.roll((SIDE // 2, SIDE // 2), (2, 3)),
    }


def noticed(encoder: Encoder, real: UInt8[Tensor, "n 3 s s"]) -> dict[str, float]:
    """The kernel distance of one half of real pictures to the other half, damaged, in units of half the width
    of its interval: 2 or more is seen for sure."""
    one, other = real[::2], real[1::2]
    features, found = encoder(one), {}
    for name, damage in {"as they are": lambda values: values, **damages()}.items():
        made = damage(other.float()).round().clamp(0, 255).to(torch.uint8)
        distance = kernel_distance(features, encoder(made))
        found[name] = 2 * distance.value / (distance.high - distance.low)
    return found


def card(encoder: Encoder, facts: Mapping[str, object], folders: Mapping[str, Path]) -> str:
    """The model card, Markdown: what it tells apart beside the encoders that were not trained."""
    others = {name: make() for name, make in ENCODERS.items() if name != "shipped"}
    encoders = {"shipped": encoder} | others
    digits = halves(prepare(find("digits")))
    tests = {"digits (never seen in training)": digits}
    if "glyphs" in folders:
        glyphs = folders["glyphs"]
        both = pictures(glyphs, "train"), pictures(glyphs, "held-out")
        tests["glyphs of typefaces that were held out"] = both
    table = [f"| | {' | '.join(encoders)} |", "|---|" + "---:|" * len(encoders)]
    for name, (one, other) in tests.items():
        shares = [probe(encoder, one, other) for encoder in encoders.values()]
        table.append(f"| {name}, read rightly, % | " + " | ".join(f"{100 * x:.1f}" for x in shares) + " |")
    photos = coloured(pictures(folders["photos"], "train"))  # held out are too few to tell
    seen = [noticed(encoder, photos) for encoder in encoders.values()]
    rows = {name: " | ".join(f"{each[name]:.1f}" for each in seen) for name in seen[0]}
    table += [f"| photographs, {name} | {cells} |" for name, cells in rows.items()]
    said = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"""\
# The encoder that comes with phosphene

Features of pictures for distances between sets of them: `phosphene.measures.features.shipped`.
Made by `python -m phosphene.measures.train_encoder`, without labels.

{said}

What it tells apart, beside encoders without training. Read rightly: by a straight cut (logistic regression)
through the features. Photographs: the kernel distance of {len(photos) // 2} tiles that it has seen to as many
others that are damaged, over half the width of its interval; 2 and more is seen for sure.

{chr(10).join(table)}

It has seen tiles of 36 photographs, emoji, letters, drawn faces and shapes, and nothing else. Figures by it
compare sets of pictures with each other; they are no FID and compare with no figure by another encoder.
"""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Trains the encoder that comes with phosphene.")
    parser.add_argument("sets", type=Path, nargs="+", help="folders that phosphene data has made")
    parser.add_argument("--steps", type=int, default=2000, help=f"of {BATCH} pictures, two views each")
    parser.add_argument("--minutes", type=float, default=60.0, help="end sooner after so long")
    parser.add_argument("--out", type=Path, default=WEIGHTS.parent, help="folder of weights and card")
    asked = parser.parse_args()
    folders = {folder.name: folder for folder in asked.sets}
    trained_on = {name: coloured(pictures(folder, "train")) for name, folder in folders.items()}
    began = time.process_time()
    network, steps = train(torch.cat([*trained_on.values()]), asked.steps, 60 * asked.minutes)
    seconds = time.process_time() - began
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / WEIGHTS.name
    write_tensors(path, {name: tensor.half() for name, tensor in network.state_dict().items()})
    encoder = shipped(path)
    facts = {
        "weights": f"{path.name}, float16",
        "sha256": files.sha256(path),
        "name in figures": encoder.name,
        "parameters": f"{sum(each.numel() for each in network.parameters()):,}",
        "trained on": ", ".join(f"{len(each):,} {name}" for name, each in trained_on.items()),
        "steps": f"{steps} of {BATCH} pictures, two views each",
        "seed": f"{SEED:#x}",
        "time": f"{seconds / 60:.0f} minutes of a core",
    }
    text = card(encoder, facts, folders)
    files.write_atomic(path.with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    main()
