"""A CLIP on disk: a model folder like any other, whose network is of kind clip.

config.json          size and channels of its pictures, the text encoder, where it comes from; the network
model.safetensors    weights, and weights-ema0.05.safetensors
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from phosphene import files
from phosphene.networks.build import build
from phosphene.networks.clip import ClipConfig, ClipNetwork
from phosphene.recipes.settings import first_line
from phosphene.store.model import CONFIG, AnyHeader, average, load_weights, read_settings
from phosphene.store.text_encoder import TextHeader

KIND = "clip"


class ClipHeader(AnyHeader):
    """config.json but for the network. text: the encoder through which it hears texts."""

    text: TextHeader


@dataclass(frozen=True)
class ClipModel:
    """The network and what it takes. fingerprint: of the weights file. ema: as of `store.model.Model`."""

    header: ClipHeader
    network: ClipNetwork
    fingerprint: str
    ema: float | None

    @property
    def config(self) -> ClipConfig:
        return self.network.config


def is_clip(folder: Path) -> bool:
    """Whether a model folder holds a CLIP of ours, as far as its config.json says."""
    try:
        settings = json.loads((files.standing(folder) / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    network = settings.get("network") if isinstance(settings, dict) else None
    return isinstance(network, dict) and network.get("kind") == KIND


def load(folder: Path, ema: float | None = None) -> ClipModel:
    """Reads a model folder. Raises ValueError, naming file and field, for all that is not as it should be."""
    folder = files.standing(folder)
    path = folder / CONFIG
    settings, config = read_settings(path)
    assert isinstance(config, ClipConfig)
    try:
        header = ClipHeader.model_validate_json(json.dumps(settings))
    except ValidationError as error:
        raise ValueError(f"{path}: {first_line(error)}") from None
    for name, said, taken in (
        ("size", header.size, config.size),
        ("channels", header.channels, config.channels),
        ("text.width", header.text.width, config.token_width),
    ):
        if said != taken:
            raise ValueError(f"{path}: {name} {said}: the network takes {taken}")
    weights, other = average(folder, header, ema)
    network = build(config)
    load_weights(network, weights)
    return ClipModel(header, network.eval(), files.sha256(weights), other)
