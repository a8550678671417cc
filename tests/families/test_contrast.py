"""The loss of a CLIP by hand and by transformers' SigLIP; what belongs together; retrieval."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.families.contrast import Contrast, Together, retrieval, siglip, together
from phosphene.families.family import Batch
from phosphene.networks.clip import ClipConfig, ClipNetwork, Pair
from tests.networks.perturbed import perturbed

EYE = torch.eye(2)


def all_captioned(rows: int, same: torch.Tensor | None = None) -> Together:
    equal = torch.eye(rows, dtype=torch.bool) if same is None else same
    return Together(torch.ones(rows, dtype=torch.bool), equal)


def test_the_loss_by_hand():
    """x = y = the two axes, e^t' = 2, b = -1: logits 1 where they belong together, -1 elsewhere."""
    losses = siglip(Pair(EYE, EYE), torch.tensor(math.log(2)), torch.tensor(-1.0), all_captioned(2))
    each = 2 * math.log(1 + math.exp(-1))  # -log sigmoid(1) of the pair, -log sigmoid(-(-1)) of the other
    torch.testing.assert_close(losses, torch.tensor([each, each]))
    both = siglip(
        Pair(EYE, EYE), torch.tensor(math.log(2)), torch.tensor(-1.0), all_captioned(2, torch.ones(2, 2) > 0)
    )
    torch.testing.assert_close(both, torch.full((2,), math.log(1 + math.exp(-1)) + math.log(1 + math.e)))


def test_the_loss_is_transformers():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = sizes | {"vocab_size": 20, "max_position_embeddings": 8, "pad_token_id": 0}
    text |= {"bos_token_id": 1, "eos_token_id": 2}
    vision = sizes | {"image_size": 8, "patch_size": 4}
    model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision)).eval()
    with torch.no_grad():
        model.logit_scale.fill_(1.3)
        model.logit_bias.fill_(-2.0)
        said = model(
            input_ids=torch.randint(3, 20, (5, 8)), pixel_values=torch.randn(5, 3, 8, 8), return_loss=True
        )
    pair = Pair(*(functional.normalize(side, dim=1) for side in (said.image_embeds, said.text_embeds)))
    losses = siglip(pair, model.logit_scale.detach()[0], model.logit_bias.detach()[0], all_captioned(5))
    torch.testing.assert_close(losses.mean(), said.loss, rtol=1e-6, atol=1e-6)


def heard(*rows: list[float]) -> Condition:
    """A number a token, padded with what must not be read."""
    longest = max(map(len, rows))
    tokens = torch.tensor([[*row, *[9.0 + i] * (longest - len(row))] for i, row in enumerate(rows)])
    mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])
    return Condition(tokens=tokens[:, :, None].expand(-1, -1, 3), mask=mask)


def test_pictures_of_one_caption_belong_together():
    belongs = together(heard([1, 2], [1, 3], [1, 2], [], [1], []))
    assert belongs.captioned.tolist() == [True, True, True, False, True, False]
    expected = torch.eye(6, dtype=torch.bool)
    expected[0, 2] = expected[2, 0] = expected[3, 5] = expected[5, 3] = True
    assert torch.equal(belongs.same, expected)


def test_a_picture_without_a_caption_is_left_out_of_both_sums():
    torch.manual_seed(0)
    pair = Pair(*(functional.normalize(torch.randn(4, 8), dim=1) for _ in range(2)))
    sharpness, bias = torch.tensor(1.0), torch.tensor(-0.5)
    belongs = Together(torch.tensor([True, False, True, True]), torch.eye(4, dtype=torch.bool))
    losses, kept = siglip(pair, sharpness, bias, belongs), [0, 2, 3]
    assert losses[1] == 0
    alone = siglip(Pair(pair.pictures[kept], pair.texts[kept]), sharpness, bias, all_captioned(3))
    torch.testing.assert_close(losses[kept], alone)


def test_retrieval_by_hand():
    """Picture 2 is nearest to the text of picture 1; texts 0 and 3 are one caption."""
    axes = torch.eye(4)
    pictures, texts = axes[[0, 1, 1, 0]], axes[[3, 1, 2, 0]]
    same = torch.eye(4, dtype=torch.bool)
    same[0, 3] = same[3, 0] = True
    found = retrieval(Pair(pictures, texts), all_captioned(4, same))
    # Pictures 0, 1 and 3 find theirs; text 3 its picture 0, text 1 its own, 0 and 2 meet nothing: the first.
    assert (found.text, found.among) == (0.75, 4)
    assert found.picture == 0.75
    few = retrieval(Pair(pictures, texts), Together(torch.tensor([True, True, False, True]), same))
    assert (few.text, few.among) == (1.0, 3)


CONFIG = ClipConfig(1, 8, (8,), 3, text_width=16, head_width=8, embedding=4)


@pytest.fixture(scope="module")
def network() -> ClipNetwork:
    torch.manual_seed(0)
    return perturbed(ClipNetwork(CONFIG))


def test_the_family_s_loss_and_its_gradient(network: ClipNetwork):
    """The same loss through autograd's derivative as by finite differences of t' and b."""
    batch = Batch(torch.randn(5, 1, 8, 8), heard([1, 2], [3], [1, 2], [4, 5], []), None, 0, 5)  # pyright: ignore
    family = Contrast(network)

    def loss() -> torch.Tensor:
        return family.loss("network", batch).mean()

    network.zero_grad()
    loss().backward()
    for weight in (network.sharpness, network.bias):
        step, slope = 1e-2, weight.grad
        with torch.no_grad():
            weight += step
            up = loss()
            weight -= 2 * step
            down = loss()
            weight += step
        assert slope is not None
        torch.testing.assert_close(slope, (up - down) / (2 * step), rtol=1e-2, atol=1e-4)


def test_retrieval_of_pictures_without_captions_is_none():
    nothing = Together(torch.zeros(3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool))
    found = retrieval(Pair(torch.eye(3), torch.eye(3)), nothing)
    assert math.isnan(found.text)
    assert math.isnan(found.picture)
    assert found.among == 0
