"""Encoders without training: random convolutions, DCT bands, small pixels."""

import math

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from phosphene.measures.features.encoder import Encoder, fingerprint

SCALES = 4
WIDTH = 16


class RandomConvolutions(nn.Module):
    """Convolutions with random weights, a scale below the other (Ulyanov 2016 and Saxe 2011: they tell
    textures apart).

    At each scale: h <- relu(W * h), 3x3; features are the means of each channel in the four quarters of the
    picture and its deviation; then h is halved by averaging.
    """

    def __init__(self, seed: int, width: int = WIDTH, scales: int = SCALES) -> None:
        super().__init__()
        # RandomState's stream is frozen for good, so that a seed is one encoder everywhere.
        rng = np.random.RandomState(seed)
        for scale in range(scales):
            inputs = 3 if scale == 0 else width
            drawn = rng.standard_normal((width, inputs, 3, 3)) * math.sqrt(2 / (9 * inputs))
            self.register_buffer(f"weight{scale}", torch.from_numpy(drawn).float())

    def forward(self, pictures: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        h, found = pictures / 127.5 - 1, []
        for weight in self.buffers():
            padded = functional.pad(h, (1, 1, 1, 1), mode="replicate")
            h = functional.relu(functional.conv2d(padded, weight))
            found += [functional.adaptive_avg_pool2d(h, 2).flatten(1), h.flatten(2).std(2, correction=0)]
            h = functional.avg_pool2d(h, 2) if min(h.shape[2:]) > 2 else h
        return torch.cat(found, 1)


def random_convolutions(seed: int = 0) -> Encoder:
    """320 features at four scales, from fixed random weights."""
    network = RandomConvolutions(seed)
    return Encoder(f"random-conv-{fingerprint(network.state_dict())}", network)


class DctBands(nn.Module):
    """Log energies of the discrete cosine transform in bands of frequency, of luma and both chroma channels.

    Band k holds the frequencies |f| in [k, k + 1) / bands of the highest along an axis; the last, all
    beyond. Energy is per coefficient of pictures with values in [-1, 1], and 1e-4, about half a step of a
    byte squared, keeps the logarithm finite.
    """

    def __init__(self, bands: int = 16) -> None:
        super().__init__()
        self.bands = bands
        # BT.601: luma, blue and red difference.
        rows = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
        self.register_buffer("colour", torch.tensor(rows))

    def forward(self, pictures: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        values = torch.einsum("kc,bchw->bkhw", self.get_buffer("colour"), pictures / 127.5 - 1)
        height, width = values.shape[2:]
        energy = (cosines(height).to(values) @ values @ cosines(width).to(values).T) ** 2
        down = torch.arange(height, device=values.device)[:, None] / height
        across = torch.arange(width, device=values.device)[None] / width
        band = (torch.hypot(down, across) * self.bands).long().clamp(max=self.bands - 1).flatten()
        total = energy.new_zeros(*energy.shape[:2], self.bands).index_add(2, band, energy.flatten(2))
        count = torch.bincount(band, minlength=self.bands).clamp(min=1)
        return torch.log(total / count + 1e-4).flatten(1)


def cosines(size: int) -> Float32[Tensor, "k n"]:
    """The orthonormal DCT-II: row k is sqrt(2 / n) cos(pi (i + 1/2) k / n), row 0 over sqrt(2)."""
    k, i = torch.arange(size)[:, None], torch.arange(size)[None]
    table = torch.cos(torch.pi * (i + 0.5) * k / size) * math.sqrt(2 / size)
    table[0] /= math.sqrt(2)
    return table.float()


def dct_bands(bands: int = 16) -> Encoder:
    """3 x bands features: how much of each fineness there is, whatever it shows."""
    network = DctBands(bands)
    return Encoder(f"dct-bands-{bands}", network)


class Pixels(nn.Module):
    """The picture itself, in [-1, 1], averaged to a small size.

    normalised: x <- (x - mean) / (deviation^2 + step^2)^(1/2) of each picture, all channels together, so that
    one made lighter, darker or of less contrast is the same. A byte's step keeps flat pictures flat.
    """

    def __init__(self, size: int, normalised: bool) -> None:
        super().__init__()
        self.size, self.normalised = size, normalised

    def forward(self, pictures: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        rows = functional.adaptive_avg_pool2d(pictures / 127.5 - 1, self.size).flatten(1)
        if not self.normalised:
            return rows
        centred = rows - rows.mean(1, keepdim=True)
        return centred / (centred.square().mean(1, keepdim=True) + 127.5**-2).sqrt()


def pixels(size: int = 16) -> Encoder:
    """3 size^2 features: colours where they are."""
    return Encoder(f"pixels-{size}", Pixels(size, normalised=False))


def normalised_pixels(size: int = 16) -> Encoder:
    """3 size^2 features: colours where they are, whatever the picture's brightness and contrast."""
    return Encoder(f"normalised-pixels-{size}", Pixels(size, normalised=True))
