"""A model folder: what is written comes back, and what does not fit together is refused in one line."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from phosphene.families.generator import load
from phosphene.families.maker import load_like
from phosphene.families.place import find_model
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


LENGTHS = HEADER.model_copy(update={"ema": (0.1, 0.05, 0.2)})


def save_averages(folder: Path) -> dict[float, dict[str, torch.Tensor]]:
    averages = {}
    for length in LENGTHS.ema:
        averages[length] = {n: w + length for n, w in build(UNET).state_dict().items()}
    model.save(folder, LENGTHS, UNET, averages[0.1], "card", {0.05: averages[0.05], 0.2: averages[0.2]})
    return averages


def test_each_average_comes_back_by_its_length(tmp_path: Path):
    averages = save_averages(tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    files = {"model.safetensors", "weights-ema0.05.safetensors", "weights-ema0.2.safetensors"}
    assert names == {"config.json", "README.md", *files}
    prints = set()
    for ema, length, other in ((None, 0.1, None), (0.1, 0.1, None), (0.05, 0.05, 0.05), (0.2, 0.2, 0.2)):
        read = model.load(tmp_path / "model", ema)
        weights = read.network.state_dict()
        assert all(torch.equal(weights[name], value) for name, value in averages[length].items())
        assert read.ema == other
        prints.add(read.fingerprint)
    assert len(prints) == 3


def test_a_length_that_is_not_there_is_refused(tmp_path: Path):
    save_averages(tmp_path / "model")
    save(tmp_path / "plain")
    words = f"ema 0.07: {tmp_path / 'model'} holds 0.1, 0.05, 0.2"
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        load(tmp_path / "model", ema=0.07)
    with pytest.raises(ValueError, match=r"^ema 0\.07: [^\n]* names no lengths; leave it out$"):
        load(tmp_path / "plain", ema=0.07)
    (tmp_path / "model" / "weights-ema0.05.safetensors").unlink()
    with pytest.raises(ValueError, match=r"weights-ema0\.05\.safetensors is missing"):
        load(tmp_path / "model", ema=0.05)


def test_a_picture_says_which_average_made_it(tmp_path: Path):
    (tmp_path / "run").mkdir()
    save_averages(tmp_path / "run" / "model")
    made = load(tmp_path / "run", "cpu", ema=0.05).sample(1, steps=2)
    made.save(tmp_path / "out")
    picture = tmp_path / "out" / "seed0-000000.png"
    again = load_like(picture, "cpu").sample(like=picture)
    assert torch.equal(again.values, made.values)
    shipped = load(tmp_path / "run", "cpu", ema=0.1)
    assert not torch.equal(shipped.sample(1, steps=2).values, made.values)
    assert "ema" not in shipped.sample(1, steps=2).settings[0]
    with pytest.raises(ValueError, match=r"^like [^\n]*: made with ema 0\.05, not None; load[^\n]*$"):
        shipped.sample(like=picture)
