"""Whether compiling a network pays: measured on first use, remembered, and weighed against the work ahead.

    total of a way = seconds to prepare it + calls x seconds a call

On CPUs the operators of `kernels` stand in for a compiler, whose minutes nobody waits for. On CUDA a compiler
fuses what lies between convolutions, and CUDA graphs take Python out of the loop; both cost a minute or more,
which a few pictures do not earn back. The times of a network on a device are kept in the user's cache.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from phosphene import files
from phosphene.families.device import finish

WORTH = 1800.0  # seconds of plain calls ahead, from which the minutes of trying to compile are spent at all
CALLS = 10  # timed a way


class Timing(NamedTuple):
    """Seconds, until the first answer and for each call after it."""

    prepare: float
    call: float


Ways = Mapping[str, Callable[[], nn.Module]]


def ways(network: nn.Module) -> Ways:
    """As it is; through torch's compiler; the same with CUDA graphs."""
    return {
        "eager": lambda: network,
        "compiled": lambda: _compiled(network, "default"),
        "graphs": lambda: _compiled(network, "reduce-overhead"),
    }


def _compiled(network: nn.Module, mode: str) -> nn.Module:
    compiled = torch.compile(network, mode=mode)
    assert isinstance(compiled, nn.Module)
    return compiled


def choose(timings: Mapping[str, Timing], calls: float) -> str:
    """The way whose preparation and calls take the least time in all."""
    return min(timings, key=lambda name: timings[name].prepare + calls * timings[name].call)


def faster(
    network: nn.Module,
    device: torch.device,
    calls: Callable[[float], float],
    call: Callable[[nn.Module], object],
    name: str,
    among: Callable[[nn.Module], Ways] = ways,
) -> nn.Module:
    """The network in the way that is fastest for the calls to come; on a CPU as it is.

    calls: how many, where a plain one takes so many seconds: under a budget of time that decides.
    call: one call with the shapes to come, with gradients if the calls will have them. name: what tells this
    use of this network from others.
    """
    if device.type == "cpu":
        return network
    eager = _time(device, lambda: network, call)
    ahead = calls(eager.call)
    if ahead * eager.call < WORTH:
        return network
    told = (torch.__version__, str(device), _device_name(device), name, repr(getattr(network, "config", "")))
    place = files.cache() / "timings" / f"{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}.json"
    if place.is_file():
        timings = {way: Timing(*values) for way, values in json.loads(place.read_text()).items()}
    else:
        others = {way: make for way, make in among(network).items() if way != "eager"}
        timings = {"eager": eager} | {way: _time(device, make, call) for way, make in others.items()}
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(place, json.dumps(timings))
    return among(network)[choose(timings, ahead)]()


def _time(device: torch.device, make: Callable[[], nn.Module], call: Callable[[nn.Module], object]) -> Timing:
    start = time.perf_counter()
    made = make()
    for _ in range(3):  # graphs are recorded at the second call
        call(made)
    finish(device)
    prepared = time.perf_counter()
    for _ in range(CALLS):
        call(made)
    finish(device)
    return Timing(prepared - start, (time.perf_counter() - prepared) / CALLS)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
