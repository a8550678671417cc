import torch
from torch import nn

from phosphene.networks.attention import CrossAttention, PixelAttention, PixelCrossAttention
from phosphene.networks.embedding import Tokens

from .perturbed import normal, perturbed


def pixel_attention() -> PixelAttention:
    return perturbed(PixelAttention(8, 4, nn.GroupNorm(2, 8)))


def test_pixel_attention_is_the_formula_head_by_head() -> None:
    attention = pixel_attention()
    x = normal(2, 8, 3, 2)
    pixels = attention.norm(x).permute(0, 2, 3, 1).reshape(2, 6, 8)
    q, k, v = (
        pixels @ w.T + b
        for w, b in zip(attention.qkv.weight.split(8), attention.qkv.bias.split(8), strict=True)
    )
    parts = []
    for head in (slice(0, 4), slice(4, 8)):
        weight = torch.softmax(q[..., head] @ k[..., head].transpose(1, 2) / 2, dim=2)
        parts.append(weight @ v[..., head])
    expected = x + attention.out(torch.cat(parts, dim=2)).reshape(2, 3, 2, 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(attention(x), expected)


def test_pixel_attention_follows_a_permutation_of_the_pixels() -> None:
    attention = pixel_attention()
    x, order = normal(2, 8, 12, 1), torch.randperm(12)
    torch.testing.assert_close(attention(x[:, :, order]), attention(x)[:, :, order])


def cross_attention() -> CrossAttention:
    return perturbed(CrossAttention(8, 4, 5))


def tokens(rows: int = 2) -> Tokens:
    mask = torch.tensor([[True, False, True, True], [False, True, False, False]])
    return Tokens(normal(rows, 4, 5, seed=5), mask[:rows])


def test_cross_attention_does_not_see_the_order_of_the_tokens() -> None:
    cross, x, given, order = cross_attention(), normal(2, 3, 8), tokens(), torch.randperm(4)
    shuffled = Tokens(given.states[:, order], given.mask[:, order])
    torch.testing.assert_close(cross(x, shuffled), cross(x, given))


def test_cross_attention_to_one_token_is_its_value() -> None:
    cross, given = cross_attention(), tokens()
    value = given.states[1, 1] @ cross.kv.weight[8:].T + cross.kv.bias[8:]
    answer = cross(normal(2, 3, 8), given)[1]
    torch.testing.assert_close(answer, cross.out(value.expand(1, 3, 8))[0])


def test_cross_attention_to_some_tokens_is_that_to_those_alone() -> None:
    cross, x, given = cross_attention(), normal(1, 3, 8), tokens(1)
    kept = Tokens(given.states[:, given.mask[0]], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(cross(x, given), cross(x, kept))


def test_padding_does_not_matter_at_all() -> None:
    cross, x, given = cross_attention(), normal(2, 3, 8), tokens()
    other = torch.where(given.mask[:, :, None], given.states, normal(2, 4, 5, seed=9))
    assert torch.equal(cross(x, Tokens(other, given.mask)), cross(x, given))


def test_pixels_attend_behind_a_norm_and_are_kept() -> None:
    attention = perturbed(PixelCrossAttention(8, 4, 5, nn.GroupNorm(2, 8)))
    x = normal(2, 8, 3, 2)
    pixels = attention.norm(x).permute(0, 2, 3, 1).reshape(2, 6, 8)
    answer = attention.cross(pixels, tokens()).reshape(2, 3, 2, 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(attention(x, tokens()), x + answer)


def test_attention_starts_as_the_identity() -> None:
    x = normal(2, 8, 3, 2)
    assert torch.equal(PixelAttention(8, 4, nn.Identity())(x), x)
    assert torch.equal(PixelCrossAttention(8, 4, 5, nn.Identity())(x, tokens()), x)
