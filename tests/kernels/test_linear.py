"""A linear map as a convolution is the linear map, forward and backward, in the layout it had."""

import pytest
import torch
from torch.nn import functional

from phosphene.kernels import linear as module
from phosphene.kernels.linear import linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layout", ["whole", "sliced", "of a picture"])
def test_it_is_the_linear_map(bias, layout, monkeypatch):
    monkeypatch.setattr(module, "FEWEST", 1)
    monkeypatch.setattr(functional, "linear", None)
    torch.manual_seed(0)
    picture = torch.randn(1, 5, 7, 3).contiguous(memory_format=torch.channels_last)
    x = {
        "whole": torch.randn(3, 7, 5),
        "sliced": torch.randn(3, 7, 10)[:, :, 2:7],
        "of a picture": picture.flatten(2).transpose(1, 2),  # one row: the stride of rows is no whole row
    }[layout].requires_grad_()
    w = torch.randn(4, 5).requires_grad_()
    b = torch.randn(4).requires_grad_() if bias else None
    dy = torch.randn(*x.shape[:2], 4)
    leaves = [leaf for leaf in (x, w, b) if leaf is not None]
    y = linear(x, w, b)
    assert y.is_contiguous()
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    z = exact[0] @ exact[1].T + (exact[2] if bias else 0)
    found = [y, *torch.autograd.grad(y, leaves, dy)]
    wanted = [z, *torch.autograd.grad(z, exact, dy.double())]
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def test_little_work_and_other_types_go_the_plain_way(monkeypatch):
    monkeypatch.setattr(functional, "conv2d", None)
    x, w = torch.randn(1, 2, 3), torch.randn(4, 3)
    assert torch.equal(linear(x, w, None), x @ w.T)
    monkeypatch.setattr(module, "FEWEST", 1)
    assert torch.equal(linear(x.double(), w.double(), None), x.double() @ w.double().T)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, w, None).dtype == torch.bfloat16
    with pytest.raises(TypeError):
        linear(x, w, None)
