"""Which length the average of the weights should have: found after training, from what checkpoints hold.

The stored averages are combined to lengths that were not tracked (training.ema: reconstruct), each makes the
same pictures from the same noise, and their kernel distances are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from phosphene.families.asked import Asked
from phosphene.families.device import choose_device
from phosphene.measures.interval import Interval
from phosphene.recipes.settings import changed
from phosphene.training import checkpoint, figures, saving
from phosphene.training.board import Board
from phosphene.training.ema import Profile, combine, mismatch, reconstruct
from phosphene.training.folder import RunFolder
from phosphene.training.measurement import SOLVER, Measurement
from phosphene.training.measuring import finished
from phosphene.training.train import Watcher, build, prepare_data, restore
from phosphene.training.trainer import Trainer
from phosphene.training.workers import Workers

LENGTHS = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2)
NEAR = 0.2  # of a profile's norm: what a reconstruction may miss of it


@dataclass(frozen=True)
class Length:
    """An average of the weights. distance: the kernel distance of its pictures. mismatch: how much of the
    wanted profile the stored averages could not give, 0 for one that was tracked."""

    length: float
    distance: Interval
    mismatch: float


@dataclass(frozen=True)
class Chosen:
    """figure: what was compared, by its name. lengths: all that were measured. step: of the weights.

    pictures, solver, steps: how each was asked. shipped: whether the best is now what the model folder holds.
    """

    folder: RunFolder
    figure: str
    lengths: tuple[Length, ...]
    step: int
    pictures: int
    solver: str
    steps: int
    shipped: bool

    @property
    def best(self) -> Length:
        return min(self.lengths, key=lambda one: one.distance.value)

    @property
    def tied(self) -> tuple[float, ...]:
        """Lengths that are as good as the best, as far as so many pictures can tell."""
        best = self.best
        return tuple(
            one.length for one in self.lengths if one != best and one.distance.value <= best.distance.high
        )


def choose_ema(
    root: Path | str,
    lengths: Sequence[float] | None = None,
    pictures: int = 256,
    steps: int = 16,
    ship: bool = False,
    device: str = "auto",
) -> Chosen:
    """Measures lengths of the averages of a run's last weights.

    lengths: those of LENGTHS that the stored averages can give, and those that were tracked, if None.
    pictures, steps: made for each, in how many solver steps. ship: the model folder gets the best one.
    Raises ValueError for a run without checkpoints, and for a length that the stored averages cannot give.
    """
    folder = RunFolder(Path(root))
    changes = {
        "training.measure_pictures": pictures,
        "training.measure_steps": Asked(SOLVER, steps, "trailing").steps,
    }
    recipe = changed(folder.read_recipe(), changes)
    if not checkpoint.any_in(folder.state):
        raise ValueError(
            f"{folder.root}: no checkpoint was written yet; go on with it: train --resume {root}"
        )
    recipe.refuse_clip("ema: the lengths are compared by what they make")
    trainer = build(recipe, prepare_data(recipe, Watcher()), choose_device(device), Workers())
    restore(trainer, folder.state, keep_total=True)
    stored = averages(trainer, folder)
    if lengths is None:
        tracked = recipe.training.ema
        lengths = sorted(
            {one for one in (*LENGTHS, *tracked) if one in tracked or missed(trainer, stored, one) <= NEAR}
        )
    for length in lengths:
        if missed(trainer, stored, length) > NEAR:
            raise ValueError(
                f"ema length {length}: the run's averages (of lengths "
                f"{', '.join(map(str, recipe.training.ema))}) cannot be combined to it; try one nearer"
            )
    measurement = Measurement(trainer, folder, Board(None))
    measurement.known = known = finished(measurement.knowing())
    real = known.held_out if figures.criterion(known).startswith("kd_held_out") else known.training
    found = []
    for length in lengths:
        trainer.shadow.network.load_state_dict(weights(trainer, stored, length))
        made = finished(measurement.made(finished(measurement.sampling())))
        found.append(Length(length, figures.distance(made.features, real), missed(trainer, stored, length)))
    chosen = Chosen(
        folder, figures.criterion(known), tuple(found), trainer.step, pictures, SOLVER, steps, ship
    )
    if ship:
        put(trainer, chosen, weights(trainer, stored, chosen.best.length))
    return chosen


Stored = dict[Profile, dict[str, Tensor]]


def averages(trainer: Trainer, folder: RunFolder) -> Stored:
    """Every average that the run's checkpoints hold."""
    found: Stored = {}
    for loaded in checkpoint.every(folder.state, []):
        for length in trainer.recipe.training.ema:
            prefix = f"ema/{length}/"
            found[Profile(loaded.step, length)] = {
                name.removeprefix(prefix): value.to(trainer.device)
                for name, value in loaded.tensors.items()
                if name.startswith(prefix)
            }
    return found


def missed(trainer: Trainer, stored: Stored, length: float) -> float:
    return mismatch([*stored], Profile(trainer.step, length))


def weights(trainer: Trainer, stored: Stored, length: float) -> dict[str, Tensor]:
    """A state_dict of the network with the average of this length; one that was tracked as it stands."""
    wanted = Profile(trainer.step, length)
    if wanted in stored:
        return trainer.averages.weights(length)
    factors = reconstruct([*stored], wanted)
    return trainer.network.state_dict() | combine(factors, [*stored.values()])


def put(trainer: Trainer, chosen: Chosen, shipped: dict[str, Tensor]) -> None:
    """The model folder with these weights first, and the tracked averages of other lengths."""
    best = chosen.best
    others = {one: trainer.averages.weights(one) for one in trainer.recipe.training.ema if one != best.length}
    said = saving.header(trainer, trainer.step, {chosen.figure: best.distance.value})
    said = said.model_copy(update={"ema": (best.length, *others)})
    saving.write(trainer, chosen.folder.model, said, shipped, others)
