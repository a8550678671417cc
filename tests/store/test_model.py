"""A model folder: what is written comes back, and what does not fit together is refused in one line."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from phosphene.families.generator import find_model
from phosphene.networks.build import Config, build
from phosphene.networks.transformer import TransformerConfig
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store import model

UNET = UNetConfig(1, 1, widths=(4, 4, 4), attention=(False,) * 3, blocks=1, classes=2)
TRANSFORMER = TransformerConfig(1, 1, patch=4, width=8, depth=1, head_width=8, classes=2)
HEADER = model.Header(
    diffusion=DiffusionSettings(), sampling=SamplingSettings(), size=8, channels=1, classes=("a", "b")
)


def save(folder: Path, config: Config = UNET, header: model.Header = HEADER) -> Path:
    torch.manual_seed(0)
    model.save(folder, header, config, build(config).state_dict(), "card")
    return folder


@pytest.mark.parametrize("config", [UNET, TRANSFORMER], ids=["unet", "transformer"])
def test_what_is_written_comes_back(config: Config, tmp_path: Path):
    read = model.load(save(tmp_path / "model", config))
    assert (read.header, read.config) == (HEADER, config)
    torch.manual_seed(0)
    assert all(
        torch.equal(read.network.state_dict()[name], value)
        for name, value in build(config).state_dict().items()
    )


def wider(settings: dict[str, Any]) -> None:
    settings["classes"] = ["a", "b", "c"]


def narrower(settings: dict[str, Any]) -> None:
    settings["classes"] = ["a"]


def coloured(settings: dict[str, Any]) -> None:
    settings["channels"] = 3


def odd(settings: dict[str, Any]) -> None:
    settings["size"] = 10


def learned(settings: dict[str, Any]) -> None:
    settings["diffusion"] |= {"schedule": "linear", "learned_variance": True}


@pytest.mark.parametrize("config", [UNET, TRANSFORMER], ids=["unet", "transformer"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (wider, "classes: 3 names, the network has 2 classes"),
        (narrower, "classes: 1 names, the network has 2 classes"),
        (coloured, "channels 3: the network takes 1"),
        (odd, "size 10: the network takes multiples of 4"),
        (learned, "channels 1: the network says 1, with diffusion.learned_variance True it should say 2"),
    ],
)
def test_a_header_of_another_network_is_refused(
    config: Config, change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
):
    file = save(tmp_path, config) / "config.json"
    settings = json.loads(file.read_text())
    change(settings)
    file.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file}: {words}')}$"):
        model.load(tmp_path)


def test_a_kill_between_the_renames_of_a_model_loses_nothing(tmp_path: Path):
    """`model` stood aside for a new one that never came."""
    folder = save(tmp_path / "model")
    folder.rename(tmp_path / "model.old")
    assert find_model(tmp_path) == find_model(folder) == folder
    assert model.load(folder).header == HEADER
    # The next one that is saved stands in the right place, and the former goes.
    save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
