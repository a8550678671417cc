"""The Triton kernels in Triton's own interpreter, against the definition: what can be known without a GPU."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

# In a process of its own: the interpreter is chosen when Triton is imported, and reads the kernels' source,
# which the type checks of these tests would have wrapped.
CODE = """
import itertools, torch
from phosphene.kernels import triton_group_norm as fused
from phosphene.kernels.group_norm import plain

cases = itertools.product([(16, 4), (24, 2)], [False, True], [False, True], [False, True])
for number, ((channels, groups), told, silu, last) in enumerate(cases):
    torch.manual_seed(number)
    fused.TILE = 64 if number % 2 else 4096  # several tiles a group, or one
    layout = torch.channels_last if last else torch.contiguous_format
    x = (torch.randn(2, channels, 5, 7) * 3 + 2).contiguous(memory_format=layout)
    dy = torch.randn(2, channels, 5, 7).contiguous(memory_format=layout)
    gamma, beta = torch.randn(channels), torch.randn(channels)
    both = torch.randn(2, 2 * channels)
    scale, shift = both.chunk(2, dim=1) if told else (None, None)
    y, mean, rstd = fused.forward(x, groups, gamma, beta, 1e-5, scale, shift, 2 * channels, silu)
    dx, (total, product) = fused.backward(
        dy, x, gamma, beta, scale, shift, 2 * channels, mean, rstd, silu)

    leaves = [part.double().requires_grad_() for part in (x, gamma, beta, scale, shift) if part is not None]
    exact = plain(leaves[0], groups, leaves[1], leaves[2], 1e-5, *leaves[3:], silu=silu)
    grads = torch.autograd.grad(exact, leaves, dy.double())
    more = 1 + scale if told else torch.ones(2, channels)
    pairs = [(y, exact), (dx, grads[0])]
    pairs += [((more * product).sum(0), grads[1]), ((more * total).sum(0), grads[2])]
    if told:
        pairs += [(gamma * product + beta * total, grads[3]), (total, grads[4])]
    for one, other in pairs:
        assert (one - other).norm() <= 2e-6 * other.norm(), (number, (one - other).norm() / other.norm())
print("agreed", number + 1)
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernels_are_the_definition():
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True)
    assert done.stdout == "agreed 16\n", done.stderr
