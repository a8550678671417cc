"""What a healthy run tells, made up; and what it tells with a fault put in."""

import math
import random
from collections.abc import Callable, Iterable, Iterator

from phosphene.training.watch.finding import Finding
from phosphene.training.watch.observation import About, HeldOut, Layers, Observation, Samples, Step
from phosphene.training.watch.probe import looks
from phosphene.training.watch.watch import Watch

ABOUT = About(2000, 64, 1e-3, 1.0, 100, 0.3, (0.1, 0.05), 0.0)
TOTAL = 1000
LEVELS = (0.2, 0.5, 1.0, 3.0)

Change = Callable[[int, Step], Step]


def healthy(step: int, chance: random.Random) -> Step:
    """After `step` steps: a loss and a gradient that fall with a noise of 15% and 30%."""
    rate = min(step / 100, 1.0) * min(1.0, (TOTAL - step + 1) / (0.3 * TOTAL))
    fall = 0.3 + 0.7 * math.exp(-step / 150)
    return Step(
        loss=fall * math.exp(0.15 * chance.gauss(0, 1)),
        gradient=2 * fall * math.exp(0.3 * chance.gauss(0, 1)),
        scale=1.0,
        rate=rate,
        seconds=0.2 * math.exp(0.2 * chance.gauss(0, 1)),
        waited=0.002,
        total=TOTAL,
        lowest=-255 / 256,
        highest=255 / 256,
        mean=0.1 * chance.gauss(0, 1),
        deviation=0.5,
        constant=0.0,
        checksum=chance.random(),
    )


def layers(step: int, rate: float) -> Layers:
    return Layers(40, rate, 0.007 * rate, (), ())


def told(
    steps: int = 300, change: Change = lambda _, step: step, seed: int = 0, layers=layers
) -> Iterator[Observation]:
    """The observations of the first steps."""
    chance = random.Random(seed)
    for number in range(1, steps + 1):
        step = change(number, healthy(number, chance))
        yield Observation(number, step, layers(number, step.rate) if looks(number) else None)


def found(stream: Iterable[Observation], about: About = ABOUT) -> list[Finding]:
    """What a watch says of a stream."""
    watch = Watch(about)
    for observation in stream:
        watch.see(observation)
    return watch.found


def kinds(stream: Iterable[Observation], about: About = ABOUT) -> list[str]:
    return [finding.kind for finding in found(stream, about)]


def held_out(
    averaged: float = 0.3, live: float = 0.31, training: float = 0.28, error: float = 0.002
) -> HeldOut:
    many = len(LEVELS)
    return HeldOut(
        LEVELS,
        (averaged,) * many,
        (averaged - live,) * many,
        (error,) * many,
        (training,) * many,
        (error,) * many,
    )


def samples(
    shift: float = 0.0,
    contrast: float = 1.0,
    spread: float = 0.9,
    apart: float = 0.8,
    copied: float = math.nan,
    copied_real: float = math.nan,
) -> Samples:
    """Of 64 samples, grey; shift in deviations between real pictures."""
    colours = (0.1 + 0.2 * shift,), (0.1,), (0.5 * contrast,), (0.5,), (0.2,)
    return Samples(64, *colours, spread, apart, copied, copied_real, ("a",))
