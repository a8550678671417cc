"""What TensorBoard shows: the log's numbers and sheets as event files in RUN/log.

    tensorboard --logdir runs

Needs the extra `tensorboard`; without it nothing is written, which a run says once.
"""

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

MISSING = (
    "TensorBoard is not installed, so no events are written (pip install 'phosphene[tensorboard]'); "
    "log/metrics.jsonl has everything"
)
FLUSH = 10  # seconds until events are on disk


def missing() -> tuple[str, ...]:
    """What is to be said where TensorBoard is not installed."""
    return () if importlib.util.find_spec("tensorboard") else (MISSING,)


class Board:
    """The event files of a run, or nothing where there is no folder for them or TensorBoard is not installed.

    step: that the run goes on from; events of later steps, which a killed run wrote, are dropped.
    """

    def __init__(self, folder: Path | None, step: int = 0) -> None:
        self.writer = None
        if folder and not missing():
            from torch.utils.tensorboard.writer import SummaryWriter

            self.writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None, flush_secs=FLUSH)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars by name; what is not finite is left out."""
        if self.writer:
            for name, value in values.items():
                if math.isfinite(value):
                    self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image: Image.Image) -> None:
        if self.writer:
            self.writer.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        if self.writer:
            self.writer.close()
