"""How long a step takes, on a machine that may be paused or busy with other things meanwhile.

What disturbs a step only ever adds to it, so the least of some counts, and a second one has to confirm it:
while the two least do not agree there are further steps. A pause, even one in every other step, changes
nothing.
"""

import time
from collections.abc import Callable

AGREE = 1.25  # times the least, up to which another step confirms it
MOST = 10  # steps


def least_time(step: Callable[[], object], least: int = 2) -> float:
    """Seconds of the quickest of at least `least` >= 2 steps, of MOST where none confirms another.

    A step ends when all that it asked of the device is done.
    """
    seconds: list[float] = []
    while len(seconds) < least or (seconds[1] > AGREE * seconds[0] and len(seconds) < MOST):
        start = time.perf_counter()
        step()
        seconds = sorted([*seconds, time.perf_counter() - start])
    return seconds[0]
