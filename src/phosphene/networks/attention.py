"""Attention over pixels and from pixels to tokens (Vaswani et al. 2017).

    attend(q, k, v) = softmax(q k' / sqrt(d)) v,  d channels a head

Both are residual branches whose last layer starts at zero (Dhariwal & Nichol 2021): at first they do nothing.
"""

from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from phosphene.kernels.attention import attend
from phosphene.networks.embedding import Tokens
from phosphene.networks.layers import Linear

L = TypeVar("L", bound=nn.Module)


def zeroed(layer: L) -> L:
    """The layer with every parameter at zero: what follows a residual branch starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def heads(x: Float[Tensor, "b n width"], head_width: int) -> Float[Tensor, "b heads n head_width"]:
    """The width of each position split into heads."""
    return x.unflatten(2, (-1, head_width)).transpose(1, 2)


def joined(x: Float[Tensor, "b heads n head_width"]) -> Float[Tensor, "b n width"]:
    """The inverse of `heads`."""
    return x.transpose(1, 2).flatten(2)


def pixels(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b hw c"]:
    """A position for each pixel."""
    return x.flatten(2).transpose(1, 2)


class PixelAttention(nn.Module):
    """Every pixel attends to every pixel: x + out(attend(norm(x)))."""

    def __init__(self, width: int, head_width: int, norm: nn.Module) -> None:
        super().__init__()
        self.head_width = head_width
        self.norm = norm
        self.qkv = Linear(width, 3 * width)
        self.out = zeroed(Linear(width, width))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        q, k, v = (heads(part, self.head_width) for part in self.qkv(pixels(self.norm(x))).chunk(3, dim=2))
        answer = self.out(joined(attend(q, k, v)), rest=pixels(x))
        return answer.transpose(1, 2).unflatten(2, x.shape[2:])


class CrossAttention(nn.Module):
    """Every position attends to the tokens of its row that count: out(attend(x, tokens)), no residual."""

    def __init__(self, width: int, head_width: int, token_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.q = Linear(width, width)
        self.kv = Linear(token_width, 2 * width)
        self.out = zeroed(Linear(width, width))

    def forward(self, x: Float[Tensor, "b n width"], tokens: Tokens) -> Float[Tensor, "b n width"]:
        q = heads(self.q(x), self.head_width)
        k, v = (heads(part, self.head_width) for part in self.kv(tokens.states).chunk(2, dim=2))
        mask = tokens.mask[:, None, None, :]
        return self.out(joined(attend(q, k, v, mask)))


class PixelCrossAttention(nn.Module):
    """Cross-attention of the pixels of a picture: x + cross(norm(x), tokens)."""

    def __init__(self, width: int, head_width: int, token_width: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.cross = CrossAttention(width, head_width, token_width)

    def forward(self, x: Float[Tensor, "b c h w"], tokens: Tokens) -> Float[Tensor, "b c h w"]:
        answer = self.cross(pixels(self.norm(x)), tokens)
        return x + answer.transpose(1, 2).unflatten(2, x.shape[2:])
