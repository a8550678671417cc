"""An encoder: a network from pictures to features, its name, and what kind of figures it makes.

All encoders see RGB: grey is repeated, transparency lies on white.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn


class Family(Enum):
    """Whose figures have names of their own (see measures/names.py)."""

    INCEPTION = "inception"
    DINOV2 = "dinov2"
    CLIP = "clip"
    OWN = "own"


@dataclass(frozen=True)
class Encoder:
    """network: RGB as float32 in [0, 255] (b, 3, h, w) to features (b, d). name: with the weights' hash."""

    name: str
    network: nn.Module
    family: Family = Family.OWN
    batch: int = 256

    def __call__(self, pictures: UInt8[np.ndarray | Tensor, "n c h w"]) -> Float32[np.ndarray, "n d"]:
        """Features of pictures of 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA) channels.

        Runs on the device that the network is on, a batch at a time.
        """
        device = next((t.device for t in self.network.state_dict().values()), torch.device("cpu"))
        parts = (pictures[i : i + self.batch] for i in range(0, max(len(pictures), 1), self.batch))
        # Arrays are copied: those that are mapped from a file cannot be written to, as tensors must be.
        rows = (part if isinstance(part, Tensor) else torch.tensor(part) for part in parts)
        with torch.inference_mode():
            found = [self.network(rgb(part.to(device))).float().cpu() for part in rows]
        return torch.cat(found).numpy()

    def to(self, device: torch.device | str) -> "Encoder":
        """The same encoder on another device."""
        return replace(self, network=self.network.to(device))


def rgb(pictures: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b 3 h w"]:
    """As float32 in [0, 255], on white where transparent. Raises ValueError for channels beyond 1 to 4."""
    channels, values = pictures.shape[1], pictures.float()
    if not 1 <= channels <= 4:
        raise ValueError(f"{channels} channels: an encoder takes 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA)")
    if channels % 2 == 0:
        alpha = values[:, -1:] / 255
        values = values[:, :-1] * alpha + 255 * (1 - alpha)
    return values.expand(-1, 3, -1, -1)


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Eight hexadecimal digits of names, shapes and bytes: which weights these are."""
    digest = hashlib.blake2b(digest_size=4)
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
