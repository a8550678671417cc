"""The operators on positions equal their definitions, forward and backward."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from phosphene.kernels import rms_norm as norms
from phosphene.kernels import swiglu as gates
from phosphene.kernels import turned as heads
from phosphene.kernels.library import library, plain
from phosphene.kernels.positions import suits

needs = pytest.mark.skipif(library() is None, reason="no C++ compiler here")
Operator = Callable[..., Tensor | tuple[Tensor, ...]]


def compared(
    fused: Operator, given: Sequence[Tensor | None], tolerance: float, dtype: torch.dtype = torch.float32
) -> None:
    """Answers and gradients of the operator on these, and of its twin in float64 on the same numbers."""
    results = []
    for exact in (False, True):
        kind = torch.float64 if exact else dtype
        first = None if given[0] is None else given[0].to(dtype).to(kind)
        rest = [None if part is None else part.double() if exact else part for part in given[1:]]
        leaves = [None if part is None else part.detach().requires_grad_() for part in (first, *rest)]
        if exact:
            with plain():
                made = fused(*leaves)
        else:
            made = fused(*leaves)
        answers = made if isinstance(made, tuple) else (made,)
        torch.manual_seed(9)
        above = [torch.randn(answer.shape) for answer in answers]
        total = torch.stack([(a.to(y) * y).sum() for a, y in zip(above, answers, strict=True)]).sum()
        asked = [leaf for leaf in leaves if leaf is not None]
        results.append([*answers, *torch.autograd.grad(total, asked)])
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape
        assert (one.double() - other).norm() <= tolerance * other.norm() + 1e-6


def near(dtype: torch.dtype) -> float:
    return 2e-5 if dtype == torch.float32 else 1e-2


dtypes = st.sampled_from([torch.float32, torch.bfloat16])


@needs
@given(
    rows=st.integers(1, 3),
    positions=st.sampled_from([1, 5, 300]),
    width=st.sampled_from([16, 48]),
    told=st.booleans(),
    gain=st.booleans(),
    dtype=dtypes,
)
def test_rms_norm(rows, positions, width, told, gain, dtype):
    torch.manual_seed(rows + positions)
    more = [torch.randn(rows, width) if told else None for _ in range(2)]
    x = torch.randn(rows, positions, width) * 3
    weight = torch.randn(width) if gain else None
    compared(
        lambda x, g, scale, shift: norms.rms_norm(x, g, 1e-6, scale, shift),
        [x, weight, *more],
        near(dtype),
        dtype,
    )


@needs
@given(rows=st.integers(1, 3), positions=st.integers(1, 9), width=st.sampled_from([16, 48]), dtype=dtypes)
def test_swiglu(rows, positions, width, dtype):
    torch.manual_seed(rows + positions)
    compared(gates.swiglu, [torch.randn(rows, positions, 2 * width) * 3], near(dtype), dtype)


@needs
@given(
    rows=st.integers(1, 3),
    positions=st.integers(1, 9),
    count=st.integers(1, 3),
    d=st.sampled_from([32, 64]),
    dtype=dtypes,
)
def test_turned(rows, positions, count, d, dtype):
    torch.manual_seed(rows + positions)
    qkv, angle = torch.randn(rows, positions, 3 * count * d), torch.randn(positions, d // 2) * 5
    compared(
        lambda qkv, q, k: heads.turned(qkv, q, k, angle, 1e-6),
        [qkv, torch.randn(d), torch.randn(d)],
        near(dtype),
        dtype,
    )


@needs
def test_rms_norm_of_a_constructed_position():
    x = torch.tensor([3.0, 4.0, 0.0, 0.0] * 4)[None, None]  # the mean of squares is 25 / 4
    scale, shift = torch.full((1, 16), 1.0), torch.full((1, 16), 0.5)
    y = norms.rms_norm(x, torch.full((16,), 2.5), 0.0, scale, shift)
    assert torch.equal(y, torch.tensor([6.5, 8.5, 0.5, 0.5] * 4)[None, None])


@needs
@torch.no_grad()
def test_rows_do_not_know_their_neighbours():
    torch.manual_seed(0)
    x = torch.randn(5, 7, 96).bfloat16()
    gain, angle = torch.randn(32), torch.randn(7, 16)
    for operator in (
        lambda x: norms.rms_norm(x, None, 1e-6),
        gates.swiglu,
        lambda x: heads.turned(x, gain, gain, angle, 1e-6)[0],
    ):
        assert torch.equal(operator(x)[2:3], operator(x[2:3]))


def test_what_does_not_suit_goes_by_the_definition():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12)
    assert not suits(x, 12)
    assert not suits(x.double(), 16)
    torch.testing.assert_close(
        norms.rms_norm(x, None, 0.0), x / x.square().mean(2, keepdim=True).sqrt(), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(gates.swiglu(x), functional.silu(x[..., :6]) * x[..., 6:])
