"""The loss of the averaged weights on held-out pictures, by noise level, under fixed noise; and, by fewer
pictures, that of the live weights there, and that of the averaged ones on training pictures.
"""

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from phosphene.diffusion.level import Level
from phosphene.families.diffusion import Diffusion, losses_by_picture, quantile_levels
from phosphene.training.share import HELD_OUT
from phosphene.training.trainer import Trainer, evenly
from phosphene.training.watch.observation import Observation, held_out

LEVELS, PICTURES = 8, 256
COMPARED = 64  # of them also shown to the live weights, and as many training pictures to the averaged ones
ROWS = 32  # pictures a piece


def asked(trainer: Trainer[Diffusion]) -> tuple[int, int]:
    """How many answers of the network the longest piece takes, and all pieces."""
    held_out, training = len(trainer.held_out), len(trainer.loader.indices)
    live = LEVELS * min(held_out, COMPARED)
    return live, live + LEVELS * (min(held_out, PICTURES) + min(training, COMPARED))


@torch.no_grad()
def held_out_loss(trainer: Trainer[Diffusion]) -> Generator[str, None, dict[str, Any]]:
    """Pieces of a measurement; the line of the log comes of them. The run's watch hears of it too."""
    yield HELD_OUT
    # The live weights in one piece with the copy of the averaged ones: both are of this step.
    step = trainer.step
    trainer.shadow.network.load_state_dict(trainer.averaged())
    levels = quantile_levels(trainer.family, LEVELS)
    chosen = evenly(trainer.held_out, PICTURES)
    few = evenly(np.arange(len(chosen)), COMPARED)
    trainer.network.eval()
    live = losses(trainer, trainer.family, chosen[few], levels)
    everything = yield from in_pieces(trainer, chosen, levels)
    training = yield from in_pieces(trainer, evenly(trainer.loader.indices, COMPARED), levels)
    ratios = tuple(levels.ratio.tolist())
    told = held_out(ratios, everything, everything[:, torch.from_numpy(few)], live, training)
    trainer.watch.see(Observation(step, held_out=told))
    return {
        "step": step,
        "held_out_loss": float(everything.mean()),
        "held_out_by_level": everything.mean(1).tolist(),
        "levels": list(ratios),
        "live_by_level": live.mean(1).tolist(),
        "training_by_level": training.mean(1).tolist(),
    }


def in_pieces(
    trainer: Trainer[Diffusion], numbers: Int64[np.ndarray, " n"], levels: Level
) -> Generator[str, None, Float[Tensor, "levels n"]]:
    """The averaged weights' losses on these pictures."""
    parts = []
    for start in range(0, len(numbers), ROWS):
        yield HELD_OUT
        parts.append(losses(trainer, trainer.shadow, numbers[start : start + ROWS], levels))
    return torch.cat(parts, dim=1)


def losses(
    trainer: Trainer[Diffusion], family: Diffusion, numbers: Int64[np.ndarray, " n"], levels: Level
) -> Float[Tensor, "levels n"]:
    """Of these pictures, at each of these levels."""
    batches = [
        trainer.held_out_batch(numbers[start : start + ROWS]) for start in range(0, len(numbers), ROWS)
    ]
    return losses_by_picture(family, batches, levels)
