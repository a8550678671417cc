"""The C++ words are those of the definition, bit for bit: all of a key, any count, any number of threads."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phosphene.diffusion import noise
from phosphene.kernels.library import library, plain

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler here")


def both(key, step, count, stream=noise.NOISE):
    fast = noise.words(key, step, count, stream)
    with plain():
        return fast, noise.words(key, step, count, stream)


@settings(deadline=None)
@given(
    keys=st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)), min_size=1, max_size=4),
    step=st.integers(0, 2**40),
    count=st.integers(1, 300),
    stream=st.integers(0, noise.STREAMS - 1),
)
def test_equal_to_the_definition(keys, step, count, stream):
    key = noise.Key(*torch.tensor(keys, dtype=torch.int64).T)
    fast, slow = both(key, step, count, stream)
    assert torch.equal(fast, slow)
    steps = step + torch.arange(len(keys))
    fast, slow = both(key, steps, count, stream)
    assert torch.equal(fast, slow)


@pytest.mark.parametrize("count", [2047, 2048, 2049, 40_000])  # around a task, and many
def test_equal_across_tasks_and_threads(count):
    key, threads = noise.keys(2**62 + 5, range(3)), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        fast, slow = both(key, 9, count)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(fast, slow)


def test_known_answer():
    """Random123's published vector for a counter and a key of zeros."""
    drawn = noise.words(noise.keys(0, [0]), 0, 4, noise.NOISE)
    assert drawn[0].tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
