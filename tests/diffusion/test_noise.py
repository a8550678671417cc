"""Philox against the published vectors of Random123, and the draws built on it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.diffusion import noise


def as_words(*values: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(v) for v in values)


ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(counter, key, expected):
    drawn = noise.philox(as_words(*counter), as_words(*key))
    assert tuple(int(word) for word in drawn) == expected


@given(seed=st.integers(0, 2**63 - 1), picture=st.integers(0, 2**63 - 1), step=st.integers(0, 2**20))
def test_a_row_does_not_depend_on_its_batch(seed, picture, step):
    alone = noise.normal(noise.keys(seed, [picture]), step, (3, 5))
    batch = noise.keys(seed, [7, picture, 0])
    together = noise.normal(batch, torch.tensor([1, step, 2]), (3, 5))
    assert torch.equal(alone[0], together[1])


def test_every_part_of_the_name_matters():
    def draw(seed=1, picture=2, step=3, stream=noise.NOISE):
        return noise.normal(noise.keys(seed, [picture]), step, (64,), stream)

    base = draw()
    for other in (
        draw(seed=2),
        draw(seed=1 + 2**32),
        draw(picture=3),
        draw(picture=2 + 2**32),
        draw(step=4),
        draw(stream=1),
    ):
        assert abs(float((base * other).mean())) < 0.5
        assert not torch.equal(base, other)


def test_draws_of_one_row_are_a_prefix_of_longer_uniform_draws():
    key = noise.keys(5, range(3))
    assert torch.equal(noise.uniform(key, 0, (10,)), noise.uniform(key, 0, (1000,))[:, :10])


def test_normal_has_the_moments_and_tails_of_a_normal():
    x = noise.normal(noise.keys(0, range(64)), 0, (16384,)).double().flatten()
    n = len(x)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((x**power).mean()) - moment) < 4 * math.sqrt(variance / n)
    share = float((x.abs() > 3).double().mean())
    expected = math.erfc(3 / math.sqrt(2))
    assert abs(share - expected) < 4 * math.sqrt(expected / n)
    half = len(x) // 2  # Box-Muller's two branches are independent
    assert abs(float((x[:half] * x[half:]).mean())) < 4 / math.sqrt(half)


def test_uniform_is_strictly_inside_and_even():
    u = noise.uniform(noise.keys(3, range(16)), 0, (4096,)).flatten()
    assert float(u.min()) > 0
    assert float(u.max()) < 1
    counts = torch.histc(u, bins=64, min=0, max=1)
    expected = len(u) / 64
    assert float(((counts - expected) ** 2 / expected).sum()) < 64 + 5 * math.sqrt(2 * 64)


def test_draws_at_several_steps_are_those_of_each(monkeypatch):
    from phosphene.diffusion import noise

    keys = noise.keys(3, [0, 5])
    for at_once in (1, 2 * 12 * 3, 10**6):  # a step at a time, three, all
        monkeypatch.setattr(noise, "AT_ONCE", at_once)
        drawn = list(noise.normals(keys, [1, 2, 4, 8, 9], (3, 2, 2)))
        for step, values in zip([1, 2, 4, 8, 9], drawn, strict=True):
            assert torch.equal(values, noise.normal(keys, step, (3, 2, 2)))
    assert list(noise.normals(keys, [], (3, 2, 2))) == []


def test_between_two_keys_lies_a_standard_normal():
    """cos z0 + sin z1 at each share: the ends exactly, and moments and correlations of the great circle."""
    shape, shares = (64, 64), torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    first, second = (noise.keys(seed, [7] * 4) for seed in (1, 2))
    between = noise.Between(first, second, shares)
    z0, z1, z = (noise.normal(key, 3, shape).double() for key in (first, second, between))
    assert torch.equal(z[0], z0[0])
    assert torch.equal(z[3], z1[3])
    torch.testing.assert_close(z[2], (z0[2] + z1[2]) / math.sqrt(2), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(z[1], math.cos(math.pi / 8) * z0[1] + math.sin(math.pi / 8) * z1[1])
    for row in z:
        assert float(row.var()) == pytest.approx(1, abs=0.07)
    several = noise.normals(between, [3, 5], shape)
    assert torch.equal(next(several).double(), z)
    assert torch.equal(next(several), noise.normal(between, 5, shape))


def test_between_a_key_and_itself_is_that_key():
    key = noise.keys(3, [1, 2])
    between = noise.Between(key, noise.keys(3, [1, 5]), torch.tensor([0.5, 0.5]))
    assert torch.equal(noise.normal(between, 0, (8,))[0], noise.normal(key, 0, (8,))[0])
    assert not torch.equal(noise.normal(between, 0, (8,))[1], noise.normal(key, 0, (8,))[1])
