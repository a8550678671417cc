"""The fused group norm equals its definition, forward and backward, in every layout that it takes."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from phosphene.kernels import group_norm as module
from phosphene.kernels.group_norm import group_norm, plain
from phosphene.kernels.library import library
from phosphene.kernels.library import plain as only_plain

needs = pytest.mark.skipif(library() is None, reason="no C++ compiler here")


class Case(NamedTuple):
    x: Tensor
    gamma: Tensor
    beta: Tensor
    scale: Tensor | None
    shift: Tensor | None

    def by(self, function: Callable[..., Tensor], groups: int, silu: bool = False) -> Tensor:
        return function(self.x, groups, self.gamma, self.beta, 1e-5, self.scale, self.shift, silu)

    def each(self, change: Callable[[int, Tensor], Tensor]) -> "Case":
        """Every tensor changed, told its place."""
        x, gamma, beta = (change(i, part) for i, part in enumerate(self[:3]))
        if self.scale is None or self.shift is None:
            return Case(x, gamma, beta, None, None)
        return Case(x, gamma, beta, change(3, self.scale), change(4, self.shift))


def case(
    rows: int,
    channels: int,
    height: int,
    width: int,
    told: bool,
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> Case:
    """x, gamma, beta and, if told, scale and shift, which are halves of one tensor, as a block gives them."""
    torch.manual_seed(seed)
    x = (torch.randn(rows, channels, height, width) * 3 + 2).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    gamma, beta = torch.randn(channels), torch.randn(channels)
    scale, shift = torch.randn(rows, 2 * channels).chunk(2, dim=1) if told else (None, None)
    return Case(x, gamma, beta, scale, shift)


def both(given: Case, groups: int, silu: bool) -> tuple[list[Tensor], list[Tensor]]:
    """The answer and all gradients: of the fused operator, and of the definition in float64."""
    torch.manual_seed(99)
    above = torch.randn(given.x.shape).to(given.x.dtype)
    results = []
    for function, exact in ((group_norm, False), (plain, True)):
        start = given.each(lambda _, part: part.double()) if exact else given
        leaves = start.each(lambda _, part: part.detach().requires_grad_())
        y = leaves.by(function, groups, silu)
        y.backward(above.to(y.dtype))
        results.append([y.detach(), *(part.grad for part in leaves if part is not None)])
    return results[0], results[1]


@needs
@given(
    rows=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4]),
    width=st.sampled_from([2, 8, 12, 40]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 40)),
    told=st.booleans(),
    silu=st.booleans(),
    seed=st.integers(0, 99),
)
def test_fused_is_the_definition(rows, groups, width, size, told, silu, seed):
    channels = groups * width
    if channels % 8:
        channels *= 4
        groups *= 4
    fused, exact = both(case(rows, channels, size[0], size[1], told, seed), groups, silu)
    for one, other in zip(fused, exact, strict=True):
        assert one.dtype == torch.float32
        # A gradient of x over a group of two values is a difference of nearly equal numbers.
        assert (one - other).abs().max() <= 2e-4 * other.abs().max() + 2e-4


@needs
@pytest.mark.parametrize("told", [False, True])
def test_fused_is_the_definition_to_the_last_digits(told):
    fused, exact = both(case(2, 64, 16, 16, told, 0), 16, True)
    for one, other in zip(fused, exact, strict=True):
        assert (one - other).norm() <= 1e-6 * other.norm()


@needs
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("silu", [False, True])
def test_bfloat16_is_rounded_once(told, silu):
    """Sums are in float32: the answer is the exact one but for the eight bits it is written in."""
    fused, exact = both(case(2, 32, 9, 7, told, 3, torch.bfloat16), 8, silu)
    assert fused[0].dtype == fused[1].dtype == torch.bfloat16
    assert (
        torch.equal(fused[0], exact[0].float().bfloat16())
        or ((fused[0] - exact[0]).abs() <= 2**-8 * exact[0].abs() + 1e-6).all()
    )
    for one, other in zip(fused[1:], exact[1:], strict=True):
        assert (one - other).norm() <= 3e-3 * other.norm()


@needs
def test_a_picture_is_the_same_in_any_batch_and_with_any_threads():
    given = case(3, 64, 33, 31, True, 1)
    alone = given.each(lambda i, part: part if i in (1, 2) else part[1:2])
    assert torch.equal(given.by(group_norm, 8, True)[1:2], alone.by(group_norm, 8, True))
    before = torch.get_num_threads()
    answers = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        answers.append(alone.by(group_norm, 8, True))
    torch.set_num_threads(before)
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


@needs
def test_a_far_mean_costs_no_digits():
    """The variance is taken around the mean, not as a difference of squares."""
    x = torch.randn(1, 8, 64, 64).contiguous(memory_format=torch.channels_last) + 4096
    one, zero = torch.ones(8), torch.zeros(8)
    exact = plain(x.double(), 2, one.double(), zero.double(), 1e-5)
    assert (group_norm(x, 2, one, zero, 1e-5) - exact).abs().max() < 2e-3


@needs
def test_what_is_not_finite_stays_so():
    given = case(2, 8, 4, 4, False, 0)
    given.x[0, 0, 0, 0] = torch.nan
    given.x[1, 0, 0, 0] = torch.inf
    y = given.by(group_norm, 1, True)
    assert not y.isfinite().any()


@needs
@pytest.mark.parametrize(
    "change",
    [
        lambda x, g: (x.contiguous(), g),
        lambda x, g: (x.double(), g.double()),
        lambda x, g: (x[:, :12], g[:12]),
        lambda x, g: (x[:0], g),
    ],
    ids=["other layout", "float64", "odd channels", "empty"],
)
def test_the_rest_goes_the_plain_way(change, monkeypatch):
    x, gamma, *_ = case(2, 16, 4, 4, False, 0)
    x, gamma = change(x, gamma)
    monkeypatch.setattr(module, "_forward", None)
    assert torch.equal(group_norm(x, 4, gamma, gamma, 1e-5), plain(x, 4, gamma, gamma, 1e-5))


@needs
def test_plain_on_request(monkeypatch):
    x, gamma, beta, *_ = case(2, 16, 4, 4, False, 0)
    monkeypatch.setattr(module, "_forward", None)
    with only_plain():
        group_norm(x, 4, gamma, beta, 1e-5)
    with pytest.raises(TypeError):
        group_norm(x, 4, gamma, beta, 1e-5)
