"""Folders of diffusers' `UNet2DModel`, read and written without diffusers.

Such a folder is config.json and diffusion_pytorch_model.safetensors. Our U-Net has the same mathematics under
other names, with two differences in storage:

- query, key and value of an attention are three matrices there, one below the other in one matrix here;
- a table of labels has no null row there. A folder from elsewhere gets a null row of zeros, which adds
  nothing to the embedding, as if there were no label. Folders written here carry their null row as the last
  class, and say so in config.json's `_null_class`, which diffusers passes over.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from phosphene.files import replace_folder
from phosphene.networks.config import from_dict, to_dict
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.store.tensors import write_tensors

CONFIG, WEIGHTS, PICKLE = "config.json", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"
CLASS = "UNet2DModel"
TABLE = "class_embedding.weight"

DownKind = Literal["DownBlock2D", "AttnDownBlock2D"]
UpKind = Literal["UpBlock2D", "AttnUpBlock2D"]
DOWN_KINDS: tuple[DownKind, ...] = ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
UP_KINDS: tuple[UpKind, ...] = ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")


@dataclass(frozen=True)
class PeerConfig:
    """UNet2DModel's settings with its defaults; the types are what ours can be."""

    sample_size: int | tuple[int, int] | None = None
    in_channels: int = 3
    out_channels: int = 3
    center_input_sample: Literal[False] = False
    time_embedding_type: Literal["positional"] = "positional"
    time_embedding_dim: int | None = None
    freq_shift: int = 0
    flip_sin_to_cos: bool = True
    down_block_types: tuple[DownKind, ...] = DOWN_KINDS
    mid_block_type: Literal["UNetMidBlock2D"] = "UNetMidBlock2D"
    up_block_types: tuple[UpKind, ...] = UP_KINDS
    block_out_channels: tuple[int, ...] = (224, 448, 672, 896)
    layers_per_block: int = 2
    mid_block_scale_factor: float = 1.0
    downsample_padding: Literal[0, 1] = 1
    downsample_type: Literal["conv"] = "conv"
    upsample_type: Literal["conv"] = "conv"
    dropout: float = 0.0
    act_fn: Literal["silu", "swish"] = "silu"
    attention_head_dim: int | None = 8
    norm_num_groups: int = 32
    attn_norm_num_groups: int | None = None
    norm_eps: float = 1e-5
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "default"
    add_attention: bool = True
    class_embed_type: None = None
    num_class_embeds: int | None = None
    num_train_timesteps: int | None = None


def read_diffusers(folder: Path) -> tuple[UNetConfig, dict[str, Tensor]]:
    """The configuration and the weights, under our names and in the file's dtype, of a UNet2DModel's folder.

    Raises ValueError for files that are missing, pickled or damaged, for settings that our U-Net does not
    have, and for weights that are missing, left over or of another shape.
    """
    weights = folder / WEIGHTS
    if not weights.is_file():
        if (folder / PICKLE).exists():
            raise ValueError(
                f"{folder / PICKLE}: pickled weights are never read; convert them once, where trusted,"
                f" with diffusers.{CLASS}.from_pretrained(folder).save_pretrained(folder)"
            )
        raise ValueError(f"{folder}: no {WEIGHTS}; the folder of a {CLASS} is accepted")
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        config, null_class = read_config(settings)
    except OSError:
        raise ValueError(f"{folder}: no {CONFIG}; the folder of a {CLASS} is accepted") from None
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG}: {error}") from None
    try:
        return config, rename(config, load_file(weights), null_class)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{weights}: {error}") from None


def write_diffusers(network: UNet, folder: Path, sample_size: int) -> None:
    """Writes the network so that `UNet2DModel.from_pretrained(folder)` gives the same answers.

    sample_size: the height and width that the network was trained at. The null label is the last class.
    A model that was in the folder is replaced at once or, if that fails, left as it was.
    Raises ValueError for what a UNet2DModel does not have (tokens, augment labels) and for a folder that
    holds anything else, which would be lost; OSError if it cannot be written.
    """
    if others := {path.name for path in folder.glob("*")} - {CONFIG, WEIGHTS}:
        raise ValueError(f"folder {folder}: it holds {min(others)}; give a new folder, or one of a {CLASS}")
    config = network.config
    settings = {"_class_name": CLASS, **to_dict(peer_config(config, sample_size))}
    if config.classes:
        settings["_null_class"] = config.classes
    theirs = {}
    for name, weight in network.state_dict().items():
        names = peer_names(name)
        for peer, part in zip(names, weight.chunk(len(names)), strict=True):
            theirs[peer] = part.cpu().clone(memory_format=torch.contiguous_format)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replace_folder(folder) as new:
        (new / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        write_tensors(new / WEIGHTS, theirs)


def read_config(settings: Any) -> tuple[UNetConfig, bool]:
    """Our configuration from config.json's, and whether its last class is our null row."""
    if not isinstance(settings, Mapping):
        raise ValueError(f"{type(settings).__name__}: an object of settings is accepted")
    if settings.get("_class_name", CLASS) != CLASS:
        raise ValueError(f"_class_name: {settings['_class_name']!r} cannot be read, {CLASS!r} is accepted")
    peer = from_dict(PeerConfig, {k: v for k, v in settings.items() if not k.startswith("_")})
    attention = tuple(kind.startswith("Attn") for kind in peer.down_block_types)
    mirror = tuple("AttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(attention))
    widths = peer.block_out_channels
    if len(widths) != len(attention):
        raise ValueError(f"down_block_types: {len(attention)} of them for {len(widths)} block_out_channels")
    groups, scale_shift = peer.norm_num_groups, peer.resnet_time_scale_shift == "scale_shift"
    expect("up_block_types", peer.up_block_types, [mirror])
    expect("mid_block_scale_factor", peer.mid_block_scale_factor, [1])
    expect("time_embedding_dim", peer.time_embedding_dim, [None, *[4 * w for w in widths[:1]]])
    expect("attn_norm_num_groups", peer.attn_norm_num_groups, [None, groups])
    classes = peer.num_class_embeds or 0
    null_class = settings.get("_null_class")
    expect("_null_class", null_class, [None, *[classes - 1] * (classes > 1)])
    config = UNetConfig(
        in_channels=peer.in_channels,
        out_channels=peer.out_channels,
        widths=widths,
        attention=attention,
        blocks=peer.layers_per_block,
        middle_attention=peer.add_attention,
        # With scale and shift, diffusers' middle attends without a norm unless that is asked for.
        middle_norm=not scale_shift or peer.attn_norm_num_groups is not None,
        head_width=peer.attention_head_dim,
        groups=groups,
        eps=peer.norm_eps,
        dropout=peer.dropout,
        scale_shift=scale_shift,
        classes=classes - (null_class is not None),
        cosine_first=peer.flip_sin_to_cos,
        frequency_shift=peer.freq_shift,
        asymmetric_down=peer.downsample_padding == 0,
    )
    return config, null_class is not None


def peer_config(config: UNetConfig, sample_size: int) -> PeerConfig:
    """UNet2DModel's settings from ours; raises ValueError for what it does not have."""
    for field, value in (("token_width", config.token_width), ("augment", config.augment)):
        if value:
            raise ValueError(f"{field}: {value} cannot be written, a {CLASS} has none; 0 is accepted")
    if not isinstance(config.blocks, int) or config.scaled_skips:
        raise ValueError(f"blocks: {config.blocks} cannot be written, a {CLASS} has as many at every level")
    if config.middle_attention and not config.middle_norm and not config.scale_shift:
        raise ValueError(f"middle_norm: False cannot be written, a {CLASS} needs scale_shift for it")
    return PeerConfig(
        sample_size=sample_size,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        freq_shift=config.frequency_shift,
        flip_sin_to_cos=config.cosine_first,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in config.attention),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(config.attention)),
        block_out_channels=config.widths,
        layers_per_block=config.blocks,
        downsample_padding=0 if config.asymmetric_down else 1,
        dropout=config.dropout,
        attention_head_dim=config.head_width,
        norm_num_groups=config.norm_groups,
        attn_norm_num_groups=config.norm_groups if config.middle_norm else None,
        norm_eps=config.eps,
        resnet_time_scale_shift="scale_shift" if config.scale_shift else "default",
        add_attention=config.middle_attention,
        num_class_embeds=config.classes + 1 if config.classes else None,
    )


def expect(field: str, value: object, accepted: Iterable[object]) -> None:
    choices = list(accepted)
    if value not in choices:
        raise ValueError(f"{field}: {value!r} cannot be read, {' or '.join(map(repr, choices))} is accepted")


# Ours -> theirs: first where a module stands, then what it is called there.
PLACES = (
    (r"(down|up)\.(\d+)\.layers\.(\d+)\.block\.(.*)", r"\1_blocks.\2.resnets.\3.", "block"),
    (r"(down|up)\.(\d+)\.layers\.(\d+)\.attention\.(.*)", r"\1_blocks.\2.attentions.\3.", "attention"),
    (r"(down|up)\.(\d+)\.step\.(.*)", r"\1_blocks.\2.\1samplers.0.", "step"),
    (r"middle\.(\d+)\.block\.(.*)", r"mid_block.resnets.\1.", "block"),
    (r"middle\.(\d+)\.attention\.(.*)", r"mid_block.attentions.\1.", "attention"),
    (r"(.*)", "", "root"),
)
PARTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "block": {
        "norm": ("norm1",),
        "first": ("conv1",),
        "hear.linear": ("time_emb_proj",),
        "hear.norm": ("norm2",),
        "last": ("conv2",),
        "skip": ("conv_shortcut",),
    },
    "attention": {"norm": ("group_norm",), "qkv": ("to_q", "to_k", "to_v"), "out": ("to_out.0",)},
    "step": {"conv": ("conv",)},
    "root": {
        "embedding.time.first": ("time_embedding.linear_1",),
        "embedding.time.last": ("time_embedding.linear_2",),
        "embedding.label": ("class_embedding",),
        "enter": ("conv_in",),
        "norm": ("conv_norm_out",),
        "leave": ("conv_out",),
    },
}
# The names of an attention's matrices before diffusers 0.13, which models on the hub still have.
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def peer_names(name: str) -> tuple[str, ...]:
    """The diffusers' weights whose rows, one below the other, are our weight of this name."""
    for pattern, place, kind in PLACES:
        if found := re.fullmatch(pattern, name):
            part, end = found.groups()[-1].rsplit(".", 1)
            return tuple(f"{found.expand(place)}{peer}.{end}" for peer in PARTS[kind][part])
    raise AssertionError(name)


def rename(config: UNetConfig, theirs: Mapping[str, Tensor], null_class: bool) -> dict[str, Tensor]:
    """Our weights from diffusers'; raises ValueError unless they are exactly those of the configuration."""
    with torch.device("meta"):
        wanted = UNet(config).state_dict()
    old = re.compile(rf"(.*\.attentions\.\d+)\.({'|'.join(OLD)})\.(weight|bias)")
    given = {old.sub(lambda m: f"{m[1]}.{OLD[m[2]]}.{m[3]}", name): weight for name, weight in theirs.items()}
    if TABLE in given and not null_class:
        given[TABLE] = torch.cat([given[TABLE], torch.zeros_like(given[TABLE][:1])])
    names = {name: peer_names(name) for name in wanted}
    every = {peer for peers in names.values() for peer in peers}
    complain("missing", sorted(every - given.keys()))
    complain("left over", sorted(given.keys() - every))
    ours = {}
    for name, weight in wanted.items():
        for peer, part in zip(names[name], weight.chunk(len(names[name])), strict=True):
            if given[peer].shape != part.shape:
                shapes = f"{tuple(given[peer].shape)}, {tuple(part.shape)} is accepted by its {CONFIG}"
                raise ValueError(f"{peer}: shape {shapes}")
        ours[name] = torch.cat([given[peer] for peer in names[name]])
    return ours


def complain(what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise ValueError(f"{what}: {', '.join(names[:3])}{more}")
