"""Trains the reader of faces, and writes its weights and its card.

    python -m phosphene.measures.train_attributes

Eight minutes of a core. Every picture is drawn anew, from a seed of its own that no data set is made with by
default, and what generators do to pictures is done to half of them: resized to 32 to 64 pixels and back,
blurred, noisy, moved, dimmed.
"""

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, cross_entropy, grid_sample, interpolate, pad

from phosphene import files
from phosphene.data.made.faces.attributes import ATTRIBUTES, Face, draw
from phosphene.data.made.faces.layers import render
from phosphene.measures.attributes import SIDE, WEIGHTS, Reader, by_attribute
from phosphene.pictures.pixels import to_values
from phosphene.store.tensors import write_tensors

TRAINING, TESTING = 0x7EAC4, 0x7E57  # seeds of the reader's own renders
BATCH, RATE, WARMUP, STEPS = 64, 3e-3, 100, 1326
TESTED = 2000


def drawn(seed: int, numbers: range, size: int = SIDE) -> tuple[UInt8[Tensor, "n 3 size size"], list[Face]]:
    """Pictures of faces and the faces, each a function of (seed, number)."""
    faces = [draw(np.random.default_rng([seed, number])) for number in numbers]
    pixels = np.stack([np.asarray(render(face, size)) for face in faces])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), faces


def labels(faces: list[Face]) -> dict[str, Int64[Tensor, " n"]]:
    """The number of each face's value, by attribute."""
    return {
        name: torch.tensor([values.index(getattr(face, name)) for face in faces])
        for name, values in ATTRIBUTES.items()
    }


def worn(values: Float[Tensor, "n 3 s s"], random: torch.Generator) -> Float[Tensor, "n 3 s s"]:
    """Values as a generator may leave them, each wear drawn for the whole batch or row by row."""
    rows = len(values)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=random)

    scale, move = uniform(0.94, 1.06, rows), uniform(-0.08, 0.08, rows, 2)
    theta = torch.zeros(rows, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = move
    grid = affine_grid(theta, list(values.shape), align_corners=False)
    values = grid_sample(values, grid, "bilinear", "border", align_corners=False)
    small = int(torch.randint(32, SIDE + 1, (), generator=random))
    values = interpolate(values, (small, small), mode="bilinear", antialias=True)
    values = interpolate(values, (SIDE, SIDE), mode="bilinear", antialias=True)
    values = blurred(values, float(uniform(0.01, 1.0)))
    values = values * uniform(0.92, 1.08, rows, 1, 1, 1) + uniform(-0.06, 0.06, rows, 3, 1, 1)
    noise = torch.randn(values.shape, generator=random)
    return (values + noise * uniform(0.0, 0.2, rows, 1, 1, 1)).clamp(-1, 1)


def blurred(values: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """A Gaussian blur of `sigma` pixels, cut off at 3 pixels."""
    at = torch.arange(-3, 4) / sigma
    weights = torch.softmax(-(at**2) / 2, 0)
    channels = values.shape[1]
    values = pad(values, (3, 3, 3, 3), mode="replicate")
    values = conv2d(values, weights.view(1, 1, 1, 7).expand(channels, -1, -1, -1), groups=channels)
    return conv2d(values, weights.view(1, 1, 7, 1).expand(channels, -1, -1, -1), groups=channels)


def rate(progress: float, step: int) -> float:
    """Linear up over WARMUP steps, then half a cosine down to zero over the time."""
    return RATE * min(1, (step + 1) / WARMUP) * (1 + math.cos(math.pi * min(1, progress))) / 2


def train(steps: int, say: bool = True) -> Reader:
    """A reader trained for a number of steps; the same numbers on the same machine give the same weights."""
    torch.manual_seed(TRAINING)
    random = torch.Generator().manual_seed(TRAINING)
    network = Reader()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    began = time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step / steps, step)
        pictures, faces = drawn(TRAINING, range(step * BATCH, (step + 1) * BATCH))
        values = to_values(pictures)
        half = BATCH // 2
        values = torch.cat([values[:half], worn(values[half:], random)])
        logits, aims = by_attribute(network(values)), labels(faces)
        loss = torch.stack([cross_entropy(logits[name], aims[name]) for name in ATTRIBUTES]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if say and step % 50 == 0:
            right = [float((logits[name].argmax(1) == aims[name]).float().mean()) for name in ATTRIBUTES]
            print(step, f"{loss.item():.3f}", f"{np.mean(right):.4f}", f"{time.monotonic() - began:.0f} s")
    return network.eval()


Wear = Callable[[Float32[Tensor, "n 3 h w"]], Float32[Tensor, "n 3 h w"]]


def conditions() -> dict[str, tuple[int, Wear]]:
    """What the reader is tested on: pixels a side that are drawn, and what is then done to them."""
    random = torch.Generator().manual_seed(TESTING)

    def noisy(values: Tensor) -> Tensor:
        return (values + 0.1 * torch.randn(values.shape, generator=random)).clamp(-1, 1)

    return {
        "64 px": (64, lambda values: values),
        "48 px": (48, lambda values: values),
        "32 px": (32, lambda values: values),
        "128 px": (128, lambda values: values),
        "64 px, blurred by 1 px": (64, lambda values: blurred(values, 1.0)),
        "64 px, noise of 5% of the range": (64, noisy),
        "64 px, worn as in training": (64, lambda values: worn(values, random)),
    }


class Examined(NamedTuple):
    """The share read rightly, by attribute; and misreadings, "mouth frown as straight", with their counts."""

    accuracy: Mapping[str, float]
    misread: Counter[str]


def examine(network: Reader, size: int, wear: Wear, count: int = TESTED) -> Examined:
    """Reads renders of a seed of their own."""
    right, misread = dict.fromkeys(ATTRIBUTES, 0), Counter[str]()
    for start in range(0, count, 250):
        pictures, faces = drawn(TESTING, range(start, min(count, start + 250)), size)
        with torch.inference_mode():
            logits = by_attribute(network(wear(to_values(pictures))))
        for name, values in ATTRIBUTES.items():
            for face, index in zip(faces, logits[name].argmax(1).tolist(), strict=True):
                value = getattr(face, name)
                right[name] += value == values[index]
                if value != values[index]:
                    misread[f"{name} {value} as {values[index]}"] += 1
    return Examined({name: number / count for name, number in right.items()}, misread)


def card(facts: Mapping[str, object], examined: Mapping[str, Examined]) -> str:
    """The model card, Markdown."""
    rows = [
        f"| {name} | " + " | ".join(f"{100 * each.accuracy[name]:.2f}" for each in examined.values()) + " |"
        for name in ATTRIBUTES
    ]
    means = " | ".join(f"{100 * np.mean([*each.accuracy.values()]):.2f}" for each in examined.values())
    said = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    often = {
        name: [f"{what} ({n})" for what, n in each.misread.most_common(6)] for name, each in examined.items()
    }
    misread = "\n".join(f"- {name}: {'; '.join(whats) or 'nothing'}" for name, whats in often.items())
    return f"""\
# The reader of faces

Ten attributes of a cartoon face (`phosphene data faces`) from pixels: `phosphene.measures.attributes.read`.
Made by `python -m phosphene.measures.train_attributes`.

{said}

Right, in percent of {TESTED:,} renders of a seed of their own ({TESTING:#x});
100.00 means, with 95% confidence, wrong at most {300 / TESTED:.2f} times in a hundred:

| attribute | {" | ".join(examined)} |
|---|{"---:|" * len(examined)}
{chr(10).join(rows)}
| mean | {means} |

What was misread most often:

{misread}

It knows these faces only. On anything else its answers mean nothing, however sure they are.
"""


def write_card(network: Reader, path: Path, facts: Mapping[str, object]) -> str:
    """Examines a reader, writes its card and its figures beside its weights, and returns the card."""
    examined = {name: examine(network, size, wear) for name, (size, wear) in conditions().items()}
    text = card(facts, examined)
    files.write_atomic(path.with_suffix(".md"), text)
    figures = dict(facts) | {"accuracy": {name: each.accuracy for name, each in examined.items()}}
    files.write_atomic(path.with_suffix(".json"), json.dumps(figures, indent=1) + "\n")
    return text


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Trains the reader of faces.")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of {BATCH} pictures")
    parser.add_argument("--out", type=Path, default=WEIGHTS.parent, help="folder of weights and card")
    asked = parser.parse_args()
    began = time.process_time()
    network = train(asked.steps)
    seconds = time.process_time() - began
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / WEIGHTS.name
    write_tensors(path, state)
    network.load_state_dict(state)
    facts = {
        "weights": f"{path.name}, float16",
        "sha256": files.sha256(path),
        "parameters": f"{sum(each.numel() for each in network.parameters()):,}",
        "trained on": f"{asked.steps * BATCH:,} renders, each seen once, half of them worn",
        "seed": f"{TRAINING:#x}",
        "time": f"{seconds / 60:.0f} minutes of a core",
    }
    print(write_card(network, path, facts))


if __name__ == "__main__":
    main()
