"""Which precision a network computes in. On a CPU that has units for bf16, a block of a U-Net or a layer of a
transformer as wide as the network's is timed both ways, once a machine.

Units alone do not tell. On chips with AMX a product in bf16 is many times as fast; with AVX-512's units it is
twice, so that layers, which are products, gain, while Winograd's float32 convolutions, which do a quarter of
the products, are faster still (LOG.md).
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from phosphene import files
from phosphene.families.device import computing_in, in_halves, made_ready
from phosphene.kernels.library import built, processor
from phosphene.networks.blocks import Added, ResidualBlock
from phosphene.networks.build import Repeated
from phosphene.networks.layers import Norm
from phosphene.networks.rotary import angles
from phosphene.networks.transformer import TransformerConfig, TransformerLayer

UNITS = ("amx_bf16", "avx512_bf16")
PLAIN, HALF = "fp32", "bf16"
WIDE = 32  # channels from which bf16 can be worth its conversions and its rounding on a CPU
WORTH = 1.1  # times faster that bf16 has to be, as it rounds
ROWS, SIZE, E, ROUNDS = 2, 32, 64, 12  # of the block that is timed
SIDE = 16  # positions of the layer that is timed, along a side


class Precision(NamedTuple):
    """Of matrix products and convolutions: fp32, bf16 or fp16; and why."""

    name: str
    why: str


class Timed(NamedTuple):
    """A module and how it is called."""

    module: nn.Module
    call: Callable[[], Tensor]


def choose_precision(asked: str, device: torch.device, of: Repeated, training: bool = False) -> Precision:
    """What "auto" means here: bf16 where the chip has units for it and they are faster, float32 elsewhere.

    of: what the network consists of. training: with gradients.
    Raises ValueError for fp16 on a CPU, which has no units for it anywhere.
    """
    if asked == "fp16" and device.type == "cpu":
        raise ValueError("precision fp16: for GPUs only; on a CPU auto, fp32 and bf16 are accepted")
    if asked != "auto":
        return Precision(asked, "as asked")
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision(HALF, "this GPU has units for it")
        return Precision(PLAIN, "this GPU has no units for bf16")
    units = bf16_units()
    if not units:
        return Precision(PLAIN, "this CPU has no units for bf16")
    if of.width < WIDE:
        return Precision(PLAIN, f"a network of {of.width} channels is too narrow for bf16 to pay")
    took = seconds(of, training)
    name = HALF if took[HALF] * WORTH < took[PLAIN] else PLAIN
    each = ", ".join(f"{one} {took[one] * 1e3:.2f} ms" for one in (PLAIN, HALF))
    return Precision(name, f"a {of.kind} of {of.width} channels, measured here: {each} ({units})")


def bf16_units() -> str:
    """The units of this CPU that multiply in bf16, as far as Linux says; "" for none."""
    flags = Path("/proc/cpuinfo")
    text = flags.read_text().split() if flags.exists() else []
    return ", ".join(unit for unit in UNITS if unit in text)


def seconds(of: Repeated, training: bool) -> Mapping[str, float]:
    """Of one block or layer, by precision: asked, or with gradients. Kept in the user's cache."""
    told = (torch.__version__, processor(), built().words, *of, training)
    place = files.cache() / "timings" / f"{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}.json"
    if place.is_file():
        return json.loads(place.read_text())
    timed = measure(of, training)
    place.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(place, json.dumps(timed))
    return timed


def measure(of: Repeated, training: bool) -> dict[str, float]:
    """The least of some rounds, the precisions in turn, on one thread: other programs that run meanwhile hold
    up several threads, which wait for each other, more than one."""
    device = torch.device("cpu")
    runs = {}
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        for name in (PLAIN, HALF):
            module, call = TIMED[of.kind](of.width)
            made_ready(module, device).train(training)
            if not training:
                in_halves(module, name)
            runs[name] = call
    best = dict.fromkeys(runs, float("inf"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for turn in range(ROUNDS + 1):
        for name, call in runs.items():
            start = time.perf_counter()
            with torch.inference_mode(not training), computing_in(name, device):
                answer = call()
            if training:
                answer.float().sum().backward()
            if turn:  # the first one packs weights and makes room
                best[name] = min(best[name], time.perf_counter() - start)
    torch.set_num_threads(threads)
    return best


def block(width: int) -> Timed:
    """Of a U-Net, without attention."""
    module = ResidualBlock(width, width, Norm(1, width), Added(width, E, Norm(1, width)), 0.0)
    x = torch.randn(ROWS, width, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    e = torch.randn(ROWS, E)
    return Timed(module, lambda: module(x, e))


def layer(width: int) -> Timed:
    """Of a transformer, without tokens."""
    head_width = math.gcd(width, 64)
    module = TransformerLayer(TransformerConfig(1, 1, 1, width, 1, head_width))
    x, e = torch.randn(ROWS, SIDE**2, width), torch.randn(ROWS, width)
    places = torch.arange(float(SIDE))
    angle = angles(places, places, head_width)
    return Timed(module, lambda: module(x, angle, e, None))


TIMED: Mapping[str, Callable[[int], Timed]] = {"block": block, "layer": layer}
