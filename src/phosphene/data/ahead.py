"""What will be needed next, made by one thread while the present one is used."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """make(n), make(n + 1), ... of a function of n alone: when n is taken, the next `depth` are begun.

    What is asked for out of turn is made then. An error of make is raised where its result is taken.
    """

    def __init__(self, make: Callable[[int], T], depth: int) -> None:
        self._make, self._depth = make, depth
        self._coming: dict[int, Future[T]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def take(self, number: int) -> T:
        """make(number); starts the thread if there is none."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "ahead")
        near = range(number, number + self._depth + 1)
        for other in self._coming.keys() - set(near):
            self._coming.pop(other).cancel()
        for other in near:
            if other not in self._coming:
                self._coming[other] = self._pool.submit(self._make, other)
        return self._coming.pop(number).result()

    def close(self) -> None:
        """Ends the thread, after what it is making now."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None
        self._coming.clear()
