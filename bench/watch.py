"""What the watch of a run says: faults put into real runs, and healthy runs: `python -m bench.watch`.

Each run trains for some seconds through `training.train.fit`, measures itself and is watched, as any run is.
A fault is put into the trainer's parts (its loader, a layer, its settings), not into what the watch is told.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from bench.side_by_side import write
from phosphene.data.cache import prepare
from phosphene.data.dataset import Dataset
from phosphene.data.sources import find
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed
from phosphene.training.folder import create
from phosphene.training.measurement import Measurement
from phosphene.training.progress import Diverged
from phosphene.training.scale import LossScale
from phosphene.training.train import Watcher, build, fit
from phosphene.training.trainer import Trainer
from phosphene.training.watch.finding import Finding
from phosphene.training.workers import Workers

UNET = {
    "network.width": 16,
    "network.multipliers": [1, 2],
    "network.blocks": 1,
    "network.attention": [4],
    "network.head_width": 16,
}
TRANSFORMER = {"network.width": 64, "network.depth": 3, "network.head_width": 32}
PACE = {"training.warmup": 20, "training.learning_rate": 2e-3, "training.batch": 32}
ADAMW = {"training.optimizer": "adamw", "training.learning_rate": 3e-3}
MEASURED = {
    "training.measure_share": 0.3,
    "training.validate_every": 0.5,
    "training.measure_pictures": 64,
    "training.measure_steps": 8,
}
OFTEN = {"training.measure_share": 0.5, "training.validate_every": 0.2}
FAULT_AT = 64  # steps
COLUMNS = (
    "run",
    "to be named",
    "outcome",
    "after steps",
    "also named",
    "steps",
    "seconds",
    "watch, % of time",
)
Inject = Callable[[Trainer], None]


@dataclass(frozen=True)
class Case:
    """A run. expected: what the watch is to say of it; None for a healthy one. at: the step of the fault."""

    name: str
    recipe: str = "flow"
    data: str = "digits"
    steps: int = 176
    settings: Mapping[str, Any] = field(default_factory=dict)
    expected: str | None = None
    inject: Inject = lambda trainer: None
    at: int = 0


def loads(change: Callable[[Trainer, int, torch.Tensor], torch.Tensor]) -> Inject:
    """The loader hands out other values from FAULT_AT on."""

    def inject(trainer: Trainer) -> None:
        batch = trainer.loader.batch

        def broken(step: int):
            rows = batch(step)
            return rows if step < FAULT_AT else rows._replace(values=change(trainer, step, rows.values))

        trainer.loader.batch = broken  # type: ignore[method-assign]

    return inject


def stuck(trainer: Trainer) -> None:
    """The loader is asked for one step again and again."""
    batch = trainer.loader.batch
    trainer.loader.batch = lambda step: batch(min(step, FAULT_AT))  # type: ignore[method-assign]


def slow(trainer: Trainer) -> None:
    """A disk that takes as long as the step."""
    batch = trainer.loader.batch

    def broken(step: int):
        if step >= FAULT_AT:
            time.sleep(0.05)
        return batch(step)

    trainer.loader.batch = broken  # type: ignore[method-assign]


def breaks(trainer: Trainer) -> None:
    """One layer divides by zero."""
    layer = dict(trainer.network.named_modules())["middle.1.block.skip"]

    def divided(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output / 0.0 if trainer.step >= FAULT_AT else output

    layer.register_forward_hook(divided)


def overflows(trainer: Trainer) -> None:
    """A loss whose scale is beyond float32, as one of 2^16 is beyond float16 for a network that overflows."""
    trainer.scale = LossScale(2.0**145)


def explodes(trainer: Trainer) -> None:
    """A layer whose backward pass is a thousand times too large."""
    for weight in trainer.network.enter.parameters():  # type: ignore[union-attr]
        weight.register_hook(lambda g: g * 1e4 if trainer.step >= FAULT_AT else g)


def vanishes(trainer: Trainer) -> None:
    """What comes back to the first stage is as good as nothing, as behind a saturated layer."""
    for weight in trainer.network.down[0].parameters():  # type: ignore[index,union-attr]
        weight.register_hook(lambda g: g * 1e-9 if trainer.step >= FAULT_AT else g)


def dies(trainer: Trainer) -> None:
    """Half of a layer's units answer nothing, as rectifiers below zero do."""
    layer = dict(trainer.network.named_modules())["down.0.layers.0.block.first"]
    alive = (torch.arange(16) % 2).view(1, -1, 1, 1)

    def half(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output * alive if trainer.step >= FAULT_AT else output

    layer.register_forward_hook(half)


def answers(change: Callable[[Trainer, torch.Tensor], torch.Tensor]) -> Inject:
    """The averaged network's samples are changed."""

    def inject(trainer: Trainer) -> None:
        forward = trainer.shadow.network.forward

        def broken(x: torch.Tensor, noise: torch.Tensor, condition: object) -> torch.Tensor:
            return change(trainer, forward(x, noise, condition))

        trainer.shadow.network.forward = broken  # type: ignore[method-assign]

    return inject


def one_picture(trainer: Trainer) -> None:
    """All noise leads to what the first row's leads to."""
    denoise = Measurement.denoise
    trainer.undo = lambda: setattr(Measurement, "denoise", denoise)  # type: ignore[attr-defined]

    def broken(self: Measurement, x: torch.Tensor, level: Any, condition: Any) -> torch.Tensor:
        x0 = denoise(self, x, level, condition)
        return 0.1 * x0 + 0.9 * x0[:1]

    Measurement.denoise = broken  # type: ignore[method-assign]


def faults() -> list[Case]:
    return [
        Case("a layer divides by zero", expected="nan", inject=breaks, at=FAULT_AT),
        Case("the loss's scale is far too large", expected="fp16-overflow", inject=overflows, steps=48),
        Case("backward 10,000 times too large", expected="exploding-gradients", inject=explodes, at=FAULT_AT),
        Case("backward 1e-9 of itself", expected="vanishing-gradients", inject=vanishes, at=FAULT_AT),
        Case("half of a layer answers 0", expected="dead-units", inject=dies, at=FAULT_AT),
        Case(
            "an average over the whole run",
            "transformer",
            settings={**ADAMW, "training.ema": [0.28], "training.learning_rate": 1e-3, **OFTEN},
            expected="ema-lag",
        ),
        Case(
            "samples too bright",
            expected="colour-drift",
            settings=OFTEN,
            inject=answers(lambda trainer, said: said - min(1.0, trainer.step / 100)),
        ),
        Case("samples all alike", settings=OFTEN, expected="mode-collapse", inject=one_picture),
        Case(
            "28 pictures",
            data="few digits",
            steps=200,
            settings={"data.held_out": 0.3, "training.batch": 24, **ADAMW, **OFTEN},
            expected="memorisation",
        ),
        Case("one batch again and again", expected="same-batch", inject=stuck, at=FAULT_AT, steps=96),
        Case(
            "black pictures",
            expected="constant-pictures",
            inject=loads(lambda _t, _s, values: torch.full_like(values, -255 / 256)),
            at=FAULT_AT,
        ),
        Case("a slow disk", expected="waiting-for-data", inject=slow, at=FAULT_AT),
        Case(
            "values in 0..255",
            expected="value-range",
            inject=loads(lambda _t, _s, values: (256 * values + 255) / 2),
            at=FAULT_AT,
        ),
        Case(
            "values in 0..1",
            expected="value-range",
            inject=loads(lambda _t, _s, values: (values + 1) / 2),
            at=FAULT_AT,
        ),
        Case(
            "learning rate times 250",
            settings={"training.learning_rate": 0.5},
            expected="learning-rate-high",
            steps=96,
        ),
        Case(
            "learning rate over 1,000",
            settings={"training.learning_rate": 2e-6},
            expected="learning-rate-low",
            steps=96,
        ),
    ]


def healthy() -> list[Case]:
    return [
        Case("flow, Muon"),
        Case("flow, AdamW, batch 64", settings={**ADAMW, "training.batch": 64}, steps=160),
        Case("ddpm", "ddpm", settings={"training.learning_rate": 1e-3}),
        Case("edm, augmented", "edm"),
        Case("v", "v"),
        Case("transformer", "transformer", settings={"training.learning_rate": 1e-3}),
        Case("flow, 16 pixels, colour", data="crops 16", steps=160),
        Case("edm, colour, AdamW", "edm", data="crops 8", settings={"training.learning_rate": 1e-3}),
        Case(
            "v, colour, flips, batch 16",
            "v",
            data="crops 8",
            settings={"training.batch": 16, "data.flip": True},
        ),
        Case(
            "flow, 25 s, dropout",
            settings={"training.budget": 25.0, "training.images": None, "network.dropout": 0.1},
        ),
    ]


class Heard(Watcher):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def found(self, finding: Finding) -> None:
        self.findings.append(finding)


def crops(place: Path, size: int) -> Dataset:
    """Of the photographs that scikit-learn brings along."""
    from sklearn.datasets import load_sample_images

    folder = place / f"crops-{size}"
    folder.mkdir()
    rng = np.random.default_rng(0)
    photographs = load_sample_images().images
    for i in range(800):
        picture = photographs[i % len(photographs)]
        y, x = (rng.integers(0, side - 64) for side in picture.shape[:2])
        Image.fromarray(picture[y : y + 64, x : x + 64]).resize((size, size)).save(folder / f"{i:04}.png")
    return prepare(find(str(folder)), size)


def few(data: Dataset) -> Dataset:
    """Forty pictures of a set."""
    assert data.labels is not None
    return dataclasses.replace(
        data, pictures=data.pictures[:40], labels=data.labels[:40], names=data.names[:40]
    )


class Cost:
    """Seconds that the watch takes of a run."""

    def __init__(self, trainer: Trainer) -> None:
        self.seconds = 0.0
        trainer.watch.see = self.timed(trainer.watch.see)  # type: ignore[method-assign]
        for name in ("before", "after"):
            setattr(trainer.probe, name, self.timed(getattr(trainer.probe, name)))

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            start = time.perf_counter()
            result = function(*given)
            self.seconds += time.perf_counter() - start
            return result

        return run


def run(case: Case, data: Dataset, place: Path, seed: int) -> tuple[list[Finding], float, float, int]:
    """What the watch said; the share of time that it took; seconds and steps."""
    network = TRANSFORMER if case.recipe == "transformer" else UNET
    settings = {
        "data.size": data.size,
        "data.source": "digits",
        **network,
        **PACE,
        **MEASURED,
        "training.seed": seed,
        **({} if case.expected is None else ADAMW),
        "training.images": case.steps * case.settings.get("training.batch", PACE["training.batch"]),
        **case.settings,
    }
    recipe = changed(RECIPES[case.recipe], settings)
    trainer, heard = build(recipe, data, torch.device("cpu"), Workers()), Heard()
    cost = Cost(trainer)
    case.inject(trainer)
    try:
        fit(trainer, create(place, recipe, False), heard)
    except Diverged as error:
        heard.findings.append(error.finding)
    finally:
        getattr(trainer, "undo", lambda: None)()
    return heard.findings, cost.seconds / trainer.elapsed, trainer.elapsed, trainer.step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a part of a name; writes no table")
    parser.add_argument("--healthy", action="store_true", help="those only; writes no table")
    arguments = parser.parse_args()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        digits = prepare(find("digits"))
        sets = {
            "digits": digits,
            "few digits": few(digits),
            "crops 8": crops(place, 8),
            "crops 16": crops(place, 16),
        }
        cases = healthy() if arguments.healthy else [*faults(), *healthy()]
        chosen = [case for case in cases if arguments.only in case.name]
        for number, case in enumerate(chosen):
            seed = 100 * arguments.seed + number
            rows.append(row(case, *run(case, sets[case.data], place / f"{number}", seed)))
            print(*rows[-1], sep=" | ", flush=True)
    if not arguments.only and not arguments.healthy:
        table(rows, arguments.seed)


def row(case: Case, said: list[Finding], share: float, seconds: float, steps: int) -> list[object]:
    """A line of the table."""
    for finding in said:
        print("   ", finding.step, finding.words, flush=True)
    right = [finding for finding in said if finding.kind == case.expected]
    of_fault, of_healthy = "named" if right else "MISSED", "FALSE ALARM" if said else "silent"
    others = [f"{finding.kind} ({finding.step})" for finding in said if finding.kind != case.expected]
    return [
        f"{case.recipe}, {case.data}: {case.name}",
        case.expected or "nothing",
        of_fault if case.expected else of_healthy,
        right[0].step - case.at if right else "",
        ", ".join(others),
        steps,
        f"{seconds:.0f}",
        f"{100 * share:.2f}",
    ]


def table(rows: list[list[object]], seed: int) -> None:
    faulty = [row for row in rows if row[1] != "nothing"]
    kinds = {row[1] for row in faulty}
    missed = {row[1] for row in faulty if row[2] == "MISSED"}
    alarms = sum(row[2] == "FALSE ALARM" for row in rows)
    write(
        "watch",
        "What the watch says of runs with a fault put in, and of healthy ones",
        {"seed": seed, "network": "16 channels in two levels, or a transformer of 3 layers"},
        COLUMNS,
        rows,
        [
            f"{len(kinds - missed)} of {len(kinds)} kinds of faults named; "
            f"{alarms} false alarms on {len(rows) - len(faulty)} healthy runs.",
            "After steps: from the step where the fault began. Also named: what the fault brings along.",
            "Runs measured themselves for at most 30% of their time, so that short ones get enough looks.",
        ],
    )


if __name__ == "__main__":
    main()
