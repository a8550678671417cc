"""How pictures are made: the knobs that every way of asking a model shares."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from phosphene.families.asked import Asked
from phosphene.families.rows import Scales, plain, representative

Watch = Callable[[int, int], None]
BATCH = 64


class Options(TypedDict, total=False):
    """Each may be left out, or None, which keeps what the model's recipe says.

    seed, first: picture i is a function of (seed, first + i), whatever the batch it was made in.
    solver, steps, grid, eta, churn, guidance, image_guidance, interval, threshold: see `phosphene.Asked`. The
    two guidances may be one a picture. weaker: guidance leads away from what this run, model or shorter
    average (0.05) of the same kind says, instead (autoguidance).
    batch: pictures a network call. trajectory: keep the noisy pictures on the way in `.frames`.
    watch(done, total) is called after each evaluation of the network.
    """

    seed: int | None
    first: int | None
    solver: str | None
    steps: int | None
    grid: str | None
    eta: float | None
    churn: float | None
    guidance: Scales
    image_guidance: Scales
    interval: tuple[float, float] | None
    weaker: Path | str | float | None
    threshold: str | None
    batch: int | None
    trajectory: bool | None
    watch: Watch | None


NAMES = tuple(Options.__annotations__)


def given(how: Options) -> Options:
    """Those that say something. Raises TypeError for one that does not exist, as Python does."""
    for name in how:
        if name not in NAMES:
            raise TypeError(f"unexpected keyword argument {name!r}; known are {', '.join(NAMES)}")
    said = Options()
    said.update({name: plain(value) for name, value in how.items() if value is not None})  # pyright: ignore
    if (interval := said.get("interval")) is not None:
        if len(interval) != 2:
            raise ValueError(f"interval {interval}: give two numbers, the smaller sigma / alpha first")
        said["interval"] = (interval[0], interval[1])
    return said


def changed(asked: Asked, how: Options) -> Asked:
    """A way of making pictures with what is said otherwise. Raises ValueError for what does not exist."""
    changes = {name: how[name] for name in vars(asked) if name in how}
    for name in ("guidance", "image_guidance"):
        if name in changes:
            changes[name] = representative(changes[name])
    return replace(asked, **changes)


def numbered(n: int, how: Options) -> tuple[int, Sequence[int]]:
    """The seed, and the numbers of n pictures under it. Raises ValueError for numbers that there are not."""
    seed, first = how.get("seed") or 0, how.get("first") or 0
    for field, value, least in (
        ("n", n, 1),
        ("seed", seed, 0),
        ("first", first, 0),
        ("batch", how.get("batch", BATCH) or 0, 1),
    ):
        if value < least:
            raise ValueError(f"{field} {value}: give {least} or more")
    for field, value, numbers in (("seed", seed, 1), ("first", first, n)):
        if value + numbers > 2**63:
            raise ValueError(f"{field} {value}: give {2**63 - numbers} or less")
    return seed, range(first, first + n)
