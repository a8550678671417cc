"""Tuning decides by what it measures: known costs lead to known choices, and the real thing runs."""

import time

import pytest
import torch

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


@pytest.mark.parametrize(
    ("batch", "memory", "parts"),
    [
        (128, 1000 * MB, 1),
        (1024, 1000 * MB, 4),  # 256 fits into 800
        (256, 300 * MB, 2),  # 240 may be used: 128 fits with 228, 256 does not
        (64, 10 * MB, 8),  # nothing fits: as small as can be
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


def test_batches_end_where_memory_time_or_pictures_end(monkeypatch):
    data = prepare(find("digits"))
    monkeypatch.setattr(
        tune, "measure", lambda recipe, data, device, batch: Measured(batch, 0.01, batch * MB)
    )
    never = time.perf_counter() + 1e6
    assert [m.batch for m in tune.batches(FLOW, data, CPU, never)] == [8, 16, 32, 64, 128, 256, 512]
    few = changed(FLOW, {"data.held_out": 0.9})  # 180 pictures
    assert [m.batch for m in tune.batches(few, data, CPU, never)] == [8, 16, 32, 64, 128]
    monkeypatch.setattr(tune, "free", lambda device: 160 * MB)  # 128 may be used: 64 fits, and 128 just so
    assert [m.batch for m in tune.batches(FLOW, data, CPU, never)] == [8, 16, 32, 64, 128]
    assert [m.batch for m in tune.batches(FLOW, data, CPU, time.perf_counter())] == [8]
    monkeypatch.setattr(tune, "measure", lambda recipe, data, device, batch: Measured(batch, batch / 100, MB))
    assert [m.batch for m in tune.batches(FLOW, data, CPU, never)] == [8, 16]  # no faster


def test_the_real_thing_leaves_what_is_fixed():
    data = prepare(find("digits"))
    recipe = changed(FLOW, dict(map(parse_assignment, SMALL)))
    tuned = tune.tune(recipe, data, CPU, 20.0, fixed=("network.width", "training.batch"))
    assert tuned.recipe == recipe
    assert tuned.words == ()
    assert tuned.seconds < 5
    first = tuned.measured[0]
    assert first.batch == 8
    assert 50 * MB < first.memory < memory.free(CPU)
    assert first.speed == 8 / first.seconds


def test_the_peak_of_memory_is_that_of_the_work():
    before = memory.peak(CPU, lambda: None)
    after = memory.peak(CPU, lambda: torch.ones(256 * MB // 4).sum())
    assert 150 * MB < after - before < 280 * MB  # less, where freed memory was at hand
