"""Whether what is made of a name is nearest to the picture of that name: `python -m bench.quality.nearest RUN
data/emoji`.

For emoji, which no judge reads. Prompts are names of the set's held-out side, which training never had: pairs
of a concept and a skin tone, both of which it had apart. Each picture that is made is
compared with all held-out ones on the features of the shipped encoder, over white: how often the nearest has
the name that was asked for, how often its concept, its skin tone. Beside it what the commonest would reach.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

import phosphene
from bench.quality.text import among, shown
from bench.side_by_side import write
from phosphene.data.made.folder import read_made
from phosphene.families.generator import Generator
from phosphene.measures.features.shipped import shipped
from phosphene.measures.interval import Interval
from phosphene.pictures.fitting import to_mode
from phosphene.pictures.pixels import to_pillow
from phosphene.pictures.sheet import sheet

LOOKED_AT = 32  # pictures of the sheet, and as many real ones
FIELDS = {"its own name": "file_name", "its concept": "concept", "its skin tone": "skin_tone"}


def on_white(images: list[Image.Image]) -> UInt8[np.ndarray, "n 3 h w"]:
    return np.stack([np.asarray(to_mode(image, "RGB")).transpose(2, 0, 1) for image in images])


def nearest(made: UInt8[np.ndarray, "n 3 h w"], real: UInt8[np.ndarray, "m 3 h w"]) -> list[int]:
    """Of each picture that was made the number of the nearest real one."""
    encoder = shipped()
    ours, theirs = (torch.as_tensor(encoder(one)).double() for one in (made, real))
    return torch.cdist(ours, theirs).argmin(1).tolist()


class Share(NamedTuple):
    """How often the nearest real picture shares something with the one that was asked for, and how often the
    commonest real picture would."""

    right: Interval
    guessed: float


class Measured(NamedTuple):
    """asked: numbers of the real pictures whose names were prompts. shares: by what is shared."""

    asked: list[int]
    made: list[Image.Image]
    real: list[Image.Image]
    shares: Mapping[str, Share]

    @property
    def among(self) -> int:
        return len(self.real)


def measure(generator: Generator, folder: Path, count: int, seed: int) -> Measured:
    """Of at most so many names of the set's held-out side, at even distances. ValueError for another set."""
    if (read_made(folder) or {}).get("set") != "emoji":
        raise ValueError(f"{folder}: not a set of emoji (phosphene data emoji)")
    place = folder / "held-out"
    rows = [json.loads(line) for line in (place / "metadata.jsonl").read_text("utf-8").splitlines()]
    size = (generator.size, generator.size)
    real = [Image.open(place / row["file_name"]).convert("RGBA").resize(size) for row in rows]
    count = min(count, len(rows))
    asked = [i * len(rows) // count for i in range(count)]
    made = to_pillow(generator.sample(count, prompt=[rows[i]["text"] for i in asked], seed=seed).values)
    found = nearest(on_white(made), on_white(real))
    shares = dict[str, Share]()
    for what, field in FIELDS.items():
        values = [row[field] for row in rows]
        right = [values[i] == values[j] for i, j in zip(asked, found, strict=True)]
        shares[what] = Share(among(right), Counter(values).most_common(1)[0][1] / len(rows))
    return Measured(asked, made, real, shares)


def table(
    generator: Generator, folder: Path, count: int, name: str, seed: int = 1, look: Path | None = None
) -> Measured:
    """What was found, also kept in bench/results. look: of a sheet, made and real side by side."""
    found = measure(generator, folder, count, seed)
    if look is not None:
        both = zip(found.made, (found.real[i] for i in found.asked), strict=True)
        sheet([image for pair in list(both)[:LOOKED_AT] for image in pair], 8).save(look)
    shares = found.shares.values()
    write(
        name,
        f"What is made of names it never had: {folder.name} at {generator.size} pixels",
        {"prompts": len(found.asked), "seed": seed, "model": generator.model.fingerprint[:16]},
        ["the nearest has", *(f"{what}, %" for what in found.shares)],
        [
            ["made", *(shown(one.right) for one in shares)],
            ["the commonest picture", *(f"{100 * one.guessed:.1f}" for one in shares)],
        ],
        [f"Of {found.among} held-out pictures. In brackets: 95% intervals."],
        device=generator.device.type,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("set", type=Path)
    parser.add_argument("-n", "--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--look", type=Path, help="write a sheet here: made and real side by side")
    options = parser.parse_args()
    generator = phosphene.load(options.run, options.device)
    name = f"nearest_{Path(options.run).name}"
    table(generator, options.set, options.count, name, options.seed, options.look)


if __name__ == "__main__":
    main()
