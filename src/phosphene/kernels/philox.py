"""Words of Philox4x32-10 on CPUs in one pass of C++, bit for bit those of `phosphene.diffusion.noise.philox`.

In torch's operators that takes 130 of them, each over 64 bits a word: a third of a millisecond at least.
"""

import torch
from jaxtyping import Int64
from torch import Tensor

from phosphene.kernels.library import built, library, pointer


def suits(seed: Tensor) -> bool:
    """Whether there is an operator where the keys are."""
    return seed.device.type == "cpu" and library() is not None


def words(
    seed: Int64[Tensor, " b"], picture: Int64[Tensor, " b"], turn: Int64[Tensor, " b"], count: int
) -> Int64[Tensor, "b count"]:
    """`count` words for each row's key (seed) and counter (position, turn's low word, picture)."""
    operators = built().library
    assert operators is not None
    drawn = seed.new_empty(len(seed), count)
    rows = [each.contiguous() for each in (seed, picture, turn)]
    operators.philox_words(*map(pointer, rows), pointer(drawn), len(seed), count, torch.get_num_threads())
    return drawn
