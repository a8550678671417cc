"""A run that was measured as often as could be, and its figures by hand."""

from pathlib import Path
from typing import Any

import torch

import phosphene
from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.measures.colour import colour
from phosphene.measures.diversity import diversity
from phosphene.measures.features.fixed import normalised_pixels, random_convolutions
from phosphene.measures.kernel import kernel_distance
from phosphene.measures.memorisation import memorisation, views
from phosphene.pictures.pixels import to_bytes
from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import Recipe, changed, parse_assignment
from phosphene.training import metrics
from phosphene.training.measurement import REAL, ROWS, SEARCHED
from phosphene.training.trainer import evenly
from tests.conftest import SMALL

OFTEN = ("training.measure_share=0.9", "training.validate_every=0.01", "training.measure_pictures=40")
BATCH, STEPS = 32, 24


def recipe(*assignments: str, **settings: Any) -> Recipe:
    fixed = {"data.source": "digits", "data.held_out": 0.1, "training.batch": BATCH}
    fixed |= {"training.images": STEPS * BATCH, "training.checkpoint": 0.2, "training.precision": "fp32"}
    values = dict(map(parse_assignment, (*SMALL, *OFTEN, *assignments)))
    return changed(FLOW, fixed | values | {f"training.{name}": value for name, value in settings.items()})


def measured(run: Path) -> list[dict[str, Any]]:
    return [line for line in metrics.read(run / "log" / "metrics.jsonl") if "measured" in line]


def by_hand(run: Path, best: bool = False) -> tuple[dict[str, float], torch.Tensor]:
    """The figures of a run's model, through public calls."""
    data = prepare(find("digits"))
    training, held_out = data.split(0.1, 0)
    beside = evenly(training, 40)
    assert data.labels is not None
    made = phosphene.load(run, best=best, precision="fp32").sample(
        40,
        seed=0,
        label=[int(label) for label in data.labels[beside]],
        solver="dpmpp_2m",
        steps=8,
        guidance=1.0,
        batch=ROWS,
    )
    bytes_ = to_bytes(made.values)
    real, copies = random_convolutions(), normalised_pixels(8)
    features = real(bytes_)
    beside_features = real(data.pictures[beside])
    known = real(data.pictures[evenly(training, REAL)])
    unknown = real(data.pictures[evenly(held_out, REAL)])
    found: dict[str, float] = {}
    for name, interval in (
        (f"kd_{real.name}", kernel_distance(features, known, draws=200)),
        (f"kd_held_out_{real.name}", kernel_distance(features, unknown, draws=200)),
    ):
        found |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    drifts = colour(bytes_, data.pictures[beside])
    found |= {f"colour_{each.quantity.replace(' ', '_')}": each.difference.value for each in drifts}
    found["colour_drift"] = max(abs(each.errors) for each in drifts)
    diverse = diversity(features, beside_features)
    found |= {f"spread_{real.name}": diverse.spread.value, f"vendi_{real.name}": diverse.vendi.value}
    small = copies(data.pictures[evenly(training, SEARCHED)])
    judged = memorisation(views(bytes_, copies), small, views(data.pictures[held_out], copies))
    found |= {"copied": judged.share.value, "copied_by_chance": judged.null.value}
    return found, made.values
