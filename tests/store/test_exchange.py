"""The same weights give the same answers in diffusers' UNet2DModel and in ours, in both directions."""

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from phosphene.diffusion.condition import Condition
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.store.exchange import CONFIG, PICKLE, WEIGHTS, PeerConfig, read_diffusers, write_diffusers

from .unet_peer import UNet2DModel

# The published settings (google/ddpm-cifar10-32, google/ddpm-celebahq-256, ADM), with fewer channels.
CIFAR10 = {
    "sample_size": 8,
    "block_out_channels": (8, 16, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
    "norm_num_groups": 4,
}
CELEBA = {**CIFAR10, "block_out_channels": (8, 8, 12), "layers_per_block": 1, "dropout": 0.1}
ADM = {
    "sample_size": 8,
    "in_channels": 5,
    "out_channels": 6,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 4,
    "norm_num_groups": 8,
    "resnet_time_scale_shift": "scale_shift",
    "attn_norm_num_groups": 8,
}
CASES = {
    "cifar10": CIFAR10,
    "celeba": CELEBA,
    "adm": ADM,
    "middle without norm": {**ADM, "attn_norm_num_groups": None},
    "labels": {**ADM, "num_class_embeds": 5},
    "middle without attention": {**CIFAR10, "add_attention": False},
    "one level": {
        **CIFAR10,
        "block_out_channels": (8,),
        "down_block_types": ("AttnDownBlock2D",),
        "up_block_types": ("AttnUpBlock2D",),
    },
}


def randomise(network: nn.Module) -> nn.Module:
    """Every parameter random, so that no zero hides a path."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.randn_like(p) * (0.3 if p.ndim == 1 else p[0].numel() ** -0.5))
    return network.eval()


def peer(settings: dict) -> UNet2DModel:
    network = UNet2DModel(**settings)
    randomise(network)
    return network


def ours(folder: Path) -> UNet:
    config, weights = read_diffusers(folder)
    network = UNet(config).eval()
    network.load_state_dict(weights)
    return network


def question(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, channels, 8, 16, generator=generator), torch.tensor([0.0, 17.0, 999.0])


@torch.no_grad()
def assert_same(network: UNet, reference: UNet2DModel, label: torch.Tensor | None = None) -> None:
    x, noise = question(network.config.in_channels)
    expected = reference(x, noise, class_labels=label, return_dict=False)[0]
    assert expected.std() > 0.1
    torch.testing.assert_close(network(x, noise, Condition(label=label)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_reads_what_diffusers_wrote(settings: dict, tmp_path: Path) -> None:
    reference = peer(settings)
    reference.save_pretrained(tmp_path)
    label = torch.tensor([0, 4, 2]) if "num_class_embeds" in settings else None
    assert_same(ours(tmp_path), reference, label)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_diffusers_reads_what_we_wrote(settings: dict, tmp_path: Path) -> None:
    peer(settings).save_pretrained(tmp_path / "theirs")
    network = ours(tmp_path / "theirs")
    randomise(network)
    write_diffusers(network, tmp_path / "ours", sample_size=8)
    # Any: its annotation does not say that output_loading_info makes the answer a pair.
    loaded: Any = UNet2DModel.from_pretrained(
        tmp_path / "ours", output_loading_info=True, local_files_only=True, low_cpu_mem_usage=False
    )
    reference, info = loaded
    assert not any(info.values())
    assert reference.config["sample_size"] == 8
    null = network.config.classes
    label = torch.tensor([0, 4, null]) if null else None
    assert_same(network, reference, label)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_reads_what_it_wrote_exactly(settings: dict, tmp_path: Path) -> None:
    peer(settings).save_pretrained(tmp_path / "theirs")
    network = ours(tmp_path / "theirs")
    # Weights may lie in memory in another order than their shape says.
    network.enter.weight.data = network.enter.weight.data.to(memory_format=torch.channels_last)
    write_diffusers(network, tmp_path / "ours", sample_size=8)
    config, weights = read_diffusers(tmp_path / "ours")
    assert config == network.config
    assert weights.keys() == network.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())


def test_groups_that_were_picked_are_written_as_numbers(tmp_path: Path) -> None:
    network = UNet(UNetConfig(1, 1, widths=(48, 96), attention=(False, False), blocks=1))
    write_diffusers(network, tmp_path, sample_size=8)
    assert read_diffusers(tmp_path)[0] == replace(network.config, groups=12)


def test_a_foreign_table_of_labels_gets_a_null_row_that_adds_nothing(tmp_path: Path) -> None:
    peer({**ADM, "num_class_embeds": 5}).save_pretrained(tmp_path)
    config, weights = read_diffusers(tmp_path)
    assert config.classes == 5
    assert torch.equal(weights["embedding.label.weight"][5], torch.zeros(32))


def test_reads_the_attention_names_of_old_models(tmp_path: Path) -> None:
    reference = peer(CIFAR10)
    reference.save_pretrained(tmp_path)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = load_file(tmp_path / WEIGHTS)
    for new, name in old.items():
        weights = {k.replace(f".{new}.", f".{name}."): v for k, v in weights.items()}
    assert any("proj_attn" in name for name in weights)
    save_file(weights, tmp_path / WEIGHTS)
    assert_same(ours(tmp_path), reference)


def test_weights_keep_their_dtype(tmp_path: Path) -> None:
    peer(CIFAR10).half().save_pretrained(tmp_path)
    assert {w.dtype for w in read_diffusers(tmp_path)[1].values()} == {torch.float16}


def test_defaults_are_those_of_diffusers() -> None:
    theirs = inspect.signature(UNet2DModel.__init__).parameters
    expected = {name: p.default for name, p in theirs.items() if name != "self"}
    assert asdict(PeerConfig()) == expected


# What cannot be read is refused in one line that names the place.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    peer(CIFAR10).save_pretrained(tmp_path)
    return tmp_path


def refused(folder: Path) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        read_diffusers(folder)
    return str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("down_block_types", ["DownBlock2D", "SkipDownBlock2D", "DownBlock2D"], "'AttnDownBlock2D'"),
        ("down_block_types", ["DownBlock2D"], "1 of them for 3 block_out_channels"),
        ("up_block_types", ["UpBlock2D"] * 3, "('UpBlock2D', 'AttnUpBlock2D', 'UpBlock2D')"),
        ("mid_block_type", None, "'UNetMidBlock2D', not null"),
        ("time_embedding_type", "fourier", "'positional', not \"fourier\""),
        ("time_embedding_dim", 64, "64 cannot be read, None or 32 is accepted"),
        ("mid_block_scale_factor", 1.4, "1.4 cannot be read, 1 is accepted"),
        ("attn_norm_num_groups", 2, "2 cannot be read, None or 4 is accepted"),
        ("class_embed_type", "timestep", '"timestep"'),
        ("center_input_sample", True, "False, not true"),
        ("downsample_padding", 2, "0 or 1, not 2"),
        ("downsample_type", "resnet", "'conv', not \"resnet\""),
        ("resnet_time_scale_shift", "spatial", '"spatial"'),
        ("act_fn", "mish", "'silu' or 'swish'"),
        ("layers_per_block", "2", "valid integer"),
        ("norm_num_groups", 3, "groups: 3 does not divide"),
        ("dropouts", 0.1, "did you mean dropout?"),
        ("_class_name", "UNet2DConditionModel", "'UNet2DModel' is accepted"),
        ("_null_class", 3, "_null_class: 3 cannot be read, None is accepted"),
    ],
)
def test_settings_that_ours_lacks_are_named(folder: Path, field: str, value: object, said: str) -> None:
    settings = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**settings, field: value}))
    message = refused(folder)
    assert message.startswith(f"{folder / CONFIG}: ")
    assert said in message
    assert field in message or field == "norm_num_groups"


def drop(weights: dict) -> None:
    del weights["conv_in.bias"]


def add(weights: dict) -> None:
    weights["conv_in.scale"] = torch.zeros(1)


def reshape(weights: dict) -> None:
    weights["mid_block.attentions.0.to_k.weight"] = torch.zeros(16, 15)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop, "missing: conv_in.bias"),
        (add, "left over: conv_in.scale"),
        (reshape, "mid_block.attentions.0.to_k.weight: shape (16, 15), (16, 16) is accepted"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder: Path, change: Callable[[dict], None], said: str) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS)
    assert said in refused(folder)


def test_a_pickle_is_refused_with_the_way_out(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / PICKLE)
    assert "pickled weights are never read; convert them once" in refused(folder)


def test_files_that_are_absent_or_damaged_are_named(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"not weights")
    assert str(folder / WEIGHTS) in refused(folder)
    (folder / CONFIG).write_text("{")
    assert str(folder / CONFIG) in refused(folder)
    (folder / CONFIG).write_text("[]")
    assert "an object of settings is accepted" in refused(folder)
    (folder / CONFIG).unlink()
    assert f"no {CONFIG}" in refused(folder)
    (folder / WEIGHTS).unlink()
    assert f"no {WEIGHTS}" in refused(folder)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"token_width": 3}, "token_width: 3"),
        ({"augment": 9}, "augment: 9"),
        ({"middle_norm": False}, "middle_norm: False"),
    ],
)
def test_what_diffusers_lacks_is_not_written(tmp_path: Path, extra: dict, said: str) -> None:
    network = UNet(UNetConfig(1, 1, widths=(8,), attention=(False,), **extra))
    with pytest.raises(ValueError, match=f"^{said} cannot be written"):
        write_diffusers(network, tmp_path / "out", sample_size=8)
    assert not (tmp_path / "out").exists()
