"""Networks by kind: the configuration of each, and the module that it builds."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, overload

from torch import nn

from phosphene.networks.clip import ClipConfig, ClipNetwork
from phosphene.networks.config import from_dict, to_dict
from phosphene.networks.lora import Adapted
from phosphene.networks.transformer import Transformer, TransformerConfig
from phosphene.networks.unet import UNet, UNetConfig

Config = UNetConfig | TransformerConfig
"""Of networks that make pictures."""

AnyConfig = Config | ClipConfig
KINDS: Mapping[str, type[UNetConfig] | type[TransformerConfig] | type[ClipConfig]] = {
    "unet": UNetConfig,
    "transformer": TransformerConfig,
    "clip": ClipConfig,
}


@overload
def build(config: Config) -> UNet | Transformer: ...
@overload
def build(config: ClipConfig) -> ClipNetwork: ...
def build(config: AnyConfig) -> UNet | Transformer | ClipNetwork:
    """The network of a configuration, with fresh weights from torch's global generator."""
    if isinstance(config, ClipConfig):
        return ClipNetwork(config)
    return UNet(config) if isinstance(config, UNetConfig) else Transformer(config)


def describe(config: AnyConfig) -> dict[str, Any]:
    """The configuration and its kind, as JSON writes them."""
    kind = next(name for name, kind in KINDS.items() if isinstance(config, kind))
    return {"kind": kind} | to_dict(config)


def understand(values: Mapping[str, Any]) -> AnyConfig:
    """The inverse of describe. Raises ValueError for what it would not have written."""
    values = dict(values)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: networks are {', '.join(KINDS)}")
    return from_dict(KINDS[kind], values)


class Repeated(NamedTuple):
    """What a network consists of, where it is narrowest: blocks of convolutions or layers of positions."""

    kind: Literal["block", "layer"]
    width: int


def repeated(config: AnyConfig) -> Repeated:
    if isinstance(config, TransformerConfig):
        return Repeated("layer", config.width)
    return Repeated("block", config.widths[0])


def outer(network: nn.Module) -> tuple[str, ...]:
    """Names of the first and last layers, which read and write pictures rather than features; none where only
    a change of all layers is learned."""
    if isinstance(network, ClipNetwork):
        return ("picture.enter", "picture.leave", "text.embedding", "text.leave")
    assert isinstance(network, UNet | Transformer | Adapted)
    return () if isinstance(network, Adapted) else ("enter", "leave")
