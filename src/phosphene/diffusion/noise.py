"""Counter-based randomness: Philox4x32-10 (Salmon 2011, "Parallel random numbers: as easy as 1, 2, 3").

A draw is a pure function of (seed, picture, step, position): there is no state to save, to advance or to
share. A picture is the same whatever batch it was drawn in, and a run resumes exactly. Only integer
operations come before the last line, so every device draws the same bits.

    key     = seed                                   64 bits
    counter = (position, step + stream, picture)     32 + 32 + 64 bits
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from phosphene.kernels import philox as fast

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

AT_ONCE = 2**17  # values that `normals` draws together
# Streams keep draws for different purposes apart under one (seed, picture, step).
NOISE, TIME, DROP, AUGMENT, DEQUANTIZE, CAPTION, SIGHT, SHOWN = range(8)
STREAMS = 16


class Key(NamedTuple):
    """Whose randomness: for each row of a batch a seed and the number of a picture under that seed."""

    seed: Int64[Tensor, " b"]
    picture: Int64[Tensor, " b"]

    def to(self, device: torch.device | str) -> "Key":
        return Key(self.seed.to(device), self.picture.to(device))


class Between(NamedTuple):
    """Randomness on the way from one key's to another's: for each row a share, 0 is the first, 1 the second.

    Of independent standard normal z_0, z_1 each mix

        z = cos(pi share / 2) z_0 + sin(pi share / 2) z_1

    is standard normal again: the great circle between draws that are, in many dimensions, nearly orthogonal
    (slerp, Shoemake 1985, at the right angle). So a row on the way is as good a sample as its ends, with
    every solver, whose fresh noise is mixed as the beginning is. Equal keys have nothing between them.
    """

    first: Key
    second: Key
    share: Float[Tensor, " b"]

    @property
    def seed(self) -> Int64[Tensor, " b"]:
        """One for each row, where the rows are."""
        return self.first.seed

    def to(self, device: torch.device | str) -> "Between":
        return Between(self.first.to(device), self.second.to(device), self.share.to(device))

    def mixed(self, draw: Callable[[Key], Tensor]) -> Tensor:
        """What is drawn with either key, mixed."""
        z = draw(self.first)
        share = self.share.double() * (math.pi / 2)
        same = (self.first.seed == self.second.seed) & (self.first.picture == self.second.picture)
        # sin on both sides: it is exactly 0 at one end and 1 at the other.
        kept = torch.where(same, 1, torch.sin(math.pi / 2 - share)).to(z).view(-1, *[1] * (z.ndim - 1))
        taken = torch.where(same, 0, torch.sin(share)).to(z).view(-1, *[1] * (z.ndim - 1))
        return kept * z + taken * draw(self.second)


def keys(seed: int, pictures: Iterable[int]) -> Key:
    """The keys of some pictures of one seed. A seed is any integer in [0, 2^63)."""
    numbers = torch.tensor(list(pictures), dtype=torch.int64)
    return Key(torch.full_like(numbers, seed), numbers)


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four words of 32 random bits from four words of counter and two of key, all int64 in [0, 2^32)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        # The 64-bit product wraps in int64; its low and high words survive the wrap.
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> 32 & MASK) ^ c1 ^ k0,
            p1 & MASK,
            (p0 >> 32 & MASK) ^ c3 ^ k1,
            p0 & MASK,
        )
        k0, k1 = k0 + WEYL[0] & MASK, k1 + WEYL[1] & MASK
    return c0, c1, c2, c3


def words(key: Key, step: int | Int64[Tensor, " b"], count: int, stream: int) -> Int64[Tensor, "b count"]:
    """`count` words of 32 random bits for each row."""
    assert 0 <= stream < STREAMS
    # Filled on the device: a number that is copied there would be waited for.
    turn = step.to(key.seed) if isinstance(step, Tensor) else torch.full_like(key.seed, step)
    turn = turn * STREAMS + stream
    if fast.suits(key.seed):
        return fast.words(key.seed, key.picture, turn.expand(len(key.seed)), count)
    blocks = torch.arange((count + 3) // 4, device=key.seed.device)
    picture, seed = key.picture[:, None], key.seed[:, None]
    counter = (blocks, turn[:, None] & MASK, picture & MASK, picture >> 32 & MASK)
    drawn = philox(counter, (seed & MASK, seed >> 32 & MASK))
    return torch.stack(torch.broadcast_tensors(*drawn), dim=-1).flatten(1)[:, :count]


def uniform(
    key: Key, step: int | Int64[Tensor, " b"], shape: tuple[int, ...] = (), stream: int = TIME
) -> Float[Tensor, "b ..."]:
    """Uniform float64 values strictly inside (0, 1), of the given shape for each row."""
    bits = words(key, step, math.prod(shape), stream)
    return ((bits.double() + 0.5) / (MASK + 1)).reshape(len(bits), *shape)


def normal(
    key: Key | Between, step: int | Int64[Tensor, " b"], shape: tuple[int, ...], stream: int = NOISE
) -> Float[Tensor, "b ..."]:
    """Standard normal float32 values of the given shape for each row (Box-Muller on pairs of words)."""
    if isinstance(key, Between):
        return key.mixed(lambda one: normal(one, step, shape, stream))
    count = math.prod(shape)
    pairs = (count + 1) // 2
    bits = words(key, step, 2 * pairs, stream)
    # 32 bits do not fit float32's mantissa: the radius is taken from float64 so that its tail is whole.
    radius = torch.sqrt(-2 * torch.log((bits[:, :pairs].double() + 0.5) / (MASK + 1)))
    angle = bits[:, pairs:].double() * (2 * math.pi / (MASK + 1))
    both = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
    return both[:, :count].float().reshape(len(bits), *shape)


def normals(
    key: Key | Between, steps: Sequence[int], shape: tuple[int, ...], stream: int = NOISE
) -> Iterator[Float[Tensor, "b ..."]]:
    """`normal` at each of the steps in turn. Where rows are few and small, several are drawn at once: what a
    draw costs beside its values then counts once."""
    rows = len(key.seed)
    if not steps:
        return
    if isinstance(key, Between):
        yield from (normal(key, step, shape, stream) for step in steps)
        return
    together = max(1, AT_ONCE // max(1, rows * math.prod(shape)))
    for some in torch.tensor(steps, device=key.seed.device).split(together):
        many = Key(key.seed.repeat(len(some)), key.picture.repeat(len(some)))
        turn = some[:, None].expand(-1, rows).reshape(-1)
        drawn = normal(many, turn, shape, stream)
        for i in range(len(some)):
            yield drawn[i * rows : (i + 1) * rows]
