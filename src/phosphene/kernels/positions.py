"""What the operators on positions, (b, n, width) with the channels of a position together, have in common."""

import torch
from torch import Tensor

from phosphene.kernels.library import library

LANES = 16  # channels that two vectors hold: a head's halves are whole vectors


def suits(x: Tensor, width: int) -> bool:
    """Whether an operator of ours takes it: on a CPU, in float32 or bf16, whole vectors of `width`."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.numel() > 0
        and width % LANES == 0
        and library() is not None
    )


def wide(x: Tensor | None) -> Tensor | None:
    """In float32, each row's values together."""
    return None if x is None else x.detach().float().contiguous()
