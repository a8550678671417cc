"""Which device computes, and in which precision. Weights are float32 always."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from phosphene.kernels.library import keep_buffers
from phosphene.recipes.settings import TrainingSettings

N = TypeVar("N", bound=nn.Module)

WIDE = 64  # channels from which bf16 pays on a CPU with AMX


def choose_device(name: str) -> torch.device:
    """ "auto" takes a GPU if there is one. Raises ValueError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        have = "auto, cpu" + (", cuda" if torch.cuda.is_available() else "")
        raise ValueError(f"device {name!r}: not on this machine; accepted are {have}") from None
    return device


def choose_precision(settings: TrainingSettings, device: torch.device, width: int) -> str:
    """What "auto" means here: bf16 where the chip has units for it, float32 elsewhere.

    width: the narrowest of the network. On CPUs with AMX, narrow networks are not worth the conversions.
    """
    if settings.precision != "auto":
        return settings.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and width >= WIDE and has_amx() else "fp32"


def has_amx() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware, as far as Linux says."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "amx_bf16" in flags.read_text()


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Matrix products and convolutions in this precision, sums and losses in float32."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
        yield


def made_ready(network: N, device: torch.device) -> N:
    """The network on its device, laid out for speed: convolutions' weights channels last, and on a CPU memory
    that stays with the process."""
    if device.type == "cpu":
        keep_buffers()
    network = network.to(device)
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network
