"""The parts of a U-Net: residual blocks that hear the embedding e, and the steps between resolutions.

    block: x + conv(hear(conv(silu(norm(x))), e))
    added: hear(h, e) = silu(norm(h + A e))                             (Ho et al. 2020)
    scaled: hear(h, e) = silu(norm(h) (1 + s) + t),  (s, t) = A e       (Dhariwal & Nichol 2021)

The embedding comes with its SiLU applied, once for all blocks.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phosphene.networks.attention import PixelAttention, PixelCrossAttention, zeroed
from phosphene.networks.embedding import Tokens
from phosphene.networks.layers import Conv1x1, Conv3x3, ConvHalf, Linear, Norm


class Added(nn.Module):
    """The embedding is added before the norm, by the convolution that stands there."""

    def __init__(self, width: int, e: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.linear = Linear(e, width)

    def added(self, e: Float[Tensor, "b e"]) -> Float[Tensor, "b c"]:
        """What is added to every pixel before `forward`."""
        return self.linear(e[:, None])[:, 0]

    def forward(self, h: Float[Tensor, "b c h w"], e: Float[Tensor, "b e"]) -> Float[Tensor, "b c h w"]:
        return self.norm(h, silu=True)


class Scaled(nn.Module):
    """The embedding scales and shifts what the norm made."""

    def __init__(self, width: int, e: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.linear = Linear(e, 2 * width)

    def added(self, e: Float[Tensor, "b e"]) -> None:
        """Nothing."""

    def forward(self, h: Float[Tensor, "b c h w"], e: Float[Tensor, "b e"]) -> Float[Tensor, "b c h w"]:
        scale, shift = self.linear(e[:, None])[:, 0].chunk(2, dim=1)
        return self.norm(h, scale, shift, silu=True)


class ResidualBlock(nn.Module):
    """norm, SiLU, conv, hear the embedding (SiLU with it), dropout, conv; the input is added, through a 1x1
    conv where the width changes."""

    def __init__(self, width: int, out: int, norm: Norm, hear: Added | Scaled, dropout: float) -> None:
        super().__init__()
        self.norm = norm
        self.first = Conv3x3(width, out)
        self.hear = hear
        self.dropout = nn.Dropout(dropout)
        self.last = zeroed(Conv3x3(out, out))
        self.skip = nn.Identity() if width == out else Conv1x1(width, out)

    def forward(self, x: Float[Tensor, "b c h w"], e: Float[Tensor, "b e"]) -> Float[Tensor, "b out h w"]:
        h = self.first(self.norm(x, silu=True), told=self.hear.added(e))
        return self.last(self.dropout(self.hear(h, e)), rest=self.skip(x))


class Plain(nn.Module):
    """A residual block that hears nothing: h + conv(silu(norm(conv(silu(norm(h)))))), with a 1x1 convolution
    where the width changes."""

    def __init__(self, width: int, out: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.first = Norm(groups, width), Conv3x3(width, out)
        self.norm2, self.second = Norm(groups, out), Conv3x3(out, out)
        self.skip = nn.Identity() if width == out else nn.Conv2d(width, out, 1)

    def forward(self, h: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h w"]:
        inner = self.first(self.norm1(h, silu=True))
        return self.skip(h) + self.second(self.norm2(inner, silu=True))


class Layer(nn.Module):
    """A residual block, then attention over the pixels and to the tokens where there is one."""

    def __init__(
        self,
        block: ResidualBlock,
        attention: PixelAttention | None = None,
        cross: PixelCrossAttention | None = None,
    ) -> None:
        super().__init__()
        self.block = block
        self.attention = attention
        self.cross = cross

    def forward(
        self, x: Float[Tensor, "b c h w"], e: Float[Tensor, "b e"], tokens: Tokens | None
    ) -> Float[Tensor, "b out h w"]:
        x = self.block(x, e)
        if self.attention is not None:
            x = self.attention(x)
        if self.cross is not None:
            x = self.cross(x, tokens)
        return x


class Down(nn.Module):
    """Half the size: a 3x3 conv with stride 2. Padding is a pixel all around, or, asymmetric as in Ho's
    TensorFlow code, only below and to the right."""

    def __init__(self, width: int, asymmetric: bool) -> None:
        super().__init__()
        self.conv = ConvHalf(width, width, below=asymmetric)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(x)


class Up(nn.Module):
    """Twice the size: every pixel repeated, then a 3x3 conv."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Conv3x3(width, width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(x, twice=True)


class DownStage(nn.Module):
    """The layers at one resolution on the way down, and the step to the next (None at the lowest)."""

    def __init__(self, layers: list[Layer], step: Down | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.step = step

    def forward(
        self, x: Float[Tensor, "b c h w"], e: Float[Tensor, "b e"], tokens: Tokens | None
    ) -> list[Tensor]:
        """What each layer and the step made; the last is what goes on."""
        made = [x]
        for layer in self.layers:
            made.append(layer(made[-1], e, tokens))
        if self.step is not None:
            made.append(self.step(made[-1]))
        return made[1:]


class UpStage(nn.Module):
    """The layers at one resolution on the way up, and the step to the next (None at the highest)."""

    def __init__(self, layers: list[Layer], step: Up | None, scaled: bool = False) -> None:
        super().__init__()
        self.scaled = scaled
        self.layers = nn.ModuleList(layers)
        self.step = step

    def forward(
        self, x: Float[Tensor, "b c h w"], skips: list[Tensor], e: Float[Tensor, "b e"], tokens: Tokens | None
    ) -> Float[Tensor, "b out h2 w2"]:
        """Each layer takes the last of `skips` and reads it below x; scaled, by 1 / sqrt(2)."""
        for layer in self.layers:
            skip = skips.pop()
            x = layer(torch.cat([x, skip * 2**-0.5 if self.scaled else skip], dim=1), e, tokens)
        return x if self.step is None else self.step(x)
