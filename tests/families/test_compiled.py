"""Compiling is chosen where it pays, by times that were measured once."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from phosphene.families import compiled, ready
from phosphene.families.compiled import Timing, choose, faster, ways
from phosphene.networks.build import build
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store.model import Header, Model

META = torch.device("meta")  # a device that is not a CPU
TIMES = {"eager": Timing(0.0, 1.0), "compiled": Timing(60.0, 0.5), "graphs": Timing(90.0, 0.25)}


@pytest.mark.parametrize(
    ("calls", "way"),
    # 60 + n/2 < n from 120 on; 90 + n/4 < 60 + n/2 from 120 on as well: graphs win there at once.
    [(1.0, "eager"), (119.0, "eager"), (121.0, "graphs"), (1e6, "graphs")],
)
def test_the_least_time_in_all(calls, way):
    assert choose(TIMES, calls) == way


def test_compiled_between_the_two():
    times = TIMES | {"graphs": Timing(600.0, 0.25)}
    assert choose(times, 200.0) == "compiled"


class Slow(nn.Module):
    """A network whose calls take a known time."""

    def __init__(self, first: float, later: float) -> None:
        super().__init__()
        self.first, self.later, self.calls = first, later, 0

    def forward(self) -> None:
        time.sleep(self.later if self.calls else self.first)
        self.calls += 1


def among(made: list[str]) -> Callable[[nn.Module], compiled.Ways]:
    def all_of(network: nn.Module) -> compiled.Ways:
        def quick() -> nn.Module:
            made.append("quick")
            return Slow(0.05, 0.001)

        return {"eager": lambda: network, "quick": quick}

    return all_of


def test_it_is_measured_on_first_use_and_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path))
    network, made = Slow(0.01, 0.01), []

    def use(calls: float) -> nn.Module:
        return faster(network, META, lambda each: calls, lambda n: n(), "test", among(made))

    assert use(10.0) is network  # a tenth of a second ahead: nothing is tried
    assert made == []
    monkeypatch.setattr(compiled, "WORTH", 0.5)
    assert use(100.0) is not network  # a second plain, 0.15 s otherwise
    assert made == ["quick", "quick"]  # once for the clock, once for use
    assert use(200.0) is not network
    assert made == ["quick"] * 3
    (kept,) = (tmp_path / "timings").iterdir()
    assert kept.suffix == ".json"


def test_times_are_of_a_network_a_precision_and_a_shape(monkeypatch):
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(
        ready,
        "faster",
        lambda network, device, calls, call, name: told.append((repr(network.config), name)) or network,
    )
    for width, size, precision in ((4, 8, "fp32"), (4, 8, "bf16"), (8, 8, "bf16"), (8, 16, "bf16")):
        config = UNetConfig(1, 1, widths=(width,), attention=(False,))
        header = Header(diffusion=DiffusionSettings(), sampling=SamplingSettings(), size=size, channels=1)
        made = Model(header, build(config), config)
        ready.Ready(made, Path("m"), torch.device("cpu"), precision).quick(3, 1)
        assert told[-1] == (repr(config), f"ask (3, 1, {size}, {size}) {precision}")


def test_a_budget_says_how_many_calls_by_what_one_takes(monkeypatch, tmp_path):
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path))
    monkeypatch.setattr(compiled, "WORTH", 0.5)
    network, made = Slow(0.01, 0.01), []

    def within(seconds: float) -> nn.Module:
        return faster(network, META, lambda each: seconds / each, lambda n: n(), "test", among(made))

    assert within(0.4) is network
    assert made == []
    assert within(5.0) is not network


def test_a_cpu_is_never_compiled_for():
    network = Slow(0, 0)
    assert faster(network, torch.device("cpu"), lambda each: 1e9, lambda n: n(), "test") is network
    assert network.calls == 0


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch's compiler itself
def test_the_ways_share_the_weights():
    network = nn.Linear(2, 2)
    for make in ways(network).values():
        assert {id(p) for p in make().parameters()} == {id(p) for p in network.parameters()}
