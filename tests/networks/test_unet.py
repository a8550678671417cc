import re
from typing import Any

import pytest
import torch
from torch import nn

from phosphene.diffusion.condition import Condition
from phosphene.networks.blocks import DownStage, Layer, UpStage
from phosphene.networks.unet import UNet, UNetConfig, smallest_multiple

from .perturbed import normal, perturbed, question

SMALL: dict[str, Any] = {"widths": (8, 12), "attention": (False, True), "blocks": 1}
FULL = UNetConfig(2, 3, **SMALL, head_width=4, classes=5, token_width=7, augment=9, dropout=0.1)
SCALED = UNetConfig(
    2, 3, **SMALL, classes=5, token_width=7, augment=9, scale_shift=True, middle_attention=False
)


@pytest.fixture(scope="module", params=[FULL, SCALED], ids=["added", "scaled"])
def network(request: pytest.FixtureRequest) -> UNet:
    return perturbed(UNet(request.param))


def test_the_first_answer_is_exactly_zero() -> None:
    assert torch.equal(UNet(FULL)(*question(4, 2, 4, 6)), torch.zeros(4, 3, 4, 6))


@torch.no_grad()
def test_a_u_net_is_its_drawing() -> None:
    network: Any = perturbed(UNet(FULL))
    x, noise, condition = question(4, 2, 4, 6)
    e, tokens = network.embedding(noise, condition)
    e = e * torch.sigmoid(e)

    def up(level: int, part: int, *pictures: torch.Tensor) -> torch.Tensor:
        return network.up[level].layers[part](torch.cat(pictures, dim=1), e, tokens)

    a = network.enter(x)
    b = network.down[0].layers[0](a, e, tokens)
    c = network.down[0].step(b)
    d = network.down[1].layers[0](c, e, tokens)
    y = network.middle[1](network.middle[0](d, e, tokens), e, tokens)
    y = network.up[0].step(up(0, 1, up(0, 0, y, d), c))
    y = network.norm(up(1, 1, up(1, 0, y, b), a))
    torch.testing.assert_close(network(x, noise, condition), network.leave(y * torch.sigmoid(y)))


@torch.no_grad()
def test_rows_do_not_know_their_neighbours(network: UNet) -> None:
    x, noise, condition = question(6, 2, 8, 4)
    together = network(x, noise, condition)
    for i in range(6):
        row = slice(i, i + 1)
        alone = network(x[row], noise[row], condition.each(lambda value, row=row: value[row]))
        torch.testing.assert_close(alone, together[row], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_what_stands_in_the_padding_cannot_reach_the_answer(network: UNet) -> None:
    x, noise, condition = question(6, 2, 4, 4)
    assert condition.tokens is not None
    assert condition.mask is not None
    padding = torch.where(condition.mask[:, :, None], condition.tokens, torch.nan)
    other = Condition(condition.label, padding, condition.mask, augment=condition.augment)
    assert torch.equal(network(x, noise, other), network(x, noise, condition))


@torch.no_grad()
def test_every_part_of_the_condition_is_heard(network: UNet) -> None:
    x, noise, condition = question(6, 2, 4, 4)
    rows = torch.tensor([1, 2, 5])  # these have a label and a token
    x, noise, condition = x[rows], noise[rows], condition.each(lambda value: value[rows])
    answer = network(x, noise, condition)
    null = condition.null()
    for other in (
        Condition(null.label, condition.tokens, condition.mask, augment=condition.augment),
        Condition(condition.label, condition.tokens, null.mask, augment=condition.augment),
        Condition(condition.label, condition.tokens, condition.mask),
    ):
        difference = (network(x, noise, other) - answer).abs().amax(dim=(1, 2, 3))
        assert difference.min() > 1e-3
    assert (network(x, noise + 1, condition) - answer).abs().amax(dim=(1, 2, 3)).min() > 1e-4


@torch.no_grad()
def test_tokens_are_attended_to_and_not_only_averaged() -> None:
    network = perturbed(UNet(FULL))
    x, noise, condition = question(3, 2, 4, 4)
    silent = perturbed(UNet(FULL))
    for part in silent.modules():
        if isinstance(part, Layer):
            part.cross = None
    assert not torch.allclose(network(x, noise, condition), silent(x, noise, condition))


def test_every_parameter_is_learned(network: UNet) -> None:
    x, noise, condition = question(6, 2, 4, 4)
    network.zero_grad()
    (network(x, noise, condition) * normal(6, 3, 4, 4, seed=7)).sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-6]
    assert silent == []


@torch.no_grad()
def test_a_picture_is_more_channels_of_x(network: UNet) -> None:
    x, noise, condition = question(3, 2, 4, 4)
    given = Condition(condition.label, condition.tokens, condition.mask, x[:, 1:], condition.augment)
    assert torch.equal(network(x[:, :1], noise, given), network(x, noise, condition))


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    config = UNetConfig(1, 1, widths=(8, 8, 8), attention=(False,) * 3, blocks=1)
    assert smallest_multiple(config) == 4
    for height, width in ((30, 32), (32, 30)):
        with pytest.raises(ValueError, match=r"^size 30: this network takes multiples of 4$"):
            UNet(config)(torch.zeros(1, 1, height, width), torch.zeros(1), Condition())


@pytest.mark.parametrize(
    ("widths", "groups"),
    [((128, 256), 32), ((32, 64), 8), ((48, 96), 12), ((36, 60), 6), ((2,), 1), ((8, 13), 1)],
)
def test_groups_that_are_picked_divide_every_width(widths: tuple[int, ...], groups: int) -> None:
    assert UNetConfig(1, 1, widths, (False,) * len(widths)).norm_groups == groups


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("in_channels", 0),
        ("out_channels", 0),
        ("blocks", 0),
        ("classes", -1),
        ("token_width", -1),
        ("augment", -1),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("eps", 0.0),
        ("widths", ()),
        ("widths", (8, 0)),
        ("widths", (7, 12)),
        ("attention", (True,)),
        ("groups", 3),
        ("groups", 0),
        ("head_width", 8),
        ("head_width", 0),
    ],
)
def test_settings_that_cannot_be_are_named_with_their_value(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: [^\n]*{re.escape(str(value).strip('()'))}"):
        UNetConfig(**{"in_channels": 2, "out_channels": 3, **SMALL, field: value})


def test_a_head_must_divide_only_widths_that_attend() -> None:
    UNetConfig(1, 1, widths=(10, 16), attention=(False, False), head_width=8)
    with pytest.raises(ValueError, match="head_width: 8 does not divide"):
        UNetConfig(1, 1, widths=(16, 10), attention=(True, False), head_width=8)
    UNetConfig(1, 1, widths=(16, 10), attention=(True, False), head_width=8, middle_attention=False)


def layers(stage: nn.Module) -> int:
    assert isinstance(stage, DownStage | UpStage)
    return len(stage.layers)


def test_more_layers_at_low_resolution_and_scaled_skips():
    """Imagen's efficient U-Net: no layers at full size on the way down, and one number a level elsewhere."""
    config = UNetConfig(
        1, 1, widths=(8, 8, 16), attention=(False, False, True), blocks=(0, 1, 3), head_width=8
    )
    network = UNet(config)
    assert [layers(stage) for stage in network.down] == [0, 1, 3]
    assert [layers(stage) for stage in network.up] == [4, 2, 1]
    same = UNet(UNetConfig(1, 1, widths=(8, 16), attention=(False, True), blocks=(2, 2), head_width=8))
    plain = UNet(UNetConfig(1, 1, widths=(8, 16), attention=(False, True), blocks=2, head_width=8))
    assert {k: v.shape for k, v in same.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }
    x = torch.randn(2, 1, 8, 8)
    assert network(x, torch.zeros(2), Condition()).shape == x.shape
    with pytest.raises(ValueError, match=r"blocks: \(1, 0\) must be a number for each of"):
        UNetConfig(1, 1, widths=(8, 16), attention=(False, True), blocks=(1, 0), head_width=8)


def test_a_scaled_skip_counts_by_the_root_of_a_half():
    """The same answer as unscaled weights that read the skip by 1 / sqrt(2)."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(8, 4, 1)

    class Reads(torch.nn.Module):
        def forward(self, x: torch.Tensor, e: torch.Tensor, tokens: None) -> torch.Tensor:
            return layer(x)

    x, skip, e = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3), torch.randn(1, 2)
    stage = UpStage([], None, True)
    stage.layers.append(Reads())
    said = stage(x, [skip], e, None)
    torch.testing.assert_close(said, layer(torch.cat([x, skip / 2**0.5], 1)))
