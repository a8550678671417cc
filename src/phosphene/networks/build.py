"""Networks by kind: the configuration of each, and the module that it builds."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from phosphene.networks.config import from_dict, to_dict
from phosphene.networks.lora import Adapted
from phosphene.networks.transformer import Transformer, TransformerConfig
from phosphene.networks.unet import UNet, UNetConfig

Config = UNetConfig | TransformerConfig
KINDS: Mapping[str, type[UNetConfig] | type[TransformerConfig]] = {
    "unet": UNetConfig,
    "transformer": TransformerConfig,
}


def build(config: Config) -> UNet | Transformer:
    """The network of a configuration, with fresh weights from torch's global generator."""
    return UNet(config) if isinstance(config, UNetConfig) else Transformer(config)


def describe(config: Config) -> dict[str, Any]:
    """The configuration and its kind, as JSON writes them."""
    kind = next(name for name, kind in KINDS.items() if isinstance(config, kind))
    return {"kind": kind} | to_dict(config)


def understand(values: Mapping[str, Any]) -> Config:
    """The inverse of describe. Raises ValueError for what it would not have written."""
    values = dict(values)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: networks are {', '.join(KINDS)}")
    return from_dict(KINDS[kind], values)


def narrowest(config: Config) -> int:
    """Channels of the narrowest layers."""
    return config.widths[0] if isinstance(config, UNetConfig) else config.width


def outer(network: nn.Module) -> tuple[str, ...]:
    """Names of the first and last layers, which read and write pictures rather than features; none where only
    a change of all layers is learned."""
    assert isinstance(network, UNet | Transformer | Adapted)
    return () if isinstance(network, Adapted) else ("enter", "leave")
