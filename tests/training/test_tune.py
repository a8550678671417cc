"""Tuning decides by what it measures: known costs lead to known choices, and the real thing runs."""

import time
from collections.abc import Callable

import pytest
import torch
from PIL import Image

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training import memory, tune
from phosphene.training.tune import Measured, batch_for, parts_for
from tests.conftest import SMALL

CPU = torch.device("cpu")
MB = 2**20
# A machine that is fully busy from batch 64 on, at 1000 pictures a second.
BUSY = tuple(Measured(b, max(b, 64) / 1000, 100 * MB + b * MB) for b in (8, 16, 32, 64, 128, 256))


@pytest.mark.parametrize(
    ("wanted", "budget", "batch"),
    [
        (128, 3600.0, 128),  # 28,000 steps: time enough for the recipe's batch
        (128, 100.0, 64),  # 780 steps: smaller batches, down to where the machine is no longer busy
        (256, 600.0, 256),  # 2,300 steps
        (256, 400.0, 128),  # 1,560 steps at 256, 3,100 at 128
        (1024, 1e6, 1024),  # more than was measured: in parts
    ],
)
def test_a_batch_is_halved_while_steps_are_few_and_speed_is_kept(wanted, budget, batch):
    assert batch_for(BUSY, wanted, budget) == batch


@pytest.mark.parametrize(("budget", "batch"), [(2100.0, 128), (1500.0, 64), (600.0, 32), (10.0, 8)])
def test_a_batch_above_all_that_were_measured_takes_as_much_longer_as_it_is_larger(budget, batch):
    """A slow machine had time to measure 8 pictures only, at 125 a second: 128 take 1.024 s."""
    assert batch_for(BUSY[:1], 128, budget) == batch


@pytest.mark.parametrize(("fixed", "batch"), [(0.0, 8), (0.001, 16), (0.01, 64)])
def test_batches_between_two_that_were_measured_lie_on_the_line_through_them(fixed, batch):
    """Steps of fixed + batch / 1000 seconds. With 1 ms beside them 8 pictures are made at 889 a second, 16 at
    941, 128 at 992, nine tenths of which are 893; with 10 ms 32 at 762, 64 at 865, 128 at 928: 835."""
    seen = [Measured(b, fixed + b / 1000, MB) for b in (8, 128)]
    assert batch_for(seen, 128, 10.0) == batch
    assert batch_for([*seen, Measured(64, 0.09, MB)], 128, 10.0) == 128  # what was measured counts


@pytest.mark.parametrize(
    ("batch", "memory", "parts"),
    [
        (128, 1000 * MB, 1),
        (1024, 1000 * MB, 2),  # 800 may be used, and 1.39 a picture is the least that was seen: 575 at a time
        (256, 300 * MB, 2),  # 240 may be used: 128 fits with 228, 256 does not
        (64, 10 * MB, 13),  # 8 may be used: 5 at a time
    ],
)
def test_parts_are_the_fewest_that_fit(batch, memory, parts):
    assert parts_for(BUSY, batch, memory) == parts


@pytest.mark.parametrize(
    ("budget", "width"),
    # At width 64 and batch 64 a step takes 64 ms, and cost grows with the square of the width.
    [(100.0, 48), (129.0, 64), (200.0, 64), (300.0, 96), (520.0, 128), (1e5, 128), (30.0, 32)],
)
def test_the_widest_network_with_enough_steps(budget, width, monkeypatch):
    monkeypatch.setattr(tune, "ENOUGH", 2000)

    def measure(recipe, data, device, batch, least=3):
        return Measured(batch, batch / 1000 * (recipe.network.width / 64) ** 2, MB)

    monkeypatch.setattr(tune, "measure", measure)
    recipe = changed(FLOW, {"network.width": 64, "training.batch": 64})
    chosen = tune.width_for(recipe, prepare(find("digits")), CPU, budget, BUSY, time.perf_counter() + 60)
    assert chosen == width
    # Too late to measure: narrower by that law, never wider.
    chosen = tune.width_for(recipe, prepare(find("digits")), CPU, budget, BUSY, time.perf_counter())
    assert chosen == min(width, 64)


@pytest.mark.parametrize(("time_left", "width"), [(60.0, 32), (0.0, 48)])
def test_a_narrower_network_is_measured_while_there_is_time(time_left, width, monkeypatch):
    """Its time falls with the width alone: 1,562 steps at 48 in 75 s, where the square says 2,083."""

    def measure(recipe, data, device, batch, least=3):
        return Measured(batch, batch / 1000 * recipe.network.width / 64, MB)

    monkeypatch.setattr(tune, "measure", measure)
    recipe = changed(FLOW, {"network.width": 64, "training.batch": 64})
    deadline = time.perf_counter() + time_left
    assert tune.width_for(recipe, prepare(find("digits")), CPU, 75.0, BUSY, deadline) == width


def test_batches_begin_at_the_recipes_and_end_where_it_is_known_enough(monkeypatch):
    data = prepare(find("digits"))
    never = time.perf_counter() + 1e6

    def measured(
        seconds: Callable[[int], float], budget: float, deadline: float = never, **changes
    ) -> list[int]:
        def measure(recipe, data, device, batch, least=3):
            return Measured(batch, seconds(batch), 500 * MB + batch * MB)

        monkeypatch.setattr(tune, "measure", measure)
        monkeypatch.setattr(tune, "held", lambda device: 500 * MB)  # the process without any pictures
        recipe = changed(FLOW, {f"data.{name}": value for name, value in changes.items()})
        return [m.batch for m in tune.batches(recipe, data, CPU, budget, deadline)]

    assert measured(lambda batch: 0.01, 20.0) == [8, 128]  # 2,000 steps
    assert measured(lambda batch: 0.01, 19.0) == [8, 128, 64, 32, 16]
    assert measured(lambda batch: batch / 1e4, 19.0) == [8, 128, 64]  # 2,969 at 64
    assert measured(lambda batch: 0.01, 1.0, time.perf_counter()) == [8]
    assert measured(lambda batch: 0.01, 20.0, held_out=0.95) == [8, len(data.split(0.95, 0)[0])]
    monkeypatch.setattr(tune, "free", lambda device: 725 * MB)  # 580 may be used
    assert measured(lambda batch: 0.01, 20.0) == [8, 64]


def test_the_real_thing_leaves_what_is_fixed():
    data = prepare(find("digits"))
    recipe = changed(FLOW, dict(map(parse_assignment, SMALL)))
    tuned = tune.tune(recipe, data, CPU, 20.0, fixed=("network.width", "training.batch"))
    assert tuned.recipe == recipe
    assert tuned.changes == {}
    first = tuned.measured[0]
    assert first.batch == 8
    assert 50 * MB < first.memory < memory.free(CPU)
    assert first.speed == 8 / first.seconds


def test_the_peak_of_memory_is_that_of_the_work():
    before = memory.peak(CPU, lambda: None)
    after = memory.peak(CPU, lambda: torch.ones(256 * MB // 4).sum())
    assert 150 * MB < after - before < 280 * MB  # less, where freed memory was at hand


def test_fewer_pictures_than_the_smallest_batch(tmp_path):
    for i in range(6):
        Image.new("L", (8, 8), 40 * i).save(tmp_path / f"{i}.png")
    recipe = changed(FLOW, dict(map(parse_assignment, SMALL)))
    before = torch.get_rng_state()
    data = prepare(find(str(tmp_path)))
    found = list(tune.batches(recipe, data, CPU, 5.0, 0.0))
    assert [one.batch for one in found] == [tune.within(recipe, data)]
    assert torch.equal(before, torch.get_rng_state())  # steps draw dropout from torch's own generator
