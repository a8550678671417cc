"""What is measured of a run that trains a CLIP.

    held-out loss    of the averaged weights, all held-out pictures as one batch
    retrieval@1      among them: the text of a picture, a picture of a text; same captions are all right

As many pictures are always compared, so that figures of one run can be. The model with the lowest held-out
loss is kept as the best.
"""

from collections.abc import Generator

import numpy as np
import torch

from phosphene.families.contrast import Contrast, Retrieval, retrieval, siglip, together
from phosphene.families.device import computing_in
from phosphene.networks.clip import ClipNetwork, Pair
from phosphene.training.board import Board
from phosphene.training.folder import RunFolder
from phosphene.training.measuring import Parts, Pieces, Seconds
from phosphene.training.metrics import append
from phosphene.training.saving import best, save_best
from phosphene.training.share import HELD_OUT
from phosphene.training.trainer import Trainer, evenly

PICTURES = 256  # held-out ones that are compared
ROWS = 64  # pictures a piece
LOSS = "held_out_loss"


class ContrastMeasurement:
    """What a run of a CLIP is measured by, in the place of `measurement.Measurement`."""

    def __init__(self, trainer: Trainer[Contrast], folder: RunFolder, board: Board) -> None:
        self.trainer, self.folder, self.board = trainer, folder, board
        self.count = 0

    @property
    def asked(self) -> tuple[int, int]:
        """How many answers of the network the longest piece takes, and all pieces."""
        count = min(len(self.trainer.held_out), PICTURES)
        return min(count, ROWS), count

    def pieces(self, parts: Parts, took: Seconds) -> Pieces:
        """One measurement, of one part only."""
        trainer = self.trainer
        if not len(trainer.held_out):
            return
        yield HELD_OUT
        step = trainer.step
        trainer.shadow.network.load_state_dict(trainer.averaged())
        loss, found = yield from held_out(trainer)
        if not found.among:
            return  # no caption among them
        figures = {LOSS: loss, "retrieval_text": found.text, "retrieval_picture": found.picture}
        former = best(self.folder)
        better = former is None or LOSS not in former[1] or loss < former[1][LOSS]
        if better:
            yield "best model"
            save_best(trainer, self.folder, step, figures)
        line = {"step": step, **figures, "retrieval_among": found.among, "best": better}
        append(self.folder.metrics, line)
        self.board.numbers(step, figures)
        self.count += 1


@torch.no_grad()
def held_out(trainer: Trainer[Contrast]) -> Generator[str, None, tuple[float, Retrieval]]:
    """The loss of the averaged weights on held-out pictures, which meet all texts of one another, and how
    well these are told apart."""
    network = trainer.shadow.network
    assert isinstance(network, ClipNetwork)
    numbers = evenly(trainer.held_out, PICTURES)
    whole = trainer.held_out_batch(numbers)
    parts = []
    for start in range(0, len(numbers), ROWS):
        if start:
            yield HELD_OUT
        batch = trainer.part(whole, slice(start, start + ROWS))
        with computing_in(trainer.precision.name, trainer.device):
            parts.append(network(batch.x0, batch.condition))
    pair, belongs = (
        Pair(*(torch.cat(column) for column in zip(*parts, strict=True))),
        together(whole.condition),
    )
    losses = siglip(pair, network.sharpness, network.bias, belongs)
    return float(np.mean(losses.double().cpu().numpy())), retrieval(pair, belongs)
