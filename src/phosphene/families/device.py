"""Which device computes, and how a network computes there in a precision. Weights are float32 always."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition
from phosphene.kernels.library import keep_buffers

N = TypeVar("N", bound=nn.Module)

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


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


def use_threads(threads: int | None) -> None:
    """How many threads of the CPU torch may use."""
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads {threads}: give 1 or more")
        torch.set_num_threads(threads)


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Matrix products and convolutions in this precision, sums and losses in float32."""
    dtype = DTYPES.get(precision, torch.bfloat16)
    with torch.autocast(device.type, dtype, enabled=precision in DTYPES, cache_enabled=False):
        yield


def in_halves(network: N, precision: str) -> N:
    """A network that is only asked, with the weights of products and convolutions rounded once instead of at
    every call; norms and biases stay in float32. It is to be called `computing_in` the same."""
    if precision in DTYPES:
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.data = module.weight.data.to(DTYPES[precision])
    return network


class Asking(nn.Module):
    """A network as it is asked, in a precision: its answers are float32, so that a solver's sums are."""

    def __init__(self, network: nn.Module, precision: str, device: torch.device) -> None:
        super().__init__()
        self.network = in_halves(network, precision)
        self.precision, self.device = precision, device
        self.config = getattr(network, "config", "")  # tells its timings from another network's

    def forward(
        self, x: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Condition
    ) -> Float[Tensor, "b c_out h w"]:
        with computing_in(self.precision, self.device):
            answer = self.network(x, noise, condition)
        return answer.float()


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


def finish(device: torch.device) -> None:
    """Waits until the device has done what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
