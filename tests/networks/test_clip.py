"""The towers: unit vectors, one row at a time, of what counts only."""

import pytest
import torch

from phosphene.diffusion.condition import Condition
from phosphene.networks.build import build, describe, outer, repeated, understand
from phosphene.networks.clip import BIAS, SHARPNESS, ClipConfig, ClipNetwork, Pool
from phosphene.networks.embedding import Tokens
from tests.networks.perturbed import perturbed

CONFIG = ClipConfig(3, 16, (8, 16), 6, text_width=16, head_width=8, embedding=5)


@pytest.fixture(scope="module")
def network() -> ClipNetwork:
    torch.manual_seed(0)
    return perturbed(build(CONFIG)).eval()


def condition(rows: int = 4) -> Condition:
    lengths = torch.tensor([3, 5, 1, 2])[:rows]
    return Condition(tokens=torch.randn(rows, 5, 6), mask=torch.arange(5) < lengths[:, None])


def test_answers_are_unit_vectors_that_do_not_depend_on_their_neighbours(network: ClipNetwork):
    torch.manual_seed(1)
    x, told = torch.randn(4, 3, 16, 16), condition()
    with torch.no_grad():
        pair = network(x, told)
        for side in pair:
            torch.testing.assert_close(side.norm(dim=1), torch.ones(4))
        for i in range(4):
            alone = network(x[i : i + 1], told.each(lambda value, i=i: value[i : i + 1]))
            torch.testing.assert_close(alone.pictures, pair.pictures[i : i + 1], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(alone.texts, pair.texts[i : i + 1], rtol=1e-5, atol=1e-6)


def test_padding_is_not_read(network: ClipNetwork):
    torch.manual_seed(1)
    told = condition()
    assert told.tokens is not None
    assert told.mask is not None
    other = Condition(tokens=torch.where(told.mask[:, :, None], told.tokens, 7.0), mask=told.mask)
    with torch.no_grad():
        assert torch.equal(network.texts(told), network.texts(other))
        torch.testing.assert_close(network.texts(told.padded(16)), network.texts(told))


def test_places_count(network: ClipNetwork):
    """A picture and its mirror image, whose means over places are the same."""
    torch.manual_seed(1)
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(network.pictures(x), network.pictures(x.flip(3)), atol=0.01)


def test_a_query_takes_from_the_tokens_that_count_by_hand():
    pool = Pool(4, 2)
    states, mask = torch.randn(1, 3, 4), torch.tensor([[True, True, False]])
    k, v = pool.kv(states).chunk(2, dim=2)
    heads = []
    for head in (slice(0, 2), slice(2, 4)):
        weight = torch.softmax(k[0, :2, head] @ pool.query[head] / 2**0.5, 0)
        heads.append(weight @ v[0, :2, head])
    expected = pool.out(torch.cat(heads))
    torch.testing.assert_close(pool(Tokens(states, mask))[0], expected)


def test_the_first_sharpness_and_bias_are_siglip_s():
    fresh = ClipNetwork(CONFIG)
    assert float(fresh.sharpness.detach().exp()) == pytest.approx(10)
    first = fresh.sharpness.detach(), fresh.bias.detach()
    assert (float(first[0]), float(first[1])) == (pytest.approx(SHARPNESS), BIAS)


def test_the_configuration_survives_json_and_names_what_is_wrong(network: ClipNetwork):
    assert understand(describe(CONFIG)) == CONFIG
    assert repeated(CONFIG) == ("block", 8)
    names = [name for name, _ in network.named_modules()]
    assert all(name in names for name in outer(network))
    for values, words in (
        ({"widths": [12]}, "widths: 12 is not a positive multiple of 8"),
        ({"size": 18}, "size: 18 is not a positive multiple of 4"),
        ({"text_width": 12}, "text_width: 12 is not a multiple of head_width 8"),
    ):
        with pytest.raises(ValueError, match=words):
            understand({**describe(CONFIG), **values})
    with pytest.raises(ValueError, match="pictures: 1x16x16 values; this network takes 3x16x16"):
        network.pictures(torch.zeros(1, 1, 16, 16))
