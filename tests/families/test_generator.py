"""The generator on networks that are known functions: what it makes, and what it refuses to make."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition
from phosphene.families.asked import Asked
from phosphene.families.generator import Generator
from phosphene.networks.unet import UNetConfig
from phosphene.pictures.embedded import read_settings
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store.model import Header, Model

MEAN, SD = 0.25, 0.3
CONFIG = UNetConfig(1, 1, widths=(4,), attention=(False,))


class Noise(nn.Module):
    """E[eps | x_t] of data N(MEAN, SD^2), exactly, for a network that hears 1000 t."""

    def __init__(self, schedule: str) -> None:
        super().__init__()
        self.schedule = schedule

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        t = (heard.double() / 1000).reshape(-1, 1, 1, 1)
        alpha, sigma = torch.cos(math.pi / 2 * t), torch.sin(math.pi / 2 * t)
        if self.schedule == "flow":
            alpha, sigma = 1 - t, t
            x = x * torch.hypot(alpha, sigma)  # inp brought it to variance 1
        return (sigma / (alpha**2 * SD**2 + sigma**2) * (x - alpha * MEAN)).float()


def generator(
    network: nn.Module, diffusion: DiffusionSettings, classes: tuple[str, ...] = (), size: int = 4
) -> Generator:
    header = Header(diffusion=diffusion, sampling=SamplingSettings(), size=size, channels=1, classes=classes)
    return Generator(Model(header, network, CONFIG, "f" * 64), Path("m"), torch.device("cpu"))


@pytest.mark.parametrize("schedule", ["cosine", "flow"])
@pytest.mark.parametrize(("solver", "steps", "grid"), [("ddim", 100, "trailing"), ("ddpm", 1000, "linspace")])
def test_the_noise_is_predicted_on_schedules_that_end_without_signal(schedule, solver, steps, grid):
    asked = generator(Noise(schedule), DiffusionSettings(schedule=schedule, prediction="eps"))
    values = asked.sample(256, solver=solver, steps=steps, grid=grid, batch=256).values
    assert float(values.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(values.std()) == pytest.approx(SD, abs=0.03)


class Nothing(nn.Module):
    """Says nothing that is a number about the third picture."""

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        return torch.where(torch.arange(len(x)).reshape(-1, 1, 1, 1) == 2, math.nan, x)


def test_pictures_that_are_not_finite_are_refused():
    words = "picture 7: its values are not finite with solver dpmpp_2m, steps 3, guidance 1; take"
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        generator(Nothing(), DiffusionSettings()).sample(4, first=5, steps=3)
    assert "\n" not in str(error.value)


class Labelled(nn.Module):
    """Says -label of every picture (a velocity), and remembers how many rows it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        assert condition.label is not None
        self.rows.append(len(x))
        return -condition.label.reshape(-1, 1, 1, 1).float() + 0 * x


def test_guidance_of_nothing_costs_nothing():
    network = Labelled()
    asked = generator(network, DiffusionSettings(), ("a", "b"))
    asked.sample(3, guidance=2.0, steps=1)
    assert network.rows == [3]
    asked.sample(3, guidance=2.0, steps=1, label=["b", None, None], batch=1)
    assert network.rows == [3, 2, 1, 1]


def test_a_recipes_guidance_is_for_models_with_labels():
    guided = SamplingSettings(guidance=1.5)
    for classes, guidance in ((("a",), 1.5), ((), 1.0)):
        asked = generator(nn.Identity(), DiffusionSettings(), classes)
        header = asked.model.header.model_copy(update={"sampling": guided})
        model = Model(header, asked.model.network, asked.model.config)
        assert Generator(model, Path("m"), asked.device).defaults.guidance == guidance


@pytest.mark.parametrize(
    ("classes", "options", "words"),
    [
        ((), {"guidance": 2.0}, "guidance 2: this model was trained without labels"),
        (("a",), {"interval": (0.1, 5.0)}, "interval (0.1, 5.0): guidance 1 guides nowhere"),
        (("a",), {"guidance": 2.0, "interval": (math.nan, 5.0)}, "interval (nan, 5.0): give the smaller"),
        (("a",), {"guidance": 2.0, "interval": [1.0]}, "interval [1.0]: give two numbers"),
        ((), {"solver": "ddpm_learned"}, "solver 'ddpm_learned': this model was trained without"),
        ((), {"solver": "heun", "churn": math.inf}, "churn inf: give a number"),
        ((), {"seed": 2**63}, "seed 9223372036854775808: give 9223372036854775807 or less"),
        ((), {"first": 2**63 - 2}, "first 9223372036854775806: give 9223372036854775804 or less"),
        (
            (),
            {"solver": "dpmpp_3m_published", "eta": 0.5},
            "eta: dpmpp_3m_published has none; accepted with ddim, euler, euler_ancestral, dpmpp_1, "
            "dpmpp_2m, dpmpp_3m, dpmpp_2m_sde, dpmpp_3m_sde",
        ),
    ],
)
def test_what_a_model_cannot_be_asked(classes: tuple[str, ...], options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}[^\n]*$"):
        generator(nn.Identity(), DiffusionSettings(), classes).sample(4, **options)


def test_the_largest_seed_and_number_are_accepted():
    made = generator(Noise("flow"), DiffusionSettings()).sample(2, seed=2**63 - 1, first=2**63 - 2, steps=1)
    assert [s["picture"] for s in made.settings] == [2**63 - 2, 2**63 - 1]


def test_an_interval_without_end_is_written_and_made_again(tmp_path: Path):
    asked = generator(Labelled(), DiffusionSettings(), ("a", "b"))
    made = asked.sample(1, label="b", guidance=2.0, interval=(0.5, math.inf), steps=2)
    made.save(tmp_path)
    picture = tmp_path / "seed0-000000.png"
    assert read_settings(picture)["interval"] == [0.5, "inf"]
    again = asked.sample(like=picture)
    assert torch.equal(again.values, made.values)
    assert dict(again.settings[0]) == dict(made.settings[0])
    plain = asked.sample(1, label="b", guidance=2.0, interval=(0.5, 0.6), steps=2)
    assert not torch.equal(plain.values, made.values)


def test_numbers_of_numpy_and_lists_are_understood_and_written(tmp_path: Path):
    asked = generator(Labelled(), DiffusionSettings(), ("a", "b"))
    made = asked.sample(
        2,
        label=np.array([0, 1]),
        guidance=[np.float32(2), 3.0],  # pyright: ignore[reportArgumentType]
        interval=[0.2, np.float32(5)],  # pyright: ignore[reportArgumentType] -- as people write it
        steps=np.int64(2),  # pyright: ignore[reportArgumentType]
        seed=np.int64(7),  # pyright: ignore[reportArgumentType]
    )
    plain = asked.sample(2, label=[0, 1], guidance=[2.0, 3.0], interval=(0.2, 5.0), steps=2, seed=7)
    assert torch.equal(made.values, plain.values)
    assert json.dumps(made.settings) == json.dumps(plain.settings)
    made.save(tmp_path)
    one = asked.sample(1, label=np.int64(1), guidance=np.float32(2), steps=2)  # pyright: ignore
    assert torch.equal(one.values, asked.sample(1, label=1, guidance=2.0, steps=2).values)


def test_what_was_asked_survives_its_description():
    asked = Asked("heun", 5, "karras", churn=3.0, guidance=2.0, interval=(0.0, math.inf), threshold="clip")
    text = json.dumps(asked.describe(), allow_nan=False)
    assert TypeAdapter(Asked).validate_json(text) == asked
