"""When a run is measured: in pieces between its steps, under a fixed share of its time (training.share).

A measurement is an iterator. Each item names the piece that comes next, and asking for the next item does it:

    yield "held-out"          so far nothing was done
    losses = ...
    yield "sampling"          what comes next takes as long as sampling takes
    ...

So a measurement stands still wherever the share, a signal or the next step asks for it.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from typing import TypeVar

from phosphene.training.share import HELD_OUT, TURN, Share
from phosphene.training.trainer import Trainer

PAUSE = 0.5  # seconds between two steps after which the next piece waits for the next step

T = TypeVar("T")

Pieces = Iterator[str]
Seconds = Mapping[str, float]
Parts = tuple[str, ...]
SAMPLES = "samples"


class Measuring:
    """Measures one run. begin: makes a measurement; it is told its parts in order, SAMPLES and HELD_OUT, and
    the seconds that its pieces take, by kind. once: kinds that only a process's first measurement has. asked:
    how many answers of the network the longest piece of held-out losses takes, and all of them.
    """

    def __init__(
        self,
        trainer: Trainer,
        begin: Callable[[Parts, Seconds], Pieces],
        once: Collection[str] = (),
        asked: tuple[int, int] = (0, 0),
    ) -> None:
        self.trainer, self.begin, self.once, self.asked = trainer, begin, once, asked
        self.pieces: Pieces = iter(())
        self.coming: str | None = None
        self.took: dict[str, float] = {}

    @property
    def share(self) -> Share:
        return self.trainer.horizon.measuring

    def between(self, stop: Callable[[], bool]) -> None:
        """After a step: begins a measurement if one is due, and goes on with it where the share allows."""
        trainer = self.trainer
        if self.coming is None:
            left = trainer.horizon.left(trainer.step, trainer.elapsed)
            rehearses = trainer.horizon.rehearses_measuring(trainer.elapsed)
            if not self.share.limit or not (rehearses or self.share.due(trainer.elapsed, left)):
                return
            turn = self.share.count % TURN == 0 and self._pays(left)
            self._begin((SAMPLES, HELD_OUT) if turn else (SAMPLES,))
        pause = trainer.clock() + PAUSE
        while self._may_go_on() and not stop() and trainer.clock() < pause:
            self._go_on()

    def finish(self, stop: Callable[[], bool]) -> None:
        """After the last step: a whole measurement if the share allows it, or at least of samples.

        A run of so many pictures that has never been measured gets its held-out loss in any case.
        """
        share = self.share
        samples = share.last - share.kinds.get(HELD_OUT, 0.0)
        if not share.limit or not share.allows(samples, self.trainer.elapsed):
            return
        if not share.count and self.trainer.recipe.training.budget is None:
            self._begin((HELD_OUT, SAMPLES))
            while self.coming == HELD_OUT and not stop():
                self._go_on()
        else:
            whole = share.allows(samples + self._held_out(), self.trainer.elapsed)
            self._begin((SAMPLES, HELD_OUT) if whole else (SAMPLES,))
        while self._may_go_on() and not stop():
            self._go_on()

    def _begin(self, parts: Parts) -> None:
        self.share.begun, self.took = self.trainer.elapsed, {}
        self.pieces = self.begin(parts, self.took)
        self.coming = next(self.pieces, None)

    def _may_go_on(self) -> bool:
        if self.coming is None:
            return False
        horizon = self.trainer.horizon
        step = horizon.plain or max(horizon.recent, default=0.0)
        if self.coming == HELD_OUT:
            step = max(step, self._answers(self.asked[0]))
        return self.share.allows(self.share.expected(self.coming, step), self.trainer.elapsed)

    def _pays(self, left: float | None) -> bool:
        """Whether held-out losses take at most half of what the whole run may spend on being measured: in a
        shorter run they would leave no time for samples."""
        return left is None or self._held_out() <= self.share.limit * (self.trainer.elapsed + left) / 2

    def _held_out(self) -> float:
        """Seconds that held-out losses take, or should."""
        seen = self.share.kinds.get(HELD_OUT)
        return self._answers(self.asked[1]) if seen is None else seen

    def _answers(self, count: int) -> float:
        """Seconds that so many answers of the network should take; 0 before there are two steps.

        A step asks for a batch of them, and its gradients take as long as two more.
        """
        return (self.trainer.horizon.plain or 0.0) * count / (3 * self.trainer.recipe.training.batch)

    def _go_on(self) -> None:
        """One piece."""
        kind = self.coming
        assert kind is not None

        def piece() -> None:
            self.coming = next(self.pieces, None)

        seconds = self.trainer.aside(piece)
        self.share.took(kind, seconds)
        self.took[kind] = self.took.get(kind, 0.0) + seconds
        if self.coming is None:
            self.share.measured({k: s for k, s in self.took.items() if k not in self.once})


def finished(pieces: Generator[str, None, T]) -> T:
    """What comes of pieces when all are done at once."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value
