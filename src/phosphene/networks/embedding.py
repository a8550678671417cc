"""What a network hears besides the picture, as one vector a row and a set of token states.

    e = MLP(sinusoids(noise)) + label row + A augment + mean of the token states

Every condition has its null: label -1 is one more row of the table; a row without any token attends to one
learned null token; augment labels that are absent are zeros. So a network that was made for a condition
can always be called without it.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from phosphene.diffusion.condition import NO_LABEL, Condition

LONGEST = 10_000


def sinusoids(
    noise: Float[Tensor, " b"], width: int, cosine_first: bool = True, shift: int = 0
) -> Float[Tensor, "b width"]:
    """sin and cos of noise * 10000^(-i / (half - shift)), i < half = width // 2 (Ho et al. 2020, appendix B).

    The order of the two halves and `shift` (1 makes the last frequency exactly 1 / 10000) are the two
    conventions in use. Computed in float32 whatever the input; width must be even.
    """
    half = width // 2
    exponent = -math.log(LONGEST) * torch.arange(half, dtype=torch.float32, device=noise.device)
    angle = noise.float()[:, None] * torch.exp(exponent / (half - shift))
    pair = (angle.cos(), angle.sin()) if cosine_first else (angle.sin(), angle.cos())
    return torch.cat(pair, dim=1)


class TimeEmbedding(nn.Module):
    """Sinusoids, then linear, SiLU, linear."""

    def __init__(self, width: int, out: int, cosine_first: bool = True, shift: int = 0) -> None:
        super().__init__()
        self.width, self.cosine_first, self.shift = width, cosine_first, shift
        self.first = nn.Linear(width, out)
        self.last = nn.Linear(out, out)

    def forward(self, noise: Float[Tensor, " b"]) -> Float[Tensor, "b e"]:
        waves = sinusoids(noise, self.width, self.cosine_first, self.shift)
        return self.last(functional.silu(self.first(waves.to(self.first.weight.dtype))))


class LabelEmbedding(nn.Module):
    """A table of classes + 1 rows; the last one is the null, which label -1 means."""

    def __init__(self, classes: int, out: int) -> None:
        super().__init__()
        self.classes = classes
        self.weight = nn.Parameter(torch.randn(classes + 1, out))

    def forward(self, label: Int64[Tensor, " b"]) -> Float[Tensor, "b e"]:
        return functional.embedding(torch.where(label == NO_LABEL, self.classes, label), self.weight)


class Tokens(NamedTuple):
    """States a network attends to. Every row has at least one that counts."""

    states: Float[Tensor, "b n e"]
    mask: Bool[Tensor, "b n"]

    def mean(self) -> Float[Tensor, "b e"]:
        """Mean of the states that count."""
        weight = self.mask.to(self.states.dtype)[:, :, None]
        return (self.states * weight).sum(1) / weight.sum(1)


class TokenEmbedding(nn.Module):
    """States of a text encoder: norm, linear, and a null token that counts where no other does."""

    def __init__(self, token_width: int, out: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(token_width)
        self.linear = nn.Linear(token_width, out)
        self.null = nn.Parameter(torch.zeros(out))

    def forward(
        self, tokens: Float[Tensor, "b n d"] | None, mask: Bool[Tensor, "b n"] | None, rows: int
    ) -> Tokens:
        """Absent tokens are a row's null; an absent mask counts every token."""
        null = self.null.expand(rows, 1, -1)
        if tokens is None:
            return Tokens(null, torch.ones(rows, 1, dtype=torch.bool, device=null.device))
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        # Padding is cleared before anything reads it: whatever stood there cannot reach the network.
        kept = torch.where(mask[:, :, None], tokens, 0)
        states = self.linear(self.norm(kept))
        return Tokens(
            torch.cat([null.to(states.dtype), states], dim=1),
            torch.cat([~mask.any(dim=1, keepdim=True), mask], dim=1),
        )


class ConditionEmbedding(nn.Module):
    """Noise and condition as one vector e a row, and the tokens to attend to (None without token_width)."""

    def __init__(
        self, time: TimeEmbedding, out: int, classes: int = 0, token_width: int = 0, augment: int = 0
    ) -> None:
        super().__init__()
        self.time = time
        self.label = LabelEmbedding(classes, out) if classes else None
        self.tokens = TokenEmbedding(token_width, out) if token_width else None
        self.augment = nn.Linear(augment, out, bias=False) if augment else None

    def forward(
        self, noise: Float[Tensor, " b"], condition: Condition
    ) -> tuple[Float[Tensor, "b e"], Tokens | None]:
        """Raises ValueError where the condition asks for what the network was not made for."""
        refuse("label", condition.label, self.label, "classes")
        refuse("tokens", condition.tokens, self.tokens, "token_width")
        refuse("augment", condition.augment, self.augment, "augment")
        rows = len(noise)
        e = self.time(noise)
        if self.label is not None:
            nobody = torch.full((rows,), NO_LABEL, device=noise.device)
            e = e + self.label(nobody if condition.label is None else condition.label)
        if self.augment is not None and condition.augment is not None:
            e = e + self.augment(condition.augment)
        if self.tokens is None:
            return e, None
        tokens = self.tokens(condition.tokens, condition.mask, rows)
        return e + tokens.mean(), tokens


def refuse(name: str, given: Tensor | None, hears: nn.Module | None, field: str) -> None:
    if given is not None and hears is None:
        raise ValueError(f"{name}: given, but this network was made with {field} = 0 and would not hear it")


def join_picture(
    x: Float[Tensor, "b c h w"], condition: Condition, channels: int
) -> Float[Tensor, "b channels h w"]:
    """x with the condition's picture below its channels; raises ValueError unless that makes `channels`."""
    picture = condition.picture
    given = x.shape[1] if picture is None else x.shape[1] + picture.shape[1]
    if given != channels:
        parts = f"{x.shape[1]} of x" + ("" if picture is None else f" and {picture.shape[1]} of picture")
        raise ValueError(f"channels: {parts}, but this network takes in_channels = {channels}")
    return x if picture is None else torch.cat([x, picture.to(x.dtype)], dim=1)
