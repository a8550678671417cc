"""The U-Net of DDPM and ADM (Ho et al. 2020, appendix B; Dhariwal & Nichol 2021, section 3).

Levels of falling resolution and rising width; on the way up every layer also reads what the layer at its
mirror made on the way down. With the right settings it is diffusers' `UNet2DModel`, weight for weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.networks.attention import PixelAttention, PixelCrossAttention, zeroed
from phosphene.networks.blocks import Added, Down, DownStage, Layer, ResidualBlock, Scaled, Up, UpStage
from phosphene.networks.config import at_least, share
from phosphene.networks.embedding import ConditionEmbedding, TimeEmbedding, join_picture
from phosphene.networks.layers import Conv3x3, Norm


@dataclass(frozen=True)
class UNetConfig:
    """in_channels counts those of x and of the condition's picture.

    widths, attention: for each level its channels, and whether its layers attend over pixels (and, with a
    token_width, to tokens). blocks: layers at each level on the way down, one number or one a level, 0 for
    none; one more on the way up. scaled_skips: what is read on the way up counts 1 / sqrt(2) (Imagen).
    middle_attention, middle_norm: whether the middle attends, and whether behind a norm.
    head_width: channels a head; None is one head. groups: of every norm; None picks (see `norm_groups`).
    scale_shift: the embedding scales and shifts after the norm instead of being added before it.
    classes, token_width, augment: 0 is none. cosine_first, frequency_shift: see `sinusoids`.
    asymmetric_down: see `Down`.
    """

    in_channels: int
    out_channels: int
    widths: tuple[int, ...]
    attention: tuple[bool, ...]
    blocks: int | tuple[int, ...] = 2
    scaled_skips: bool = False
    middle_attention: bool = True
    middle_norm: bool = True
    head_width: int | None = None
    groups: int | None = None
    eps: float = 1e-5
    dropout: float = 0.0
    scale_shift: bool = False
    classes: int = 0
    token_width: int = 0
    augment: int = 0
    cosine_first: bool = True
    frequency_shift: int = 0
    asymmetric_down: bool = False

    def __post_init__(self) -> None:
        at_least(1, in_channels=self.in_channels, out_channels=self.out_channels)
        if isinstance(self.blocks, int):
            at_least(1, blocks=self.blocks)
        elif len(self.blocks) != len(self.widths) or min(self.blocks) < 0 or not self.blocks[-1]:
            raise ValueError(
                f"blocks: {self.blocks} must be a number for each of {self.widths}, the last above 0"
            )
        at_least(0, classes=self.classes, token_width=self.token_width, augment=self.augment)
        share(dropout=self.dropout)
        if not self.eps > 0:
            raise ValueError(f"eps: {self.eps} is not positive")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths: {self.widths} is not a positive number of channels for each level")
        if len(self.attention) != len(self.widths):
            raise ValueError(f"attention: {self.attention} must have one entry for each of {self.widths}")
        # Both halves of the sinusoids need a frequency, and with a shift the divisor half - shift must stay.
        if self.widths[0] % 2 or self.widths[0] // 2 <= self.frequency_shift:
            raise ValueError(f"widths: {self.widths} must start with an even number above 2 frequency_shift")
        if self.groups is not None and (self.groups < 1 or any(w % self.groups for w in self.widths)):
            raise ValueError(f"groups: {self.groups} does not divide every one of {self.widths}")
        if self.head_width is not None:
            attending = [w for w, attends in zip(self.widths, self.attention, strict=True) if attends]
            attending += [self.widths[-1]] * self.middle_attention
            if self.head_width < 1 or any(w % self.head_width for w in attending):
                raise ValueError(f"head_width: {self.head_width} does not divide every one of {attending}")

    @property
    def norm_groups(self) -> int:
        """Groups of every norm. Unless given, the most, up to 32 and a quarter of the narrowest level, that
        divide every width: then they divide the sums of widths on the way up too."""
        if self.groups is not None:
            return self.groups
        most = max(1, min(32, min(self.widths) // 4))
        return next(g for g in range(most, 0, -1) if all(w % g == 0 for w in self.widths))

    @property
    def depths(self) -> tuple[int, ...]:
        """Layers of each level on the way down."""
        return (self.blocks,) * len(self.widths) if isinstance(self.blocks, int) else self.blocks

    @property
    def embedding_width(self) -> int:
        return 4 * self.widths[0]


def smallest_multiple(config: UNetConfig) -> int:
    """Heights and widths must be multiples of this: each level but the last halves them."""
    return 2 ** (len(config.widths) - 1)


class UNet(nn.Module):
    """network(x, noise, condition); at first its answer is exactly zero."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        c, widths = config, config.widths
        time = TimeEmbedding(widths[0], c.embedding_width, c.cosine_first, c.frequency_shift)
        self.embedding = ConditionEmbedding(time, c.embedding_width, c.classes, c.token_width, c.augment)
        self.enter = Conv3x3(c.in_channels, widths[0])
        skips = [widths[0]]
        self.down = nn.ModuleList(down_stages(c, skips))
        low = widths[-1]
        self.middle = nn.ModuleList(
            [layer(c, low, low, c.middle_attention, c.middle_norm), layer(c, low, low, False)]
        )
        self.up = nn.ModuleList(up_stages(c, skips))
        self.norm = norm(c, widths[0])
        self.leave = zeroed(Conv3x3(widths[0], c.out_channels))

    def forward(
        self, x: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Condition
    ) -> Float[Tensor, "b c_out h w"]:
        """Raises ValueError for a size that the levels cannot halve, for channels other than in_channels,
        and for a condition that the network was not made for."""
        multiple = smallest_multiple(self.config)
        for size in x.shape[2:]:
            if size % multiple:
                raise ValueError(f"size {size}: this network takes multiples of {multiple}")
        e, tokens = self.embedding(noise, condition)
        e = functional.silu(e)
        # Channels last, as the fast operators want it; pictures of one channel do not say what they are in.
        entered = self.enter(join_picture(x, condition, self.config.in_channels))
        skips = [entered.contiguous(memory_format=torch.channels_last)]
        for stage in self.down:
            skips += stage(skips[-1], e, tokens)
        x = skips[-1]
        for part in self.middle:
            x = part(x, e, tokens)
        for stage in self.up:
            x = stage(x, skips, e, tokens)
        return self.leave(self.norm(x, silu=True))


def norm(config: UNetConfig, width: int) -> Norm:
    return Norm(config.norm_groups, width, eps=config.eps)


def layer(config: UNetConfig, width: int, out: int, attends: bool, attention_norm: bool = True) -> Layer:
    """A layer from `width` to `out` channels."""
    e, head_width = config.embedding_width, config.head_width or out
    hear = (Scaled if config.scale_shift else Added)(out, e, norm(config, out))
    block = ResidualBlock(width, out, norm(config, width), hear, config.dropout)
    if not attends:
        return Layer(block)
    attention = PixelAttention(out, head_width, norm(config, out) if attention_norm else nn.Identity())
    if not config.token_width:
        return Layer(block, attention)
    return Layer(block, attention, PixelCrossAttention(out, head_width, e, norm(config, out)))


def down_stages(config: UNetConfig, skips: list[int]) -> Iterator[DownStage]:
    """The stages on the way down; appends to `skips` the width of each picture they leave for the way up."""
    width, last = skips[-1], len(config.widths) - 1
    for level, (out, attends) in enumerate(zip(config.widths, config.attention, strict=True)):
        ends = [width] + [out] * config.depths[level]
        layers = [layer(config, a, b, attends) for a, b in pairwise(ends)]
        width = ends[-1]
        step = Down(width, config.asymmetric_down) if level < last else None
        skips += ends[1:] + [width] * (step is not None)
        yield DownStage(layers, step)


def up_stages(config: UNetConfig, skips: list[int]) -> Iterator[UpStage]:
    """The stages on the way up, the lowest resolution first; takes the widths they read from `skips`."""
    width = config.widths[-1]
    for level in reversed(range(len(config.widths))):
        out, layers = config.widths[level], []
        for _ in range(config.depths[level] + 1):
            layers.append(layer(config, width + skips.pop(), out, config.attention[level]))
            width = out
        yield UpStage(layers, Up(out) if level else None, config.scaled_skips)
