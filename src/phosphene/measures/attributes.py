"""Reads the ten attributes of faces back from pixels, with a small network trained on renders.

How it was trained and how often it is right stands in weights/attributes.md, its card; `python -m
phosphene.measures.train_attributes` makes both again. It reads what is drawn, not what is asked for, so the
share of pictures that show what their captions claim is a figure of the generator, up to the reader's errors.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, UInt8
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from phosphene import files
from phosphene.data.made.faces.attributes import ATTRIBUTES, Face
from phosphene.pictures.pixels import to_values

WEIGHTS = Path(__file__).with_name("weights") / "attributes.safetensors"
SIDE = 64  # pixels a side that the network sees
SMALLEST = 16


class Readings(NamedTuple):
    """What was read in n pictures: for each attribute the probabilities (n, values) in ATTRIBUTES' order."""

    probabilities: Mapping[str, Float32[Tensor, "n values"]]

    def values(self, name: str) -> list[str]:
        """The likeliest value of an attribute in each picture."""
        return [ATTRIBUTES[name][index] for index in self.probabilities[name].argmax(1).tolist()]

    def faces(self) -> list[Face]:
        """The likeliest face in each picture."""
        return [Face(*face) for face in zip(*(self.values(name) for name in ATTRIBUTES), strict=True)]


class Agreement(NamedTuple):
    """How often a claim was read as claimed: over all claims, by attribute (only those claimed at all), and
    the share of pictures of which something is claimed that show all of it."""

    share: float
    by_attribute: Mapping[str, float]
    whole: float
    claims: int


def read(pictures: UInt8[Tensor, "n 3 h w"], *, batch: int = 256) -> Readings:
    """Reads pictures of faces, RGB bytes, of any size from 16 pixels; others than 64 are resized to it.

    Raises ValueError for smaller ones.
    """
    if min(pictures.shape[-2:]) < SMALLEST:
        raise ValueError(f"pictures of {tuple(pictures.shape[-2:])} pixels: give at least {SMALLEST} a side")
    network = load()
    with torch.inference_mode():
        logits = [network(to_values(some)) for some in pictures.split(batch)]
    logits = torch.cat(logits) if logits else torch.empty(0, WIDTH)
    return Readings({name: part.softmax(1) for name, part in by_attribute(logits).items()})


def agreement(readings: Readings, claims: Sequence[Mapping[str, str]]) -> Agreement:
    """Compares what was read with what each picture should show: values of some or all attributes, as
    `faces.caption.claims` reads them from a caption.

    Raises ValueError if a claim names no attribute or value, or if there is none at all.
    """
    rows = {name: readings.values(name) for name in ATTRIBUTES}
    right: dict[str, list[bool]] = {name: [] for name in ATTRIBUTES}
    whole = []
    for row, claim in enumerate(claims):
        for name, value in claim.items():
            if value not in ATTRIBUTES.get(name, ()):
                raise ValueError(f"claim {name}={value!r}: attributes and values stand in faces.ATTRIBUTES")
            right[name].append(rows[name][row] == value)
        if claim:
            whole.append(all(rows[name][row] == value for name, value in claim.items()))
    by_attribute = {name: sum(each) / len(each) for name, each in right.items() if each}
    count = sum(map(len, right.values()))
    if not count:
        raise ValueError("claims: none; give at least one value of one attribute")
    return Agreement(sum(map(sum, right.values())) / count, by_attribute, sum(whole) / len(whole), count)


@cache
def load() -> "Reader":
    """The reader that is shipped."""
    network = Reader()
    network.load_state_dict(load_file(WEIGHTS))
    return network.eval().requires_grad_(False)


def name() -> str:
    """What figures that rest on the reader call it: its weights' hash is part of the name."""
    return f"face-reader-{files.sha256(WEIGHTS)[:8]}"


def accuracy(condition: str = "64 px") -> Mapping[str, float]:
    """How often the reader is right on fresh renders, by attribute, as its card states it."""
    return json.loads(WEIGHTS.with_suffix(".json").read_text("utf-8"))["accuracy"][condition]


WIDTH = sum(map(len, ATTRIBUTES.values()))


def by_attribute(logits: Float[Tensor, "n width"]) -> dict[str, Float[Tensor, "n values"]]:
    """The part of the logits that belongs to each attribute."""
    parts = logits.split([len(values) for values in ATTRIBUTES.values()], dim=1)
    return dict(zip(ATTRIBUTES, parts, strict=True))


class Reader(nn.Module):
    """Convolutions down to 8x8, where every attribute looks at all places: faces are aligned, so places
    tell."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False),
            Residual(2 * width),
            Residual(2 * width),
            nn.Conv2d(2 * width, 3 * width, 3, 2, 1, bias=False),
            Residual(3 * width),
            nn.Conv2d(3 * width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
        )
        self.head = nn.Linear(width * (SIDE // 8) ** 2, WIDTH)

    def forward(self, values: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n width"]:
        """Logits of all attributes' values in turn, from values in [-1, 1]."""
        if values.shape[-2:] != (SIDE, SIDE):
            values = interpolate(values, (SIDE, SIDE), mode="bilinear", antialias=True)
        return self.head(self.body(values).flatten(1))


class Residual(nn.Module):
    """x + f(norm(x)) with one convolution (the order of He et al. 2016b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(width), nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1, bias=False)
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.branch(x)
