"""Everything that a GPU does, on a second device: the same numbers, and nobody waits inside the loop."""

import pytest
import torch

from phosphene.diffusion import grid, guidance, noise, schedule
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import denoiser
from phosphene.diffusion.plan import compile, sample, stack
from phosphene.diffusion.prediction import eps, hear_timestep
from phosphene.diffusion.schedule import SCHEDULES
from phosphene.diffusion.solver import SOLVERS
from phosphene.families.diffusion import Diffusion
from phosphene.families.family import Batch
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import DiffusionSettings
from tests.second_device import LAZY, META, Transfers

LINEAR = schedule.linear()
SHAPE = (1, 2, 2)


def network(x: torch.Tensor, heard: torch.Tensor, condition: Condition) -> torch.Tensor:
    """Says a noise and, behind it, a variance."""
    assert condition.label is not None
    said = torch.tanh(x) + (heard / 1000 + condition.label).reshape(-1, 1, 1, 1)
    return torch.cat([said, torch.sin(said)], dim=1)


class Silent(torch.nn.Module):
    """Predicts the noise of nothing."""

    def forward(self, x: torch.Tensor, heard: torch.Tensor, condition: Condition) -> torch.Tensor:
        return torch.tanh(x) * heard.reshape(-1, 1, 1, 1) / 1000


def pictures(names: list[str], steps: int, device: torch.device, guided: bool = False) -> torch.Tensor:
    plans = [compile(SOLVERS[name].solver(grid.trailing(LINEAR, steps))) for name in names]
    denoise = denoiser(network, eps(hear_timestep(LINEAR)))
    if guided:
        scale = torch.full((len(names),), 2.0, device=device)
        denoise = guidance.classifier_free(denoise, scale, (0.1, 50.0))
    label = torch.zeros(len(names), dtype=torch.int64, device=device)
    return sample(
        guidance.dynamic_threshold(denoise),
        plans,
        noise.keys(0, range(len(names))).to(device),
        Condition(label=label),
        SHAPE,
    )


@pytest.mark.parametrize("names", [["ddpm_learned"], ["ddim"], ["heun", "unipc", "dpmpp_2m_sde"]])
def test_pictures_are_the_same_on_a_second_device(names):
    made = pictures(names, 5, LAZY)
    assert made.device.type == "lazy"
    torch.testing.assert_close(made.cpu(), pictures(names, 5, torch.device("cpu")), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("names", [["ddpm_learned"], ["ddim"], ["heun", "unipc", "dpmpp_2m_sde"]])
def test_no_step_waits_for_the_device(names):
    """However many the steps, nothing is asked of the device (meta would refuse), and as much is sent."""
    pictures(names, 2, META, guided=True)  # the schedule's tables go there once
    counts = []
    for steps in (3, 9):
        with Transfers() as seen:
            assert pictures(names, steps, META, guided=True).device == META
        counts.append(seen.count)
    assert counts[0] == counts[1] > 0


def test_the_count_of_transfers_sees_them():
    with Transfers() as seen:
        torch.ones(3).to(META)
        torch.zeros(3, device=META).to(META, torch.float64)
        torch.zeros(3, device=META).copy_(torch.ones(3))
    assert seen.count == 2


def test_noise_is_drawn_where_an_evaluation_takes_it():
    ddpm, ddim = (compile(SOLVERS[name].solver(grid.trailing(LINEAR, 3))) for name in ("ddpm", "ddim"))
    assert stack([ddpm, ddim]).draws.tolist() == [[True, True, False], [False, False, False]]


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules_answer_where_they_are_asked(name):
    asked = SCHEDULES[name]()
    t = torch.tensor([0.0, 0.0004, 0.25, 0.9994, 1.0], dtype=torch.float64)
    level = asked.level(t)
    there = asked.level(t.to(LAZY))
    for one, other in zip(level, there, strict=True):
        assert other.device.type == "lazy"
        torch.testing.assert_close(other.cpu(), one, rtol=1e-12, atol=1e-12)
    assert asked.timestep(there.ratio).device.type == "lazy"
    torch.testing.assert_close(asked.timestep(there.ratio).cpu(), asked.timestep(level.ratio))


@pytest.mark.parametrize("settings", [recipe.diffusion for recipe in RECIPES.values()], ids=list(RECIPES))
def test_losses_are_the_same_on_a_second_device(settings: DiffusionSettings):
    def loss(device: torch.device) -> torch.Tensor:
        x0 = noise.uniform(noise.keys(1, range(6)), 0, SHAPE).float().to(device)
        batch = Batch(x0, Condition(), noise.keys(7, range(6)).to(device), 3, 6)
        return Diffusion(Silent(), settings).loss("network", batch)

    made = loss(LAZY)
    assert made.device.type == "lazy"
    torch.testing.assert_close(made.cpu(), loss(torch.device("cpu")), rtol=1e-4, atol=1e-5)


def test_a_learned_variance_is_the_same_on_a_second_device():
    class Both(torch.nn.Module):
        def forward(self, x: torch.Tensor, heard: torch.Tensor, condition: Condition) -> torch.Tensor:
            return torch.cat([torch.tanh(x), torch.sin(x)], dim=1)

    settings = RECIPES["ddpm"].diffusion.model_copy(update={"learned_variance": True})
    losses = []
    for device in (LAZY, torch.device("cpu")):
        x0 = torch.full((6, *SHAPE), 0.5, device=device)
        batch = Batch(x0, Condition(), noise.keys(7, range(6)).to(device), 3, 6)
        losses.append(Diffusion(Both(), settings).loss("network", batch).cpu())
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)


def test_a_table_copied_while_sampling_serves_training():
    """Tensors made in inference mode cannot be differentiated through later."""
    asked = schedule.linear()
    with torch.inference_mode():
        asked.level(torch.ones(1, dtype=torch.float64, device=META))
    assert not asked.level(torch.ones(1, dtype=torch.float64, device=META)).alpha.is_inference()
    weight = torch.ones(1, dtype=torch.float64, device=META, requires_grad=True)
    (asked.level(torch.ones(1, dtype=torch.float64, device=META)).alpha * weight).sum().backward()
