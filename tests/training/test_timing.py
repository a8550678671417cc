"""What a pause of the machine does to the times that plans are made of: nothing."""

from collections.abc import Iterator

import pytest

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.families.device import choose_device
from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training import proposal, timing, tune
from tests.conftest import SMALL, Clock

DAYS = 174 * 86_400.0


def timed(monkeypatch: pytest.MonkeyPatch, seconds: list[float], least: int = 2) -> tuple[float, int]:
    """The least time of steps that take so long each, and how many were taken."""
    clock, left = Clock(), iter(seconds)
    monkeypatch.setattr(timing.time, "perf_counter", clock)

    def step() -> None:
        clock.now += next(left)

    return timing.least_time(step, least), len(seconds) - len(list(left))


@pytest.mark.parametrize(
    ("seconds", "least", "taken"),
    [
        ([2.0, 2.25, 9.0], 2, 2),  # nothing disturbs
        ([2.0, 2.25, 2.0, 9.0], 3, 3),
        ([2.0, DAYS, 2.25, 9.0], 2, 3),  # a pause in the second
        ([DAYS, 2.0, 2.25, 9.0], 2, 3),
        ([DAYS, DAYS / 2, DAYS / 4, 2.0, DAYS, 2.25, 9.0], 3, 6),  # in each of the first three
        ([2.0 * 1.5**i for i in range(12)], 2, 10),  # nothing is confirmed: no more than MOST
    ],
)
def test_the_least_counts_once_another_confirms_it(seconds, least, taken, monkeypatch):
    assert timed(monkeypatch, seconds, least) == (2.0, taken)


def pausing(monkeypatch: pytest.MonkeyPatch, pauses: set[int]) -> None:
    """A clock by which what lies between two readings takes a second, and days after the readings named."""

    def ticks() -> Iterator[float]:
        now, reading = 0.0, 0
        while True:
            yield now
            now, reading = now + (DAYS / (1 + reading) if reading in pauses else 1.0), reading + 1

    monkeypatch.setattr(timing.time, "perf_counter", ticks().__next__)


@pytest.mark.parametrize("pauses", [set[int](), {0}, {2}, {0, 2, 4}], ids=str)
def test_the_doctors_estimate_is_not_that_of_a_pause(pauses, monkeypatch):
    recipe = changed(FLOW, {"network.width": 8, "network.blocks": 1, "network.head_width": 8})
    pausing(monkeypatch, pauses)  # readings 0 and 1 are about the first step, 2 and 3 about the second
    step = proposal.measured(recipe, proposal.Form(8, 1), choose_device("cpu"))
    assert step.seconds == 1 / 32


@pytest.mark.parametrize("least", [2, 3])
def test_tuning_does_not_time_a_pause(least, monkeypatch):
    recipe, data = changed(FLOW, dict(map(parse_assignment, SMALL))), prepare(find("digits"))
    steps = iter([1.0, 2.0, DAYS, 2.0, DAYS, 2.0])  # the first is not counted
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", clock)

    def finish(device: object) -> None:
        clock.now += next(steps, 2.0)

    monkeypatch.setattr(tune, "finish", finish)
    assert tune.measure(recipe, data, choose_device("cpu"), 8, least).seconds == 2.0
