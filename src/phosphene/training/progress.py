"""What a run under way reports, and how it ends where it cannot go on."""

from typing import NamedTuple

from phosphene.training.watch.finding import Finding


class Diverged(ValueError):
    """The loss or the gradient is no longer a finite number. finding: the same for the log."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.what}; {finding.advice}")
        self.finding = finding


class Progress(NamedTuple):
    """A run under way. loss: a mean over the steps since the last report. left: seconds, None if unknown.

    waiting: the share of the steps' time since then in which they waited for data.
    """

    step: int
    total: int | None
    images: int
    loss: float
    gradient: float
    rate: float
    images_per_second: float
    elapsed: float
    left: float | None
    waiting: float
