"""Tiles: where the network looks no farther than the halo, tiled is whole, to rounding."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import Level
from phosphene.diffusion.tiles import starts, tiled, weights
from tests.oracles import levels

KERNEL = torch.linspace(-1, 1, 2 * 2 * 25).reshape(2, 2, 5, 5)  # looks two pixels far


class Local:
    """A convolution of x and what is shown, times a number of the level; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, x: Tensor, level: Level, condition: Condition) -> Tensor:
        assert condition.picture is not None
        self.asked.append(tuple(x.shape))
        both = torch.cat([x, condition.picture], dim=1)
        return functional.conv2d(both, KERNEL, padding=2) * level.alpha.float().reshape(-1, 1, 1, 1)


def question(height: int, width: int) -> tuple[Tensor, Level, Condition]:
    torch.manual_seed(0)
    shown = Condition(picture=torch.randn(2, 1, height, width), label=torch.tensor([0, 1]))
    return torch.randn(2, 1, height, width), levels([0.6, 0.8], [0.8, 0.6]), shown


def test_tiled_is_whole_for_a_local_network():
    for height, width in ((16, 16), (17, 40), (33, 16), (50, 47)):
        asked = question(height, width)
        network = Local()
        said = tiled(network, 16, 8, 3)(*asked)
        torch.testing.assert_close(said, Local()(*asked), rtol=1e-5, atol=1e-5)
        if (height, width) != (16, 16):
            assert {shape[2:] for shape in network.asked} == {(16, 16)}
            assert max(shape[0] for shape in network.asked) <= 3


def test_without_a_halo_the_border_shows():
    """The same network is not the same where a tile is believed to its very edge."""
    asked = question(40, 40)
    said, whole = tiled(Local(), 16, 2, 8)(*asked), Local()(*asked)
    assert float((said - whole).abs().max()) > 0.1


def test_what_the_network_is_asked_does_not_grow_with_the_picture():
    small, large = Local(), Local()
    tiled(small, 16, 4, 4)(*question(24, 24))
    tiled(large, 16, 4, 4)(*question(96, 96))
    most = max(torch.Size(shape).numel() for shape in small.asked)
    assert max(torch.Size(shape).numel() for shape in large.asked) == most
    assert len(large.asked) > len(small.asked)


def test_tiles_cover_a_side_and_overlap_enough():
    for length in range(16, 90):
        at = starts(length, 16, 4)
        assert at[0] == 0
        assert at[-1] == length - 16
        assert all(b - a <= 12 for a, b in pairwise(at))
        total = torch.zeros(length)
        for start in at:
            total[start : start + 16] += weights(start, length, 16, 4)
        assert float(total.min()) > 0
    # Between two tiles: halo 2, then a ramp of 4 pixels, then wholly believed.
    expected = [0, 0, 0.125, 0.375, 0.625, 0.875, *[1.0] * 10]
    assert weights(16, 32, 16, 8).tolist() == expected
    assert weights(0, 32, 16, 8).tolist() == expected[::-1]
