"""The generator on networks that are known functions: what it makes, and what it refuses to make."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition
from phosphene.families.generator import Generator
from phosphene.networks.unet import UNetConfig
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
