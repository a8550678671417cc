"""Editing through the generator: SDEdit on data that is known, instructions on a network that is."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition
from phosphene.families import making
from phosphene.families.generator import Generator
from phosphene.families.like import read as read_like
from phosphene.networks.unet import UNetConfig
from phosphene.pictures.pixels import to_values
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings, ScheduleName
from phosphene.recipes.tasks import ColouringTask, EditingTask, TaskSettings
from phosphene.store.model import Header, Model
from tests.families.test_generator import MEAN, SD, Noise, generator

BYTE = 200
Y = float(to_values(torch.tensor(BYTE, dtype=torch.uint8)))
IMAGE = Image.new("L", (4, 4), BYTE)


def gaussian(schedule: ScheduleName = "flow") -> Generator:
    return generator(Noise(schedule), DiffusionSettings(schedule=schedule, prediction="eps"))


class Editor(nn.Module):
    """x0_hat: 0.1, a picture's own value if it is shown one, and 0.2 of a label more, half of it unseen."""

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        assert condition.picture is not None
        assert condition.label is not None
        given, picture = condition.picture[:, :1], condition.picture[:, 1:]
        label = 0.2 * (condition.label + 1)[:, None, None, None]
        return 0.1 + given * picture + label * (1 + given) / 2 + 0 * x


def editor(task: TaskSettings | None = None, **sampling: Any) -> Generator:
    header = Header(
        diffusion=DiffusionSettings(prediction="x0"),
        sampling=SamplingSettings(solver="ddim", steps=2, **sampling),
        size=4,
        channels=1,
        classes=("one", "two"),
        task=task or EditingTask(),
    )
    config = UNetConfig(3, 1, widths=(4,), attention=(False,))
    return Generator(Model(header, Editor(), config, "f" * 64), Path("m"), torch.device("cpu"))


@pytest.mark.parametrize("schedule", ["cosine", "flow"])
def test_what_is_made_of_a_picture_is_known(schedule):
    """Of data N(MEAN, SD^2): mean MEAN + k alpha (y - MEAN), deviation k sigma, k = SD / sqrt(...)."""
    made = gaussian(schedule).edit(IMAGE, n=256, strength=0.4, solver="dpmpp_2m", steps=60, batch=256)
    alpha, sigma = (
        (0.6, 0.4) if schedule == "flow" else (0.6 / math.hypot(0.6, 0.4), 0.4 / math.hypot(0.6, 0.4))
    )
    k = SD / math.hypot(alpha * SD, sigma)
    assert float(made.values.mean()) == pytest.approx(MEAN + k * alpha * (Y - MEAN), abs=0.02)
    assert float(made.values.std()) == pytest.approx(k * sigma, abs=0.02)
    assert made.seen is not None
    assert torch.equal(made.seen, torch.full_like(made.values, Y))
    assert made.settings[0]["strength"] == 0.4


def test_a_strength_takes_its_share_of_the_steps():
    steps = [
        gaussian().edit(IMAGE, strength=s, solver="ddim", steps=20).evaluations for s in (0.05, 0.5, 1.0)
    ]
    assert steps == [1, 10, 20]


def test_all_strength_is_sampling_and_none_is_the_picture():
    made = gaussian().edit(IMAGE, n=3, strength=1.0, seed=5)
    assert torch.equal(made.values, gaussian().sample(3, seed=5).values)
    kept = gaussian().edit(IMAGE, n=3, strength=1e-4)
    torch.testing.assert_close(kept.values, torch.full_like(kept.values, Y), rtol=0, atol=1e-3)


def test_instructions_are_guided_by_picture_and_words():
    """D_00 + s_I (D_I0 - D_00) + s_T (D_IT - D_I0) of 0.1, 0.1 + y and 0.2 (label + 1) more."""
    made = editor().edit(
        IMAGE, n=3, label=["one", "two", None], guidance=[7.5, 0.0, 3.0], image_guidance=[1.5, 1.0, 2.0]
    )
    expected = [0.1 + 1.5 * Y + 7.5 * 0.2, 0.1 + Y, 0.1 + 2 * Y]
    torch.testing.assert_close(made.values[:, 0, 0, 0], torch.tensor(expected))
    plain = editor().edit(IMAGE, label="two", guidance=1.0, image_guidance=1.0)
    torch.testing.assert_close(plain.values, torch.full_like(plain.values, 0.1 + Y + 0.4))
    free = editor().edit(IMAGE, label="two", guidance=2.0, image_guidance=1.0)
    torch.testing.assert_close(free.values, torch.full_like(free.values, 0.1 + Y + 0.8))


def test_guidance_is_the_recipes_unless_it_is_given():
    asked = editor(guidance=7.5, image_guidance=1.5).edit(IMAGE, label="one")
    torch.testing.assert_close(asked.values[0, 0, 0, 0], torch.tensor(0.1 + 1.5 * Y + 7.5 * 0.2))
    assert (asked.settings[0]["guidance"], asked.settings[0]["image_guidance"]) == (7.5, 1.5)


def test_an_interval_bounds_both_guidances():
    made = editor().edit(IMAGE, label="one", guidance=2.0, image_guidance=3.0, interval=(1e6, 1e7))
    torch.testing.assert_close(made.values[0, 0, 0, 0], torch.tensor(0.1 + Y + 0.2))
    # Of two guidances one is enough for an interval to bound.
    made = editor().edit(IMAGE, label="one", guidance=1.0, image_guidance=3.0, interval=(0.0, 1e9))
    torch.testing.assert_close(made.values[0, 0, 0, 0], torch.tensor(0.1 + 3 * Y + 0.2))


@pytest.mark.parametrize(
    ("asked", "how", "words"),
    [
        (gaussian(), {"strength": 0.0}, "strength 0.0: give a share of noise above 0"),
        (gaussian(), {"strength": 1.5}, "strength 1.5: give a share of noise above 0"),
        (
            gaussian(),
            {"image_guidance": 1.5},
            "image_guidance 1.5: only a model that was trained for editing",
        ),
        (gaussian(), {"prompt": "a cat"}, "prompt 'a cat': this model was trained without captions"),
        (
            editor(),
            {"strength": 0.5},
            "strength 0.5: this model was trained for editing and sees the picture",
        ),
        (editor(), {"image_guidance": math.inf}, "image_guidance inf: give a number"),
        (
            editor(image_guidance=1.5),
            {"label": "one", "guidance": 2.0, "weaker": 0.05},
            "weaker 0.05: image_guidance 1.5 compares this model's own answers; give image_guidance 1",
        ),
        (
            editor(ColouringTask()),
            {},
            "this model was trained for colouring, not for editing: phosphene",
        ),
    ],
)
def test_what_does_not_apply_is_refused(asked, how, words, monkeypatch):
    monkeypatch.setattr(making, "weaker_than", lambda ready, named: making.Weaker(named, ready))
    with pytest.raises(ValueError, match=re.escape(words)):
        asked.edit(IMAGE, **how)


def test_an_editor_is_shown_a_picture():
    with pytest.raises(ValueError, match="phosphene edit RUN --image PICTURE --prompt WORDS"):
        editor().sample(1)


def test_an_edit_is_not_made_again_without_its_picture(tmp_path):
    asked = gaussian()
    asked.edit(IMAGE, strength=0.5, steps=4).save(tmp_path / "out")
    with pytest.raises(ValueError, match="made from a picture, which it does not hold"):
        read_like(tmp_path / "out" / "seed0-000000.png", asked.model, asked.folder)
