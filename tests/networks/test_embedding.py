import math
from dataclasses import replace

import pytest
import torch

from phosphene.diffusion.condition import Condition
from phosphene.networks.embedding import (
    ConditionEmbedding,
    LabelEmbedding,
    TimeEmbedding,
    TokenEmbedding,
    Tokens,
    join_picture,
    sinusoids,
)

from .perturbed import normal, perturbed, question


@pytest.mark.parametrize("cosine_first", [True, False])
@pytest.mark.parametrize("shift", [0, 1])
def test_sinusoids_are_the_closed_formula(cosine_first: bool, shift: int) -> None:
    noise = [-1.25, 0.0, 0.5, 3.0]
    given = sinusoids(torch.tensor(noise), 12, cosine_first, shift)
    for row, t in enumerate(noise):
        angles = [t / 10_000 ** (i / (6 - shift)) for i in range(6)]
        sines, cosines = [math.sin(a) for a in angles], [math.cos(a) for a in angles]
        expected = cosines + sines if cosine_first else sines + cosines
        torch.testing.assert_close(given[row], torch.tensor(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_sinusoids_are_computed_in_float32_whatever_the_noise_is(dtype: torch.dtype) -> None:
    noise = torch.tensor([64.0, 512.0])
    given = sinusoids(noise.to(dtype), 8)
    assert given.dtype == torch.float32
    assert torch.equal(given, sinusoids(noise, 8))


def test_time_embedding_is_a_perceptron_of_the_sinusoids() -> None:
    time = perturbed(TimeEmbedding(8, 5, cosine_first=False, shift=1))
    noise = torch.tensor([0.3, 2.0])
    hidden = sinusoids(noise, 8, False, 1) @ time.first.weight.T + time.first.bias
    expected = (hidden * torch.sigmoid(hidden)) @ time.last.weight.T + time.last.bias
    torch.testing.assert_close(time(noise), expected)


def test_no_label_is_the_last_row_of_the_table() -> None:
    label = LabelEmbedding(3, 4)
    assert torch.equal(label(torch.tensor([-1, 0, 2])), label.weight[[3, 0, 2]])
    assert len(torch.unique(label.weight, dim=0)) == 4


def test_the_mean_counts_only_what_the_mask_counts() -> None:
    states = torch.tensor([[[1.0], [3.0], [50.0]], [[2.0], [40.0], [60.0]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert torch.equal(Tokens(states, mask).mean(), torch.tensor([[2.0], [2.0]]))


def test_the_null_token_counts_exactly_where_no_other_does() -> None:
    embedding = perturbed(TokenEmbedding(7, 4))
    mask = torch.tensor([[True, False, True], [False, False, False]])
    states, counted = embedding(normal(2, 3, 7), mask, 2)
    assert torch.equal(counted, torch.tensor([[False, True, False, True], [True, False, False, False]]))
    assert torch.equal(states[:, 0], embedding.null.expand(2, 4))


def test_a_token_is_normalised_then_projected() -> None:
    embedding = perturbed(TokenEmbedding(7, 4))
    tokens = normal(2, 3, 7)
    states, counted = embedding(tokens, None, 2)
    standard = (tokens - tokens.mean(2, keepdim=True)) / tokens.std(2, keepdim=True, correction=0)
    expected = embedding.linear(standard * embedding.norm.weight + embedding.norm.bias)
    torch.testing.assert_close(states[:, 1:], expected, rtol=1e-4, atol=1e-4)
    assert counted[:, 1:].all()


def make() -> ConditionEmbedding:
    return perturbed(ConditionEmbedding(TimeEmbedding(8, 6), 6, classes=5, token_width=7, augment=9))


def test_everything_is_added() -> None:
    embedding = make()
    _, noise, condition = question(4, 1, 1, 1)
    e, tokens = embedding(noise, condition)
    assert embedding.label is not None
    assert embedding.augment is not None
    assert condition.augment is not None
    assert tokens is not None
    label = embedding.label.weight[condition.label]
    augment = condition.augment @ embedding.augment.weight.T
    torch.testing.assert_close(e, embedding.time(noise) + label + augment + tokens.mean())


def test_what_is_absent_is_its_null() -> None:
    embedding = make()
    _, noise, condition = question(4, 1, 1, 1)
    null = replace(condition.null(), augment=torch.zeros(4, 9))
    torch.testing.assert_close(embedding(noise, Condition())[0], embedding(noise, null)[0])


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (Condition(label=torch.tensor([0])), "label: .* classes = 0"),
        (Condition(tokens=torch.zeros(1, 2, 3)), "tokens: .* token_width = 0"),
        (Condition(augment=torch.zeros(1, 9)), "augment: .* augment = 0"),
    ],
)
def test_a_condition_that_would_not_be_heard_is_refused(condition: Condition, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ConditionEmbedding(TimeEmbedding(8, 6), 6)(torch.zeros(1), condition)


def test_a_picture_joins_the_channels_of_x() -> None:
    x, picture = normal(2, 1, 4, 4), normal(2, 3, 4, 4, seed=2)
    joined = join_picture(x, Condition(picture=picture), 4)
    assert torch.equal(joined, torch.cat([x, picture], dim=1))
    assert join_picture(x, Condition(), 1) is x
    with pytest.raises(ValueError, match="channels: 1 of x, but this network takes in_channels = 4"):
        join_picture(x, Condition(), 4)
    with pytest.raises(ValueError, match=r"channels: 1 of x and 3 of picture, .* in_channels = 3"):
        join_picture(x, Condition(picture=picture), 3)
