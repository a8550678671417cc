"""The gradient of attention as products of matrices is torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from phosphene.kernels import attention


def parts(b, heads, n, m, d, seed=0):
    torch.manual_seed(seed)
    shapes = ((b, n, heads, d), (b, m, heads, d), (b, m, heads, d))
    # As networks hand them over: heads out of the channels of positions.
    return [torch.randn(shape, dtype=torch.float64).transpose(1, 2).requires_grad_() for shape in shapes]


@given(
    b=st.integers(1, 3),
    heads=st.integers(1, 3),
    n=st.integers(1, 9),
    m=st.integers(1, 9),
    d=st.integers(1, 6),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_the_gradient(b, heads, n, m, d, masked, seed):
    q, k, v = parts(b, heads, n, m, d, seed)
    mask = torch.rand(b, 1, 1, m) < 0.5 if masked else None
    if mask is not None:
        mask[..., 0] = True
    o = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    do = torch.randn_like(o)
    theirs = torch.autograd.grad(o, (q, k, v), do)
    ours = attention.gradients(q.detach(), k.detach(), v.detach(), mask, o.detach(), do)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_in_bf16_it_is_near_the_exact_one(masked, monkeypatch):
    q, k, v = parts(2, 2, 16, 12, 8)
    mask = torch.arange(12)[None, None, None, :] < torch.tensor([5, 12])[:, None, None, None]
    mask = mask if masked else None
    exact = torch.autograd.grad(
        functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).square().sum(), (q, k, v)
    )
    asked, seen = [], attention.gradients
    monkeypatch.setattr(attention, "gradients", lambda *given: asked.append(1) or seen(*given))
    halves = [part.detach().bfloat16().requires_grad_() for part in (q, k, v)]
    o = attention.attend(halves[0], halves[1], halves[2], mask)
    for one, other in zip(torch.autograd.grad(o.float().square().sum(), halves), exact, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one.double() - other).norm() <= 2e-2 * other.norm()
    assert asked == [1]


def test_where_torch_is_better_it_stays_out():
    half = torch.zeros(1, 1, 8, 4, dtype=torch.bfloat16)
    assert attention.suits(half, half)
    assert not attention.suits(half.float(), half.float())
    with torch.no_grad():
        assert not attention.suits(half, half)
    long = torch.zeros(1, 1, 1024, 4, dtype=torch.bfloat16)
    assert not attention.suits(long, long)
