import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.networks.embedding import Tokens
from phosphene.networks.rotary import angles
from phosphene.networks.transformer import (
    Feed,
    Modulation,
    SelfAttention,
    TokenLayer,
    Transformer,
    TransformerConfig,
    TransformerLayer,
)

from .perturbed import normal, perturbed, question

SMALL: dict[str, Any] = {"patch": 2, "width": 16, "depth": 2, "head_width": 8}
FULL = TransformerConfig(2, 3, **SMALL, classes=5, token_width=7, augment=9, dropout=0.1)


TALKING = replace(FULL, token_depth=2, shared_modulation=True)


@pytest.fixture(scope="module", params=[FULL, TALKING], ids=["full", "talking"])
def network(request: pytest.FixtureRequest) -> Transformer:
    return perturbed(Transformer(request.param))


def test_the_first_answer_is_exactly_zero() -> None:
    for config in (FULL, TALKING):
        assert torch.equal(Transformer(config)(*question(4, 2, 4, 6)), torch.zeros(4, 3, 4, 6))


@torch.no_grad()
def test_rows_do_not_know_their_neighbours(network: Transformer) -> None:
    x, noise, condition = question(6, 2, 8, 4)
    together = network(x, noise, condition)
    for i in range(6):
        row = slice(i, i + 1)
        alone = network(x[row], noise[row], condition.each(lambda value, row=row: value[row]))
        torch.testing.assert_close(alone, together[row], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_what_stands_in_the_padding_cannot_reach_the_answer(network: Transformer) -> None:
    x, noise, condition = question(6, 2, 4, 4)
    assert condition.tokens is not None
    assert condition.mask is not None
    padding = torch.where(condition.mask[:, :, None], condition.tokens, torch.nan)
    other = Condition(condition.label, padding, condition.mask, augment=condition.augment)
    assert torch.equal(network(x, noise, other), network(x, noise, condition))


def test_every_parameter_is_learned(network: Transformer) -> None:
    x, noise, condition = question(6, 2, 4, 4)
    network.zero_grad()
    (network(x, noise, condition) * normal(6, 3, 4, 4, seed=7)).sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-6]
    assert silent == []


@torch.no_grad()
def test_a_picture_is_more_channels_of_x(network: Transformer) -> None:
    x, noise, condition = question(3, 2, 4, 4)
    given = Condition(condition.label, condition.tokens, condition.mask, x[:, 1:], condition.augment)
    assert torch.equal(network(x[:, :1], noise, given), network(x, noise, condition))


@torch.no_grad()
def test_patches_come_back_to_where_they_were_cut() -> None:
    network = Transformer(TransformerConfig(1, 2, patch=2, width=8, depth=1, head_width=4))
    x = normal(1, 1, 4, 6)
    # Every layer is the identity still: a patch hears only itself.
    nn.init.normal_(network.leave.weight)
    before = network(x, torch.zeros(1), Condition())
    x[0, 0, 3, 2] += 1
    changed = (network(x, torch.zeros(1), Condition()) != before).any(dim=1)[0]
    expected = torch.zeros(4, 6, dtype=torch.bool)
    expected[2:4, 2:4] = True
    assert torch.equal(changed, expected)
    # Within a patch: channel, then row, then column.
    nn.init.zeros_(network.leave.weight)
    network.leave.bias.data = torch.arange(8.0)
    tile = torch.arange(8.0).reshape(2, 2, 2)
    assert torch.equal(network(x, torch.zeros(1), Condition())[0], tile.repeat(1, 2, 3))


@torch.no_grad()
def test_rows_and_columns_of_the_grid_are_told_apart(network: Transformer) -> None:
    # The same eight patches, laid out as 4 x 2 and as 2 x 4, have other neighbours and another answer.
    x = normal(1, 2, 2, 16)
    patches = x.unflatten(3, (8, 2)).permute(0, 3, 1, 2, 4)[0]

    def laid(height: int, width: int) -> torch.Tensor:
        grid = (
            patches.reshape(height, width, 2, 2, 2)
            .permute(2, 0, 3, 1, 4)
            .reshape(1, 2, 2 * height, 2 * width)
        )
        answer = network(grid, torch.zeros(1), Condition())
        return answer.reshape(3, height, 2, width, 2).permute(1, 3, 0, 2, 4).reshape(8, 3, 2, 2)

    assert torch.equal(
        laid(1, 8), network(x, torch.zeros(1), Condition()).reshape(3, 2, 8, 2).permute(2, 0, 1, 3)
    )
    assert (laid(4, 2) - laid(2, 4)).abs().max() > 1e-3


def test_self_attention_is_the_formula() -> None:
    attention = perturbed(SelfAttention(16, 8))
    x, angle = normal(2, 6, 16), angles(torch.arange(2.0), torch.arange(3.0), 8)
    unit = torch.polar(torch.ones_like(angle), angle)
    q, k, v = attention.qkv(x).split(16, dim=2)

    def turned(part: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        part = part / part.square().mean(dim=2, keepdim=True).sqrt() * gain
        return torch.view_as_real(torch.complex(part[..., :4], part[..., 4:]) * unit).flatten(2)

    answers = []
    for head in (slice(0, 8), slice(8, 16)):
        turned_q = turned(q[..., head], attention.q_norm.weight)
        turned_k = turned(k[..., head], attention.k_norm.weight)
        weight = torch.softmax(turned_q @ turned_k.transpose(1, 2) / math.sqrt(8), dim=2)
        answers.append(weight @ v[..., head])
    expected = attention.out(torch.cat(answers, dim=2))
    torch.testing.assert_close(attention(x, angle), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attention_depends_only_on_relative_places() -> None:
    attention, x = perturbed(SelfAttention(16, 8)), normal(2, 6, 16)
    here = attention(x, angles(torch.arange(2.0), torch.arange(3.0), 8))
    there = attention(x, angles(torch.arange(2.0) + 7, torch.arange(3.0) - 4, 8))
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-5)
    assert (attention(x, angles(torch.arange(3.0), torch.arange(2.0), 8)) - here).abs().max() > 1e-3


@torch.no_grad()
def test_attention_follows_a_permutation_of_positions_with_their_places() -> None:
    attention, x, order = perturbed(SelfAttention(16, 8)), normal(2, 6, 16), torch.randperm(6)
    angle = angles(torch.arange(2.0), torch.arange(3.0), 8)
    torch.testing.assert_close(attention(x[:, order], angle[order]), attention(x, angle)[:, order])


@torch.no_grad()
def test_attention_does_not_feel_the_scale_of_queries_and_keys() -> None:
    attention, x = perturbed(SelfAttention(16, 8)), normal(2, 6, 16)
    angle = angles(torch.arange(2.0), torch.arange(3.0), 8)
    before = attention(x, angle)
    attention.qkv.weight[:16] *= 30
    attention.qkv.bias[:16] *= 30
    attention.qkv.weight[16:32] *= 7
    attention.qkv.bias[16:32] *= 7
    torch.testing.assert_close(attention(x, angle), before, rtol=1e-4, atol=1e-5)


def test_feed_is_swiglu() -> None:
    feed, x = perturbed(Feed(4, 6)), normal(2, 3, 4)
    gate, value = feed.both(x)[..., :6], feed.both(x)[..., 6:]
    torch.testing.assert_close(feed(x), feed.out(gate * torch.sigmoid(gate) * value))


def test_a_layer_is_its_formula() -> None:
    layer = perturbed(TransformerLayer(FULL))
    assert layer.cross is not None
    assert layer.cross_norm is not None
    x, e = normal(2, 6, 16), normal(2, 16, seed=2)
    angle = angles(torch.arange(2.0), torch.arange(3.0), 8)
    _, _, condition = question(2, 1, 1, 1)
    tokens = perturbed(Transformer(FULL)).embedding(torch.zeros(2), condition)[1]
    assert isinstance(layer.modulation, Modulation)
    scale, shift, gate, scale2, shift2, gate2 = layer.modulation.linear(e)[:, None].split(16, dim=2)

    def rms(y: torch.Tensor) -> torch.Tensor:
        return y / y.square().mean(dim=2, keepdim=True).sqrt()

    y = x + gate * layer.attention(rms(x) * (1 + scale) + shift, angle)
    y = y + layer.cross(rms(y) * layer.cross_norm.weight, tokens)
    y = y + gate2 * layer.feed(rms(y) * (1 + scale2) + shift2)
    torch.testing.assert_close(layer(x, angle, e, tokens), y, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_modulation_for_all_layers_is_that_of_each_when_tables_are_its_biases() -> None:
    each = perturbed(Transformer(replace(FULL, token_depth=2)))
    shared = perturbed(Transformer(TALKING))
    theirs = each.state_dict()
    weights = {name: w for name, w in theirs.items() if ".modulation." not in name}
    weights["together.weight"] = theirs["layers.0.modulation.linear.weight"]
    weights["together.bias"] = torch.full((96,), 0.5)
    for i in range(FULL.depth):
        theirs[f"layers.{i}.modulation.linear.weight"].copy_(weights["together.weight"])
        weights[f"layers.{i}.modulation.weight"] = theirs[f"layers.{i}.modulation.linear.bias"] - 0.5
    shared.load_state_dict(weights)
    asked = question(3, 2, 4, 6)
    torch.testing.assert_close(shared(*asked), each(*asked), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("config", [FULL, TALKING], ids=["full", "talking"])
def test_positions_stay_in_the_precision_that_is_computed_in(config: TransformerConfig) -> None:
    network, kinds = perturbed(Transformer(config)), []
    for layer in network.layers:
        layer.register_forward_hook(lambda module, given, answer: kinds.append(answer.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        network(*question(3, 2, 4, 6))
    assert kinds == [torch.bfloat16] * config.depth


@torch.no_grad()
def test_a_token_layer_is_its_formula_and_at_first_nothing() -> None:
    config = replace(FULL, token_depth=1)
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    tokens, angle = Tokens(normal(2, 5, 16), mask), angles(torch.arange(5.0), torch.zeros(1), 8)
    assert torch.equal(TokenLayer(config)(tokens, angle).states, tokens.states)
    layer = perturbed(TokenLayer(config))

    def rms(y: torch.Tensor, gain: torch.Tensor | None) -> torch.Tensor:
        assert gain is not None
        return y / y.square().mean(dim=2, keepdim=True).sqrt() * gain

    y = tokens.states
    # The second row's padding is cut away instead of masked.
    normed = rms(y, layer.attention_norm.weight)
    y = y + torch.stack(
        [
            layer.attention(normed[:1], angle)[0],
            functional.pad(layer.attention(normed[1:, :2], angle[:2])[0], (0, 0, 0, 3)),
        ]
    )
    y = y + layer.feed(rms(y, layer.feed_norm.weight))
    found = layer(tokens, angle)
    torch.testing.assert_close(found.states[mask], y[mask], rtol=1e-4, atol=1e-5)
    assert torch.equal(found.mask, mask)


@torch.no_grad()
def test_order_of_tokens_is_heard() -> None:
    network = perturbed(Transformer(TALKING))
    x, noise, tokens = normal(1, 2, 4, 4), torch.ones(1), normal(1, 3, 7, seed=5)
    answers = [network(x, noise, Condition(tokens=tokens[:, order])) for order in ([0, 1, 2], [1, 0, 2])]
    assert (answers[0] - answers[1]).abs().max() > 1e-3


def test_layers_of_tokens_need_tokens() -> None:
    with pytest.raises(ValueError, match="token_depth: 2 needs tokens, and token_width is 0"):
        TransformerConfig(1, 1, **SMALL, token_depth=2)


@torch.no_grad()
def test_both_answers_are_dropped_in_training_and_nothing_else() -> None:
    layer = perturbed(TransformerLayer(TransformerConfig(2, 3, **SMALL)))
    x, e, angle = normal(2, 6, 16), normal(2, 16, seed=2), angles(torch.arange(2.0), torch.arange(3.0), 8)
    layer.dropout.p = 1.0
    assert not torch.equal(layer(x, angle, e, None), x)
    layer.train()
    assert torch.equal(layer(x, angle, e, None), x)
    assert TransformerLayer(FULL).dropout.p == 0.1


@torch.no_grad()
def test_a_transformer_is_its_drawing(network: Transformer) -> None:
    x, noise, condition = question(3, 2, 4, 6)
    e, tokens = network.embedding(noise, condition)
    e = e * torch.sigmoid(e)
    y = network.enter(x).permute(0, 2, 3, 1).reshape(3, 6, 16)
    for layer in network.token_layers:
        tokens = layer(tokens, angles(torch.arange(7.0), torch.zeros(1), 8))
    heard = network.together(e)
    for layer in network.layers:
        y = layer(y, angles(torch.arange(2.0), torch.arange(3.0), 8), heard, tokens)
    scale, shift = network.modulation.linear(e)[:, None].split(16, dim=2)
    y = y / y.square().mean(dim=2, keepdim=True).sqrt() * (1 + scale) + shift
    tiles = network.leave(y).reshape(3, 2, 3, 3, 2, 2)  # row, column, channel, and both within the patch
    expected = tiles.permute(0, 3, 1, 4, 2, 5).reshape(3, 3, 4, 6)
    torch.testing.assert_close(network(x, noise, condition), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_answers_in_half_precision_are_close_and_without_a_warning(network: Transformer) -> None:
    asked = question(4, 2, 4, 4)
    expected = network(*asked)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = network(*asked)
    assert answer.dtype == torch.bfloat16
    torch.testing.assert_close(answer.float(), expected, rtol=0.05, atol=0.15)


def test_sizes_that_the_patch_does_not_divide_are_refused(network: Transformer) -> None:
    for height, width in ((5, 4), (4, 5)):
        with pytest.raises(ValueError, match=r"^size 5: this network takes multiples of 2$"):
            network(torch.zeros(1, 2, height, width), torch.zeros(1), Condition())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("in_channels", 0),
        ("out_channels", 0),
        ("patch", 0),
        ("width", 0),
        ("width", 20),
        ("depth", 0),
        ("hidden", 0),
        ("classes", -1),
        ("token_width", -1),
        ("augment", -1),
        ("dropout", 1.0),
        ("head_width", 6),
        ("head_width", 0),
    ],
)
def test_settings_that_cannot_be_are_named_with_their_value(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: {value} "):
        TransformerConfig(**{"in_channels": 2, "out_channels": 3, **SMALL, field: value})


def test_feed_forward_is_eight_thirds_wide_unless_told() -> None:
    assert TransformerConfig(1, 1, **{**SMALL, "width": 48}).feed_width == 128
    assert (
        TransformerConfig(1, 1, **{**SMALL, "width": 64}).feed_width == 176
    )  # 170.67, the next multiple of 8
    assert TransformerConfig(1, 1, **SMALL, hidden=5).feed_width == 5
