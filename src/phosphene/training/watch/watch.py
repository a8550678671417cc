"""The watch of a run: hears observations, asks its detectors, and says each thing once until it clears."""

from collections.abc import Callable, Mapping
from typing import Any

from phosphene.training.watch import averages, copying, gradients, layers, pictures, pipeline, rate
from phosphene.training.watch.finding import Finding, Kind, Said
from phosphene.training.watch.history import History
from phosphene.training.watch.observation import About, Observation

Detector = Callable[[History, About], Said | None]

EVERY = 8  # steps between questions to the detectors of steps
CLEARS = 3  # questions in a row that a detector answers with nothing

ON_STEPS: Mapping[Kind, Detector] = {
    "value-range": pipeline.value_range,
    "constant-pictures": pipeline.constant_pictures,
    "same-batch": pipeline.same_batch,
    "waiting-for-data": pipeline.waiting,
    "fp16-overflow": gradients.overflow,
    "exploding-gradients": gradients.exploding,
    "vanishing-gradients": layers.vanishing,
    "dead-units": layers.dead_units,
    "learning-rate-high": rate.too_high,
    "learning-rate-low": rate.too_low,
}
ON_HELD_OUT: Mapping[Kind, Detector] = {
    "ema-lag": averages.ema_lag,
    "memorisation": copying.memorisation,
}
ON_SAMPLES: Mapping[Kind, Detector] = {
    "colour-drift": pictures.colour_drift,
    "mode-collapse": pictures.mode_collapse,
    "memorisation": copying.memorisation,
}


class Watch:
    """active: what holds now. found: all that was ever said, in order.

    A function of the observations alone: with `state` in a checkpoint, a resumed run says what the
    uninterrupted one would have said.
    """

    def __init__(self, about: About) -> None:
        self.about = about
        self.history = History()
        self.active: dict[Kind, Finding] = {}
        self.found: list[Finding] = []
        self._quiet: dict[Kind, int] = {}
        self._said = 0

    def see(self, told: Observation) -> None:
        """Takes an observation in. What it shows is in `news` afterwards."""
        self.history.add(told)
        if told.training is not None and told.step % EVERY == 0:
            self._ask(ON_STEPS)
        if told.held_out is not None:
            self._ask(ON_HELD_OUT)
        if told.samples is not None:
            self._ask(ON_SAMPLES)

    def news(self) -> list[Finding]:
        """What was found since this was last asked."""
        new, self._said = self.found[self._said :], len(self.found)
        return new

    def _ask(self, detectors: Mapping[Kind, Detector]) -> None:
        for kind, detector in detectors.items():
            said = detector(self.history, self.about)
            if said is not None:
                self._quiet[kind] = 0
                if kind not in self.active:
                    self.active[kind] = Finding(kind, self.history.step, *said)
                    self.found.append(self.active[kind])
            elif kind in self.active:
                self._quiet[kind] += 1
                if self._quiet[kind] == CLEARS:
                    del self.active[kind]

    def state(self) -> dict[str, Any]:
        """Plain lists and numbers, some ten kilobytes."""
        return {
            "history": self.history.state(),
            "found": [list(finding) for finding in self.found],
            "active": {kind: list(finding) for kind, finding in self.active.items()},
            "quiet": dict(self._quiet),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`. What was said before is not news."""
        self.history.restore(state["history"])
        self.found = [Finding(*finding) for finding in state["found"]]
        self.active = {kind: Finding(*finding) for kind, finding in state["active"].items()}
        self._quiet = dict(state["quiet"])
        self._said = len(self.found)
