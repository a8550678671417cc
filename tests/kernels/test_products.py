"""The weight gradient as a product of matrices equals torch's, exactly where arithmetic is exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from phosphene.kernels import products
from phosphene.kernels.convolution import conv3x3
from phosphene.networks.layers import Conv3x3


@given(
    rows=st.integers(1, 3),
    channels=st.integers(1, 5),
    out=st.integers(1, 4),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_the_gradient(rows, channels, out, size, last, seed):
    """Small whole numbers: every sum is exact, whatever its order."""
    torch.manual_seed(seed)
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randint(-4, 5, (rows, channels, *size)).double().contiguous(memory_format=layout)
    dy = torch.randint(-4, 5, (rows, out, *size)).double()
    w = torch.zeros(out, channels, 3, 3, dtype=torch.float64, requires_grad=True)
    functional.conv2d(x, w, padding=1).backward(dy)
    assert w.grad is not None
    assert torch.equal(products.weight_gradient(x, dy), w.grad)


@pytest.mark.parametrize("size", [8, 9])
def test_a_layer_under_autocast_learns_the_same(size, monkeypatch):
    """At 8x8 by products, above by torch; all three gradients and the answer."""
    torch.manual_seed(0)
    asked = []
    seen = products.weight_gradient
    monkeypatch.setattr(products, "weight_gradient", lambda x, dy: asked.append(1) or seen(x, dy))
    layer = Conv3x3(8, 16)
    plain = nn.Conv2d(8, 16, 3, padding=1)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 8, size, size)
    answers = []
    for each in (layer, plain):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = each(leaf)
        assert y.dtype == torch.bfloat16
        answers.append(
            (y.float(), *torch.autograd.grad(y.float().square().sum(), [leaf, *each.parameters()]))
        )
    for one, other in zip(*answers, strict=True):
        assert (one - other).norm() <= 4e-3 * other.norm()  # a rounding of bf16
    assert len(asked) == (size == 8)


def test_in_float32_it_stays_out():
    x = torch.randn(1, 8, 4, 4).requires_grad_()
    assert not products.suits(x)
    assert conv3x3(x, torch.randn(8, 8, 3, 3), None).dtype == torch.float32
