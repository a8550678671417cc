"""PSNR in closed form."""

import numpy as np
import pytest

from phosphene.measures.nearness import psnr


def test_psnr_is_its_definition():
    real = np.full((3, 1, 4, 4), 100, np.uint8)
    made = real.copy()
    made[0] += 51  # a fifth of the peak everywhere
    made[1, 0, 0, 0] = 0  # 100 at one of 16
    found = psnr(made, real)
    assert found[0] == pytest.approx(20 * np.log10(5))
    assert found[1] == pytest.approx(10 * np.log10(255**2 / (100**2 / 16)))
    assert found[2] == pytest.approx(10 * np.log10(255**2 * 12))
