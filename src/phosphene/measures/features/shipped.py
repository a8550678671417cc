"""The encoder that comes with phosphene: a small network that was trained, without labels, on what phosphene
can make by itself.

How it was trained, and what it tells apart, stands in weights/encoder.md, its card; `python -m
phosphene.measures.train_encoder` makes both again.
"""

from pathlib import Path

import torch
from jaxtyping import Float32
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from phosphene.measures.features.encoder import Encoder, fingerprint
from phosphene.networks.blocks import Plain
from phosphene.networks.layers import Norm

WEIGHTS = Path(__file__).parents[1] / "weights" / "encoder.safetensors"
SIDE = 64  # pixels a side that the network sees
WIDTHS = (32, 64, 128, 256)
GROUPS = 8


class Trained(nn.Module):
    """Four sizes from 32 to 4 pixels; features are the means over the places of the last two."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, WIDTHS[0], 5, stride=2, padding=2)
        pairs = zip((WIDTHS[0], *WIDTHS[:-1]), WIDTHS, strict=True)
        self.stages = nn.ModuleList(Plain(width, out, GROUPS) for width, out in pairs)
        self.norms = nn.ModuleList(Norm(GROUPS, width) for width in WIDTHS[-2:])

    def forward(self, pictures: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        values = pictures / 127.5 - 1
        if values.shape[2:] != (SIDE, SIDE):
            values = functional.interpolate(values, (SIDE, SIDE), mode="bicubic", antialias=True)
        h, found = self.enter(values).contiguous(memory_format=torch.channels_last), []
        for stage in self.stages:
            h = stage(h if stage is self.stages[0] else functional.avg_pool2d(h, 2))
            found.append(h)
        ends = zip(self.norms, found[-2:], strict=True)
        return torch.cat([norm(h, silu=True).mean((2, 3)) for norm, h in ends], 1)


def shipped(path: Path = WEIGHTS) -> Encoder:
    """384 features, from the weights that come with the package."""
    weights = load_file(path)
    network = Trained()
    network.load_state_dict(weights)  # into float32
    return Encoder(f"phosphene-{fingerprint(weights)}", network.eval().requires_grad_(False))
