import pytest
import torch
from torch import nn
from torch.nn import functional

from phosphene.networks.blocks import Added, Down, ResidualBlock, Scaled, Up
from phosphene.networks.layers import Norm

from .perturbed import normal, perturbed


def normed(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(norm, nn.GroupNorm)
    return functional.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)


def test_the_embedding_is_added_before_the_norm() -> None:
    hear = perturbed(Added(4, 3, Norm(2, 4)))
    h, e = normal(2, 4, 3, 3), normal(2, 3)
    torch.testing.assert_close(hear.added(e), e @ hear.linear.weight.T + hear.linear.bias)
    torch.testing.assert_close(hear(h, e), functional.silu(normed(hear.norm, h)))


def test_a_block_is_its_formula() -> None:
    part, x, e = perturbed(block(6)), normal(2, 4, 3, 3), normal(2, 3)
    assert isinstance(part.hear, Added)
    h = functional.conv2d(
        functional.silu(normed(part.norm, x)), part.first.weight, part.first.bias, padding=1
    )
    h = h + (e @ part.hear.linear.weight.T + part.hear.linear.bias).reshape(2, 6, 1, 1)
    h = functional.silu(normed(part.hear.norm, h))
    expected = part.skip(x) + functional.conv2d(h, part.last.weight, part.last.bias, padding=1)
    torch.testing.assert_close(part(x, e), expected)


def test_the_embedding_scales_and_shifts_behind_the_norm() -> None:
    hear = perturbed(Scaled(4, 3, Norm(2, 4)))
    h, e = normal(2, 4, 3, 3), normal(2, 3)
    both = (e @ hear.linear.weight.T + hear.linear.bias).reshape(2, 8, 1, 1)
    expected = functional.silu(normed(hear.norm, h) * (1 + both[:, :4]) + both[:, 4:])
    torch.testing.assert_close(hear(h, e), expected)


def block(out: int, dropout: float = 0.0) -> ResidualBlock:
    return ResidualBlock(4, out, Norm(2, 4), Added(out, 3, Norm(2, out)), dropout)


@pytest.mark.parametrize("out", [4, 6])
def test_a_block_starts_as_its_skip(out: int) -> None:
    part, x = block(out), normal(2, 4, 3, 3)
    assert torch.equal(part(x, normal(2, 3)), part.skip(x))
    assert isinstance(part.skip, nn.Identity) == (out == 4)


def test_a_block_drops_only_in_training() -> None:
    part, x, e = perturbed(block(4, dropout=0.5)), normal(2, 4, 3, 3), normal(2, 3)
    assert torch.equal(part(x, e), part(x, e))
    part.train()
    assert not torch.equal(part(x, e), part(x, e))


def test_down_pads_all_around_or_below_and_to_the_right() -> None:
    x = normal(2, 4, 6, 8)
    for asymmetric, padding in ((False, (1, 1, 1, 1)), (True, (0, 1, 0, 1))):
        down = perturbed(Down(4, asymmetric))
        expected = functional.conv2d(functional.pad(x, padding), down.conv.weight, down.conv.bias, stride=2)
        torch.testing.assert_close(down(x), expected)


def test_up_repeats_every_pixel() -> None:
    up, x = perturbed(Up(4)), normal(2, 4, 3, 2)
    repeated = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(up(x), up.conv(repeated))
