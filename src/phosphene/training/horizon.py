"""How long a run is: a number of steps, or a time to spend.

A budget of seconds becomes a number of steps late: when the share of time before the learning rate's decay is
spent, the speed so far says how many steps fill the rest. From then on the run is like any other, so that
the decay ends where the run ends. A machine that turns slower still is stopped a little past the budget.
"""

from dataclasses import dataclass

GRACE = 1.05


@dataclass
class Horizon:
    """total: steps of the whole run, once known. budget: seconds, or None. decay: the run's last share."""

    total: int | None
    budget: float | None
    decay: float

    def settle(self, step: int, elapsed: float) -> None:
        """After `step` steps in `elapsed` seconds: fixes the total if it is time to."""
        if self.budget is None:
            return
        if self.total is None and elapsed >= (1 - self.decay) * self.budget:
            self.total = max(step, round(step * self.budget / elapsed))
        if self.total is not None and elapsed >= GRACE * self.budget:
            self.total = min(self.total, step)

    def finished(self, step: int) -> bool:
        return self.total is not None and step >= self.total

    def left(self, step: int, elapsed: float) -> float | None:
        """Seconds to go, as far as can be told."""
        if self.total is not None:
            return elapsed / step * (self.total - step) if step else None
        assert self.budget is not None
        return max(self.budget - elapsed, 0.0)
