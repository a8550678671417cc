"""CLIP: a tower for pictures and one for texts, whose answers are unit vectors (Radford 2021).

    picture   residual blocks, half the size after each stage; each place that is left is read as its own
    text      states of a frozen language model, embedded; queries take from those that count; SwiGLU

Places count in a caption ("left of"), so the last grid is not averaged: a picture has one size.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.networks.attention import heads, joined
from phosphene.networks.blocks import Plain
from phosphene.networks.config import at_least, share
from phosphene.networks.embedding import TokenEmbedding, Tokens
from phosphene.networks.layers import Linear, Norm
from phosphene.networks.transformer import Feed, PositionNorm

GROUPS = 8  # of every norm
SHARPNESS, BIAS = math.log(10), -10.0  # t' and b at first (Zhai 2023, section 3.2)


@dataclass(frozen=True)
class ClipConfig:
    """channels, size: of a picture. widths: channels of each stage, the first at half the size.

    blocks: a stage. token_width: of the language model's states. text_width: of the text tower, head_width:
    of its heads. embedding: numbers of an answer. dropout: before either tower's last layer.
    """

    channels: int
    size: int
    widths: tuple[int, ...]
    token_width: int
    blocks: int = 1
    text_width: int = 256
    head_width: int = 32
    embedding: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, channels=self.channels, widths=len(self.widths), token_width=self.token_width)
        at_least(1, blocks=self.blocks, text_width=self.text_width, head_width=self.head_width)
        at_least(1, embedding=self.embedding)
        share(dropout=self.dropout)
        for width in self.widths:
            if width < GROUPS or width % GROUPS:
                raise ValueError(f"widths: {width} is not a positive multiple of {GROUPS}")
        if self.text_width % self.head_width:
            raise ValueError(
                f"text_width: {self.text_width} is not a multiple of head_width {self.head_width}"
            )
        if self.size < self.multiple or self.size % self.multiple:
            raise ValueError(f"size: {self.size} is not a positive multiple of {self.multiple}")

    @property
    def multiple(self) -> int:
        """Of which the size is one: each stage halves it."""
        return 2 ** len(self.widths)


class Pair(NamedTuple):
    """Unit vectors of pictures and of their texts."""

    pictures: Float[Tensor, "b d"]
    texts: Float[Tensor, "b d"]


class PictureTower(nn.Module):
    """Values in [-1, 1] to vectors of any length."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        widths = config.widths
        self.enter = nn.Conv2d(config.channels, widths[0], 5, stride=2, padding=2)
        befores = (widths[0], *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Plain(before if i == 0 else width, width, GROUPS) for i in range(config.blocks)))
            for before, width in zip(befores, widths, strict=True)
        )
        self.norm = Norm(GROUPS, widths[-1])
        self.dropout = nn.Dropout(config.dropout)
        side = config.size // config.multiple
        self.leave = nn.Linear(widths[-1] * side**2, config.embedding)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        h = self.enter(x).contiguous(memory_format=torch.channels_last)
        for i, stage in enumerate(self.stages):
            h = stage(h if i == 0 else functional.avg_pool2d(h, 2))
        return self.leave(self.dropout(self.norm(h, silu=True).flatten(1)))


class Pool(nn.Module):
    """One vector of the tokens that count: out(softmax(q k') v), a learned query q a head."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.query = nn.Parameter(torch.randn(width))
        self.kv = Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "b width"]:
        k, v = (heads(part, self.head_width) for part in self.kv(tokens.states).chunk(2, dim=2))
        q = heads(self.query.to(k.dtype).expand(len(k), 1, -1), self.head_width)
        mask = tokens.mask[:, None, None, :]
        return self.out(joined(functional.scaled_dot_product_attention(q, k, v, attn_mask=mask))[:, 0])


class TextTower(nn.Module):
    """States of a text's tokens to vectors of any length; a row without a token is that of a learned one."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width = config.text_width
        self.embedding = TokenEmbedding(config.token_width, width)
        self.pool = Pool(width, config.head_width)
        self.feed_norm = PositionNorm(width, gain=True)
        self.feed = Feed(width, 2 * width)
        self.norm = PositionNorm(width, gain=True)
        self.dropout = nn.Dropout(config.dropout)
        self.leave = nn.Linear(width, config.embedding)

    def forward(self, condition: Condition) -> Float[Tensor, "b d"]:
        assert condition.tokens is not None
        h = self.pool(self.embedding(condition.tokens, condition.mask, len(condition.tokens)))[:, None]
        h = h + self.feed(self.feed_norm(h))
        return self.leave(self.dropout(self.norm(h)[:, 0]))


class ClipNetwork(nn.Module):
    """network(pictures, condition) -> Pair. sharpness: t', the logarithm of what similarities are multiplied
    with; bias: b."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.picture = PictureTower(config)
        self.text = TextTower(config)
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        self.bias = nn.Parameter(torch.tensor(BIAS))

    def pictures(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Unit vectors. Raises ValueError for pictures of another size or number of channels."""
        c = self.config
        if x.shape[1:] != (c.channels, c.size, c.size):
            given, taken = (
                "x".join(map(str, shape)) for shape in (x.shape[1:], (c.channels, c.size, c.size))
            )
            raise ValueError(f"pictures: {given} values; this network takes {taken}")
        return functional.normalize(self.picture(x).float(), dim=1)

    def texts(self, condition: Condition) -> Float[Tensor, "b d"]:
        """Unit vectors of the condition's tokens."""
        return functional.normalize(self.text(condition).float(), dim=1)

    def forward(self, x: Float[Tensor, "b c h w"], condition: Condition) -> Pair:
        return Pair(self.pictures(x), self.texts(condition))
