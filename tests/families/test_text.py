"""Asking in words: what prompts, negative prompts, guidance a row, a weaker self make of a known network."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from phosphene.families.generator import Generator, load
from phosphene.networks.build import build
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.pictures.embedded import read_settings
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.recipes.tasks import EditingTask
from phosphene.store import model
from phosphene.store.text_encoder import find
from tests import encoders

CONFIG = UNetConfig(
    1, 1, widths=(8, 8), attention=(False, True), blocks=1, head_width=4, token_width=encoders.WIDTH
)
SHORT, LONG = "a red circle", "a blue star and a big green square"


def random(seed: int) -> UNet:
    """A network that hears every word: all weights are random, also those that begin at zero."""
    torch.manual_seed(seed)
    network = build(CONFIG)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn_like(weight) * 0.3)
    assert isinstance(network, UNet)
    return network


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    encoders.bert(folder)
    return folder


@pytest.fixture(scope="module")
def folder(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "model"
    header = model.Header(
        diffusion=DiffusionSettings(),
        sampling=SamplingSettings(steps=3),
        size=8,
        channels=1,
        text=find(str(encoder)).header,
        ema=(0.1, 0.05),
    )
    others = {0.05: random(2).state_dict()}
    model.save(place, header, CONFIG, random(1).state_dict(), "card", others)
    return place


@pytest.fixture(scope="module")
def asked(folder: Path) -> Generator:
    return load(folder, "cpu", precision="fp32")


def assert_near(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_what_is_asked_is_heard(asked: Generator):
    plain, short, long = (asked.sample(1, prompt=prompt).values for prompt in (None, SHORT, LONG))
    assert not torch.allclose(plain, short, atol=0.01)
    assert not torch.allclose(short, long, atol=0.01)


def test_a_picture_does_not_depend_on_what_others_are_asked_for(asked: Generator):
    prompts, scales = [SHORT, None, LONG, "star"], [2.0, 3.0, 1.0, 4.0]
    negatives = ["circle", None, None, LONG]
    together = asked.sample(4, prompt=prompts, guidance=scales, negative=negatives)
    for i in range(4):
        alone = asked.sample(1, first=i, prompt=prompts[i], guidance=scales[i], negative=negatives[i])
        assert_near(together.values[i : i + 1], alone.values)
    apart = asked.sample(4, prompt=prompts, guidance=scales, negative=negatives, batch=1)
    assert_near(together.values, apart.values)


def test_a_negative_prompt_that_is_the_prompt_guides_nowhere(asked: Generator):
    plain = asked.sample(2, prompt=[SHORT, LONG], guidance=1.0).values
    assert_near(asked.sample(2, prompt=[SHORT, LONG], negative=[SHORT, LONG], guidance=5.0).values, plain)
    assert not torch.allclose(asked.sample(2, prompt=[SHORT, LONG], guidance=5.0).values, plain, atol=0.01)


def test_a_negative_prompt_alone_leads_away_from_it(asked: Generator):
    """D_neg + 0 (D_null - D_neg) is the negative prompt's own answer."""
    away = asked.sample(1, negative=SHORT, guidance=0.0)
    assert_near(away.values, asked.sample(1, prompt=SHORT, guidance=1.0).values)


def test_a_weaker_self_is_led_away_from(asked: Generator, folder: Path):
    """At scale 0 autoguidance says what the weaker one says; at 1 what the model says."""
    short = load(folder, "cpu", 0.05, "fp32").sample(2, prompt=LONG)
    plain = asked.sample(2, prompt=LONG)
    assert_near(asked.sample(2, prompt=LONG, weaker=0.05, guidance=0.0).values, short.values)
    assert_near(asked.sample(2, prompt=LONG, weaker=0.05, guidance=1.0).values, plain.values)
    by_place = asked.sample(2, weaker=folder, guidance=2.0)  # away from itself is nowhere
    assert_near(by_place.values, asked.sample(2).values)


@pytest.mark.parametrize(
    "wishes",
    [
        {"prompt": [SHORT, "a star"], "negative": LONG, "guidance": [3.0, 2.0], "interval": (0.2, 5.0)},
        {"prompt": SHORT, "guidance": [3.0, 1.0], "interval": (0.2, 5.0)},
        {"prompt": LONG, "weaker": 0.05, "guidance": 2.0},
    ],
)
def test_a_pictures_file_says_how_to_make_it_again(asked: Generator, wishes: dict[str, Any], tmp_path: Path):
    made = asked.sample(2, **wishes)
    made.save(tmp_path)
    for i in range(2):
        picture = tmp_path / f"seed0-{i:06d}.png"
        again = asked.sample(like=picture)
        assert_near(again.values, made.values[i : i + 1])
        assert dict(again.settings[0]) == dict(made.settings[i]) == read_settings(picture)


def test_a_weaker_model_is_of_the_same_kind(asked: Generator, folder: Path, tmp_path: Path):
    header = asked.model.header
    assert header.text is not None
    moved = header.model_copy(
        update={"text": header.text.model_copy(update={"name": "elsewhere"}), "ema": ()}
    )
    model.save(tmp_path / "moved", moved, CONFIG, random(2).state_dict(), "card")
    away = asked.sample(1, weaker=tmp_path / "moved", guidance=2.0)
    assert_near(away.values, asked.sample(1, weaker=0.05, guidance=2.0).values)
    config = replace(CONFIG, in_channels=3)
    edits = header.model_copy(update={"task": EditingTask(), "ema": ()})
    model.save(tmp_path / "edits", edits, config, build(config).state_dict(), "card")
    with pytest.raises(
        ValueError, match=r"weaker .*edits: its task is kind='editing', this model's kind='none'"
    ):
        asked.sample(1, weaker=tmp_path / "edits", guidance=2.0)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (None, "prompt: none is given; say what to change, such as"),
        ("", "prompt '': no words; say what to change"),
        ([" ", None], "prompt [' ', None]: no words; say what"),
    ],
)
def test_who_edits_is_told_what_to_change(prompt: Any, words: str, asked: Generator, tmp_path: Path):
    config = replace(CONFIG, in_channels=3)
    edits = asked.model.header.model_copy(update={"task": EditingTask(), "ema": ()})
    model.save(tmp_path / "edits", edits, config, build(config).state_dict(), "card")
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        load(tmp_path / "edits", "cpu").edit(Image.new("L", (8, 8)), n=2, prompt=prompt)


def test_what_was_made_with_another_weaker_model_is_not_made_again(
    asked: Generator, folder: Path, tmp_path: Path
):
    asked.sample(1, weaker=0.05, guidance=2.0).save(tmp_path)
    other = tmp_path / "other"
    header = asked.model.header
    model.save(other, header, CONFIG, random(1).state_dict(), "card", {0.05: random(3).state_dict()})
    with pytest.raises(ValueError, match=r"like .*: made with another weaker model"):
        load(other, "cpu").sample(like=tmp_path / "seed0-000000.png")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompt": ""}, "prompt '': no words; leave it out to ask for nothing"),
        ({"prompt": "a star " * 6}, "14 tokens; the encoder"),
        ({"negative": "a star " * 6, "guidance": 2.0}, "negative 'a star a star a star a star"),
        ({"prompt": SHORT, "negative": LONG}, f"negative '{LONG}': it counts with guidance; give guidance"),
        (
            {"negative": [None, SHORT, None, None], "guidance": [1.0, 1.0, 2.0, 2.0]},
            f"negative '{SHORT}': it",
        ),
        ({"label": "cat"}, "label 'cat': this model was trained without labels; it takes a prompt"),
        ({"prompt": [SHORT]}, "prompt: 1 for 4 pictures; give one, or one a picture"),
        ({"prompt": SHORT, "guidance": [1.0]}, "guidance: 1 for 4 pictures; give one, or one a picture"),
        ({"prompt": SHORT, "guidance": [1.0, 2.0, float("nan"), 1.0]}, "guidance nan: give a number"),
        ({"prompt": SHORT, "negative": LONG, "weaker": 0.05}, "negative: with weaker 0.05 guidance leads"),
        ({"weaker": 0.07, "guidance": 2.0}, "ema 0.07: "),
    ],
)
def test_what_cannot_be_asked(asked: Generator, options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=f"{re.escape(words)}[^\n]*$"):
        asked.sample(4, **options)


def test_another_encoder_is_refused(folder: Path, tmp_path: Path):
    encoders.bert(tmp_path, seed=3)
    moved = load(folder, "cpu", text=tmp_path)
    assert len(moved.sample(1)) == 1  # nothing asked, nothing heard
    with pytest.raises(ValueError, match=r"its weights are [0-9a-f]{12}; this model was trained with"):
        moved.sample(1, prompt=SHORT)


def without_text(settings: dict[str, Any]) -> None:
    settings["text"] = None


def narrower(settings: dict[str, Any]) -> None:
    settings["text"]["width"] = 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_text, "text.width 0: the network hears states of width 16"),
        (narrower, "text.width 8: the network hears states of width 16"),
    ],
)
def test_a_header_of_another_network_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
):
    settings = json.loads((folder / "config.json").read_text())
    change(settings)
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=re.escape(words)):
        load(tmp_path)
