"""The diffusion transformer (Peebles & Xie 2023) with the parts that have since become usual.

Patches of the picture are positions; every layer is two residual branches whose input is scaled and shifted,
and whose answer is gated, by the embedding e of noise and condition. Scale, shift and gate start at zero
(adaLN-zero), so that every layer starts as the identity.

    x + gate attend(norm(x) (1 + scale) + shift);   x + attend_to_tokens(norm(x));   x + gate' feed(...)

Positions are rotary; queries and keys are normalised (Dehghani et al. 2023); norms are RMSNorm; the
feed-forward is SwiGLU (Shazeer 2020). Scale, shift and gate may be computed once for all layers, each adding
a table of its own (PixArt-alpha, Chen et al. 2023, section 2.3): that leaves weights for layers in which
tokens attend to each other, as an encoder that stays frozen was never asked which thing stands left of which.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.kernels.attention import attend
from phosphene.kernels.rms_norm import rms_norm
from phosphene.kernels.swiglu import swiglu
from phosphene.kernels.turned import turned
from phosphene.networks.attention import CrossAttention, joined, zeroed
from phosphene.networks.config import at_least, share
from phosphene.networks.embedding import ConditionEmbedding, TimeEmbedding, Tokens, join_picture
from phosphene.networks.layers import Linear
from phosphene.networks.rotary import angles

EPS = 1e-6
PARTS = 6  # of a layer's modulation: scale, shift and gate of two branches


@dataclass(frozen=True)
class TransformerConfig:
    """in_channels counts those of x and of the condition's picture; patch: pixels along a patch's side.

    width: channels of a position, depth: layers, head_width: channels of a head (a multiple of 4, for the
    rotary positions), hidden: channels inside the feed-forward, None is 8/3 of the width.
    classes, token_width, augment: 0 is none. dropout: of both branches' answers. token_depth: layers in which
    tokens attend to each other, before positions attend to them. shared_modulation: scales, shifts and gates
    of all layers are computed together.
    """

    in_channels: int
    out_channels: int
    patch: int
    width: int
    depth: int
    head_width: int = 64
    hidden: int | None = None
    dropout: float = 0.0
    classes: int = 0
    token_width: int = 0
    augment: int = 0
    token_depth: int = 0
    shared_modulation: bool = False

    def __post_init__(self) -> None:
        at_least(1, in_channels=self.in_channels, out_channels=self.out_channels, patch=self.patch)
        at_least(1, width=self.width, depth=self.depth, hidden=self.feed_width)
        at_least(0, token_depth=self.token_depth)
        if self.token_depth and not self.token_width:
            raise ValueError(f"token_depth: {self.token_depth} needs tokens, and token_width is 0")
        at_least(0, classes=self.classes, token_width=self.token_width, augment=self.augment)
        share(dropout=self.dropout)
        if self.head_width < 4 or self.head_width % 4:
            raise ValueError(f"head_width: {self.head_width} is not a positive multiple of 4")
        if self.width % self.head_width:
            raise ValueError(f"width: {self.width} is not a multiple of head_width {self.head_width}")

    @property
    def feed_width(self) -> int:
        """Channels inside the feed-forward, `hidden` or, as three matrices should cost what two of 4 width
        did, 8/3 of the width, rounded up to a multiple of 8."""
        return -(-self.width // 3) * 8 if self.hidden is None else self.hidden


class PositionNorm(nn.Module):
    """RMS norm of every position, with a learned gain or none; then scale and shift by row, if told."""

    def __init__(self, width: int, gain: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width)) if gain else None

    def forward(
        self,
        x: Float[Tensor, "b n width"],
        scale: Float[Tensor, "b width"] | None = None,
        shift: Float[Tensor, "b width"] | None = None,
    ) -> Float[Tensor, "b n width"]:
        return rms_norm(x, self.weight, EPS, scale, shift)


class Gain(nn.Module):
    """What normalised queries or keys are multiplied by."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class SelfAttention(nn.Module):
    """Every position attends to every other, with normalised, turned queries and keys."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.qkv = Linear(width, 3 * width)
        self.q_norm = Gain(head_width)
        self.k_norm = Gain(head_width)
        self.out = Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "b n width"],
        angle: Float[Tensor, "n half_width"],
        mask: Bool[Tensor, "b 1 1 n"] | None = None,
    ) -> Float[Tensor, "b n width"]:
        """mask: those that count, at least one a row; None is all."""
        q, k, v = turned(self.qkv(x), self.q_norm.weight, self.k_norm.weight, angle, EPS)
        return self.out(joined(attend(q, k, v, mask)))


class Feed(nn.Module):
    """SwiGLU: W3 (silu(W1 x) * W2 x)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.both = Linear(width, 2 * hidden)
        self.out = Linear(hidden, width)

    def forward(self, x: Float[Tensor, "b n width"]) -> Float[Tensor, "b n width"]:
        return self.out(swiglu(self.both(x)))


class Modulation(nn.Module):
    """`count` vectors from e for all positions of a row, zero at first. e comes with its SiLU applied."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.linear = zeroed(nn.Linear(width, count * width))

    def forward(self, e: Float[Tensor, "b width"]) -> tuple[Float[Tensor, "b width"], ...]:
        return self.linear(e).chunk(self.count, dim=1)


class Table(nn.Module):
    """`count` vectors that are added to those computed for all layers, zero at first."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.weight = nn.Parameter(torch.zeros(count * width))

    def forward(self, together: Float[Tensor, "b all"]) -> tuple[Float[Tensor, "b width"], ...]:
        return (together + self.weight.to(together.dtype)).chunk(self.count, dim=1)


class TokenLayer(nn.Module):
    """The tokens of a row among themselves: attention and feed-forward, at first nothing."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.attention_norm = PositionNorm(width, gain=True)
        self.attention = SelfAttention(width, config.head_width)
        self.feed_norm = PositionNorm(width, gain=True)
        self.feed = Feed(width, config.feed_width)
        zeroed(self.attention.out)
        zeroed(self.feed.out)

    def forward(self, tokens: Tokens, angle: Float[Tensor, "n half_width"]) -> Tokens:
        states, mask = tokens
        states = states + self.attention(self.attention_norm(states), angle, mask[:, None, None, :])
        return Tokens(states + self.feed(self.feed_norm(states)), mask)


class TransformerLayer(nn.Module):
    """Attention, attention to the tokens where there are any, feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.modulation = Table(width, PARTS) if config.shared_modulation else Modulation(width, PARTS)
        self.attention_norm = PositionNorm(width, gain=False)
        self.attention = SelfAttention(width, config.head_width)
        self.cross_norm = PositionNorm(width, gain=True) if config.token_width else None
        self.cross = CrossAttention(width, config.head_width, width) if config.token_width else None
        self.feed_norm = PositionNorm(width, gain=False)
        self.feed = Feed(width, config.feed_width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "b n width"],
        angle: Float[Tensor, "n half_width"],
        e: Float[Tensor, "b e"],
        tokens: Tokens | None,
    ) -> Float[Tensor, "b n width"]:
        """e: what the modulation takes, computed for all layers or the embedding itself."""
        scale, shift, gate, feed_scale, feed_shift, feed_gate = self.modulation(e)
        attended = self.attention(self.attention_norm(x, scale, shift), angle)
        x = torch.addcmul(x, gate[:, None], self.dropout(attended))
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.cross(self.cross_norm(x), tokens)
        fed = self.feed(self.feed_norm(x, feed_scale, feed_shift))
        return torch.addcmul(x, feed_gate[:, None], self.dropout(fed))


class Transformer(nn.Module):
    """network(x, noise, condition); at first its answer is exactly zero. Any size the patch divides."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        c, width = config, config.width
        # 256 sinusoids whatever the width, as in DiT.
        time = TimeEmbedding(256, width)
        self.embedding = ConditionEmbedding(time, width, c.classes, c.token_width, c.augment)
        self.enter = nn.Conv2d(c.in_channels, width, c.patch, stride=c.patch)
        self.token_layers = nn.ModuleList(TokenLayer(c) for _ in range(c.token_depth))
        self.together = zeroed(nn.Linear(width, PARTS * width)) if c.shared_modulation else nn.Identity()
        self.layers = nn.ModuleList(TransformerLayer(c) for _ in range(c.depth))
        self.norm = PositionNorm(width, gain=False)
        self.modulation = Modulation(width, 2)
        self.leave = zeroed(nn.Linear(width, c.out_channels * c.patch**2))

    def forward(
        self, x: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Condition
    ) -> Float[Tensor, "b c_out h w"]:
        """Raises ValueError for a size that is no multiple of the patch, for channels other than in_channels,
        and for a condition that the network was not made for."""
        c = self.config
        for size in x.shape[2:]:
            if size % c.patch:
                raise ValueError(f"size {size}: this network takes multiples of {c.patch}")
        e, tokens = self.embedding(noise, condition)
        e = functional.silu(e)
        grid = self.enter(join_picture(x, condition, c.in_channels))
        places = [torch.arange(n, dtype=torch.float32, device=x.device) for n in grid.shape[2:]]
        angle = angles(places[0], places[1], c.head_width)
        positions = grid.flatten(2).transpose(1, 2)
        if tokens is not None and self.token_layers:
            order = torch.arange(tokens.states.shape[1], dtype=torch.float32, device=x.device)
            along = angles(order, order[:1], c.head_width)
            for layer in self.token_layers:
                tokens = layer(tokens, along)
        heard = self.together(e)
        for layer in self.layers:
            positions = layer(positions, angle, heard, tokens)
        scale, shift = self.modulation(e)
        patches = self.leave(self.norm(positions, scale, shift))
        return functional.pixel_shuffle(patches.transpose(1, 2).unflatten(2, grid.shape[2:]), c.patch)
