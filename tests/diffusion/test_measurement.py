"""Measurements: exact adjoints and least squares, against their matrices."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from phosphene.diffusion.measurement import Mask, Measurement, blur, downsampling, grey
from tests.oracles import matrix, points

SHAPE = (3, 4, 6)


def measurements() -> dict[str, Measurement]:
    keep = (points(1, 4, 6, seed=3) > 0).double()
    return {
        "mask": Mask(keep),
        "mask of channels": Mask((points(*SHAPE, seed=4) > 0).double()),
        "downsampling": downsampling(*SHAPE, 2),
        "blur": blur(*SHAPE, 0.8),
        "grey": grey(*SHAPE[1:]),
    }


ALL = pytest.mark.parametrize("name", measurements())


@ALL
def test_the_adjoint_is_exact(name):
    a = measurements()[name]
    x = points(5, *SHAPE)
    y = points(*a.apply(x).shape, seed=1)
    torch.testing.assert_close((a.apply(x) * y).sum(), (x * a.adjoint(y)).sum(), rtol=1e-13, atol=1e-13)


@ALL
@pytest.mark.parametrize("ridge", [None, 0.3])
def test_fit_is_least_squares(name, ridge):
    a = measurements()[name]
    whole = matrix(a, SHAPE)
    y = points(*a.apply(points(2, *SHAPE)).shape, seed=1)
    rows = None if ridge is None else torch.tensor([ridge, 2 * ridge], dtype=torch.float64)
    for i in range(2):
        if rows is None:
            solution = torch.linalg.pinv(whole)
        else:
            one = torch.eye(len(whole), dtype=torch.float64)
            solution = whole.mT @ torch.linalg.inv(whole @ whole.mT + rows[i] * one)
        expected = (solution @ y[i].flatten()).reshape(SHAPE)
        torch.testing.assert_close(a.fit(y, rows)[i], expected, rtol=1e-9, atol=1e-9)


def test_downsampling_is_the_antialiased_resize():
    x = points(2, 3, 12, 8)
    expected = functional.interpolate(x, (3, 2), mode="bicubic", antialias=True)
    torch.testing.assert_close(downsampling(3, 12, 8, 4).apply(x), expected, rtol=0, atol=1e-12)


def test_blur_is_scipy_s():
    x = points(9, 12)
    expected = gaussian_filter(x.numpy(), 1.5, mode="mirror", radius=5)
    seen = blur(1, 9, 12, 1.5).apply(x[None, None])[0, 0]
    torch.testing.assert_close(seen, torch.from_numpy(expected), rtol=0, atol=1e-12)


def test_grey_is_luma():
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]).double().reshape(4, 3, 1, 1)
    assert grey(1, 1).apply(colours).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114, 1])


def test_factors_and_deviations_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="factor 3: give a whole number that divides 8 and 6"):
        downsampling(1, 8, 6, 3)
    with pytest.raises(ValueError, match=r"deviation 0\.0: give pixels"):
        blur(1, 8, 6, 0.0)
