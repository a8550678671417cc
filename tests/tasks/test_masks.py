"""Masks of training: functions of (seed, picture, step), of three kinds, each as it is described."""

import math

import torch

from phosphene.diffusion import noise
from phosphene.diffusion.noise import keys
from phosphene.tasks import masks


def test_a_mask_is_a_function_of_its_key_and_step():
    together = masks.known(keys(3, range(64)), 5, 16, 24)
    assert together.shape == (64, 1, 16, 24)
    assert torch.equal(masks.known(keys(3, [40]), 5, 16, 24), together[40:41])
    assert not torch.equal(masks.known(keys(3, range(64)), 6, 16, 24), together)
    assert not torch.equal(masks.known(keys(4, range(64)), 5, 16, 24), together)


def test_something_is_missing_and_something_known():
    for size in (8, 32):
        kept = masks.known(keys(0, range(2000)), 0, size, size).flatten(1).mean(1)
        assert float(kept.min()) > 0
        assert float(kept.max()) < 1


def test_a_quarter_are_boxes_and_a_quarter_borders():
    key, size = keys(0, range(1000)), 32
    missing = 1 - masks.known(key, 0, size, size)[:, 0]
    kind = noise.uniform(key, 0, (masks.DRAWN,), noise.SIGHT)[:, 0]

    def is_box(area: torch.Tensor) -> bool:
        rows, columns = area.any(1), area.any(0)
        return bool(area.sum() == rows.sum() * columns.sum())

    for row in range(200):
        area = missing[row] > 0
        if kind[row] >= 0.75:
            assert is_box(~area)
            assert 0.35**2 < float((~area).float().mean()) < 0.95**2
        elif kind[row] >= 0.5:
            assert is_box(area)
            assert 0.2**2 < float(area.float().mean()) < 0.8**2
    assert abs(float(((kind >= 0.5) & (kind < 0.75)).double().mean()) - 0.25) < 0.05


def test_strokes_begin_anywhere_and_go_anywhere():
    """By symmetry they cover the four quarters alike, and of the middle more than of any."""
    u = noise.uniform(keys(0, range(4000)), 0, (2 + 3 * masks.SEGMENTS,), noise.SIGHT).float()
    covered = masks.strokes(u, 16, 16).float().mean(0)
    quarters = [covered[:8, :8], covered[:8, 8:], covered[8:, :8], covered[8:, 8:]]
    means = torch.stack([quarter.mean() for quarter in quarters])
    torch.testing.assert_close(means, means.mean().expand(4), rtol=0.1, atol=0)
    assert float(covered[6:10, 6:10].mean()) > float(means.max())


def test_a_stroke_is_all_that_is_near_its_segments():
    """One segment straight down the middle: turns of none, the first angle a quarter of a turn."""
    u = torch.full((1, 2 + 3 * masks.SEGMENTS), 0.5)
    u[0, 0] = 0.25  # from row 0.3, whatever the angle of (0.75 - 0.5) 2 pi
    u[0, 2] = 0.75
    y, length = 0.1 + 0.8 * 0.25, 0.25
    brush = masks.WIDTHS[0] + 0.5 * (masks.WIDTHS[1] - masks.WIDTHS[0])
    found = masks.strokes(u, 100, 100)[0]
    rows, columns = masks.places(100, 100, u.device)
    end = min(1.0, y + length * masks.SEGMENTS)
    away = torch.hypot(rows - rows.clamp(y, end), columns - 0.5)
    sure = (away - brush).abs() > 1e-4
    assert torch.equal(found[sure.expand_as(found)], (away <= brush).expand_as(found)[sure.expand_as(found)])
    assert math.isclose(float(found[90].float().sum()), 2 * brush * 100, abs_tol=1)
