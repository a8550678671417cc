"""How long a run is: a number of steps, or a time to spend.

A budget counts every second from the first step to the written model. It becomes a number of steps late:
when the share of time before the learning rate's decay is spent, the recent pace says how many steps fill the
rest, less what checkpoints and measuring will take on the way and at the end. From then on the run is like
any other, so that the decay ends where the run ends; only if the machine's pace changes so much that the run
would end more than SLACK away from its budget is the number set anew.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median_low

from phosphene.training.share import Share

CHECKPOINT = "checkpoint"
RECENT = 100  # steps that the pace is measured on
REHEARSAL = 0.5  # share of a budget after which it is seen what a checkpoint and a measurement take
SLACK = 0.05  # of the budget


@dataclass
class Horizon:
    """total: steps of the whole run, once known. budget: seconds, or None. decay: the run's last share.

    every: by name, seconds between what is done now and then and once more at the end (checkpoint). costs:
    seconds that each took the last time. measuring: what is measured, under a share of the time. recent:
    seconds of each of the last steps.
    """

    total: int | None
    budget: float | None
    decay: float
    every: Mapping[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    measuring: Share = field(default_factory=lambda: Share(0.0, 1.0))
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def closing(self) -> float:
        """Seconds from the last step to the written model, as far as is known."""
        end = math.inf if self.budget is None else self.budget
        return math.fsum(self.costs.values()) + self.measuring.closing(end)

    @property
    def plain(self) -> float | None:
        """Seconds a step; None before there are two.

        The lower median: the first step of a process, which warms up, and rare hiccups do not count.
        """
        return median_low(self.recent) if len(self.recent) >= 2 else None

    @property
    def pace(self) -> float | None:
        """Seconds a step with its share of what is done between steps."""
        step = self.plain
        if step is None:
            return None
        between = sum(cost / max(self.every[name], step) for name, cost in self.costs.items())
        measuring = self.measuring.whole / max(self.measuring.period(), step)
        return step * (1 + between + measuring)

    def settle(self, step: int, elapsed: float, spent: float) -> None:
        """After `step` steps in `elapsed` seconds, the last in `spent`: sets the total if it is time to."""
        self.recent.append(spent)
        if self.budget is None:
            return
        room, pace = self.budget - elapsed - self.closing, self.pace
        if room <= 0 and self.total is None:
            self.total = step
        # A process that has just been resumed has to see some steps first.
        if pace is None or (len(self.recent) * pace < SLACK * self.budget and len(self.recent) < RECENT):
            return
        if self.total is None:
            known = self.costs.keys() == self.every.keys()
            changes = known and room <= self.decay * self.budget + pace / 2
        else:
            changes = abs((self.total - step) * pace - room) > SLACK * self.budget
        if changes:
            self.total = step + max(0, round(room / pace))

    def rehearses(self, name: str, elapsed: float) -> bool:
        """Whether something is to be done now because the end cannot be planned without knowing its cost."""
        return name not in self.costs and self._plans(elapsed)

    def _plans(self, elapsed: float) -> bool:
        """Whether costs that are not known yet should be seen now, for a budget to become steps."""
        if self.budget is None or self.total is not None:
            return False
        return elapsed >= min(REHEARSAL, 1 - self.decay) * self.budget

    def rehearses_measuring(self, elapsed: float) -> bool:
        """The same of a measurement, where there was none."""
        return not self.measuring.count and self._plans(elapsed)

    def stop(self, step: int) -> None:
        """The run ends after so many steps, or before, if that was planned."""
        self.total, self.budget = min(step, self.total or step), None

    def finished(self, step: int) -> bool:
        return self.total is not None and step >= self.total

    def left(self, step: int, elapsed: float) -> float | None:
        """Seconds to go, as far as can be told."""
        if self.total is not None:
            return None if self.pace is None else (self.total - step) * self.pace + self.closing
        assert self.budget is not None
        return max(self.budget - elapsed, 0.0)
