"""The resize without matrices is the one with them, and its inverse is the inverse."""

import pytest
import torch

from phosphene.diffusion.measurement import downsampling
from phosphene.diffusion.resize import Resize


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_it_is_the_map_whose_matrices_are_known(factor: int):
    torch.manual_seed(0)
    height, width = 16, 24
    x, y = torch.randn(2, 3, height, width), torch.randn(2, 3, height // factor, width // factor)
    matrices, plain = downsampling(3, height, width, factor), Resize(factor)
    ridge = torch.tensor([0.3, 0.01])
    for ours, theirs in (
        (plain.apply(x), matrices.apply(x)),
        (plain.adjoint(y), matrices.adjoint(y)),
        (plain.fit(y), matrices.fit(y)),
        (plain.fit(y, ridge), matrices.fit(y, ridge)),
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)
    torch.testing.assert_close(plain.apply(plain.fit(y)), y, rtol=0, atol=2e-5)


def test_it_works_where_nothing_may_be_differentiated():
    with torch.inference_mode():
        y = torch.randn(1, 1, 4, 4)
        torch.testing.assert_close(Resize(2).apply(Resize(2).fit(y)), y, rtol=0, atol=2e-5)
