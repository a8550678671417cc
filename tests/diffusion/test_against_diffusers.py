"""diffusers' schedulers on the same network outputs, step by step."""

import numpy as np
import pytest
import torch

from phosphene.diffusion import ancestral, grid, multistep, noise, prediction, schedule
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import denoiser
from phosphene.diffusion.heun import heun
from phosphene.diffusion.level import Level
from phosphene.diffusion.plan import compile, sample
from tests.diffusion import peers

SHAPE = (2, 4, 4)
ROWS = 3


def network(x: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
    """A smooth nonlinear function of picture and time that stands for a network that predicts noise."""
    del condition
    t = t.reshape(-1, 1, 1, 1) / 1000
    return (torch.tanh(0.8 * x + t) + 0.3 * torch.sin(3 * x.flip(-1)) * (1 - t) + 0.4 * x).to(x.dtype)


def start() -> torch.Tensor:
    return torch.randn(ROWS, *SHAPE, generator=torch.Generator().manual_seed(0))


def ours(solver: ancestral.Solver, levels: Level, kind: prediction.Prediction, x: torch.Tensor):
    """Every x on our way, and the plan."""
    seen: list[torch.Tensor] = []
    plan = compile(solver(levels))
    sample(
        denoiser(network, kind),
        plan,
        noise.keys(0, range(ROWS)),
        Condition(),
        x,
        lambda n, y: seen.append(y.clone()),
    )
    return seen, plan


def theirs(scheduler, x: torch.Tensor, **options) -> list[torch.Tensor]:
    seen = [x]
    for t in scheduler.timesteps:
        said = network(scheduler.scale_model_input(x, t), t.float().expand(ROWS), Condition())
        x = scheduler.step(said, t, x, **options).prev_sample
        seen.append(x)
    return seen


LINEAR = schedule.linear()
EPS = prediction.eps(prediction.hear_timestep(LINEAR))
V = prediction.v(prediction.hear_timestep(LINEAR))
COMMON = {"timestep_spacing": "trailing"}


def agree(one: list[torch.Tensor], other: list[torch.Tensor], tolerance: float = 3e-5) -> None:
    assert len(one) == len(other)
    for n, (a, b) in enumerate(zip(one, other, strict=True)):
        scale = max(1.0, float(b.abs().max()))
        assert float((a - b).abs().max()) / scale < tolerance, f"after {n} evaluations"


@pytest.mark.parametrize(("kind", "name"), [(EPS, "epsilon"), (V, "v_prediction")])
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_ddim(kind, name, spacing):
    scheduler = peers.DDIMScheduler(clip_sample=False, prediction_type=name, timestep_spacing=spacing)
    scheduler.set_timesteps(20)
    seen, _ = ours(ancestral.ddim(), grid.GRIDS[spacing](LINEAR, 20), kind, start())
    agree(seen, theirs(scheduler, start()))


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddim_with_noise(eta, monkeypatch):
    scheduler = peers.DDIMScheduler(clip_sample=False, **COMMON)
    scheduler.set_timesteps(20)
    seen, _ = ours(ancestral.ddim(eta), grid.trailing(LINEAR, 20), EPS, start())
    x, key = start(), noise.keys(0, range(ROWS))
    for n, t in enumerate(scheduler.timesteps):
        said = network(x, t.float().expand(ROWS), Condition())
        z = noise.normal(key, n + 1, SHAPE)
        x = scheduler.step(said, t, x, eta=eta, variance_noise=z).prev_sample
        assert float((x - seen[n + 1]).abs().max()) < 3e-5


@pytest.mark.parametrize(("variance", "solver"), [("fixed_small", "ddpm"), ("fixed_large", "ddpm_large")])
def test_ddpm(variance, solver, monkeypatch):
    """The whole chain of 1000 steps, with the same noise."""
    scheduler = peers.DDPMScheduler(clip_sample=False, variance_type=variance)
    scheduler.set_timesteps(1000)
    key, turn = noise.keys(0, range(ROWS)), iter(range(1, 1001))
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_ddpm.randn_tensor",
        lambda *args, **kwargs: noise.normal(key, next(turn), SHAPE),
    )
    from phosphene.diffusion.solver import SOLVERS

    seen, _ = ours(SOLVERS[solver].solver, grid.trailing(LINEAR, 1000), EPS, start())
    other = theirs(scheduler, start())
    # float32 coefficients over a thousand steps of a map that grows: compare relative to the size of x.
    agree(seen, other, tolerance=2e-3)
    agree(seen[:100], other[:100], tolerance=2e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("steps", [8, 20])
def test_dpm_solver_multistep(order, steps):
    scheduler = peers.DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++", solver_order=order, final_sigmas_type="zero", **COMMON
    )
    scheduler.set_timesteps(steps)
    solver = multistep.dpmpp(order, curvature=0.5)
    seen, _ = ours(solver, grid.trailing(LINEAR, steps), EPS, start())
    agree(seen, theirs(scheduler, start()), tolerance=2e-4)


@pytest.mark.parametrize("order", [1, 2])
def test_dpm_solver_sde(order):
    scheduler = peers.DPMSolverMultistepScheduler(
        algorithm_type="sde-dpmsolver++", solver_order=order, final_sigmas_type="zero", **COMMON
    )
    scheduler.set_timesteps(20)
    seen, _ = ours(multistep.dpmpp(order, eta=1.0), grid.trailing(LINEAR, 20), EPS, start())
    x, key = start(), noise.keys(0, range(ROWS))
    for n, t in enumerate(scheduler.timesteps):
        said = network(x, t.float().expand(ROWS), Condition())
        x = scheduler.step(said, t, x, variance_noise=noise.normal(key, n + 1, SHAPE)).prev_sample
        scale = max(1.0, float(x.abs().max()))
        assert float((x - seen[n + 1]).abs().max()) / scale < 2e-4


@pytest.mark.parametrize("steps", [8, 20])
def test_unipc(steps):
    scheduler = peers.UniPCMultistepScheduler(solver_order=2, final_sigmas_type="zero", **COMMON)
    scheduler.set_timesteps(steps)
    seen, _ = ours(multistep.unipc, grid.trailing(LINEAR, steps), EPS, start())
    agree(seen, theirs(scheduler, start()), tolerance=2e-4)


def exploding(levels: Level) -> Level:
    return schedule.exploding(levels.ratio)


def test_euler():
    scheduler = peers.EulerDiscreteScheduler(**COMMON)
    scheduler.set_timesteps(20)
    levels = exploding(grid.trailing(LINEAR, 20))
    x = start() * levels.sigma[0].float()
    seen, _ = ours(ancestral.ddim(), levels, EPS, x)
    agree(seen, theirs(scheduler, x), tolerance=1e-4)


def test_euler_ancestral(monkeypatch):
    scheduler = peers.EulerAncestralDiscreteScheduler(**COMMON)
    scheduler.set_timesteps(20)
    key, turn = noise.keys(0, range(ROWS)), iter(range(1, 21))
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_euler_ancestral_discrete.randn_tensor",
        lambda *args, **kwargs: noise.normal(key, next(turn), SHAPE),
    )
    levels = exploding(grid.trailing(LINEAR, 20))
    x = start() * levels.sigma[0].float()
    seen, _ = ours(ancestral.ddim(eta=1.0), levels, EPS, x)
    agree(seen, theirs(scheduler, x), tolerance=1e-4)


def test_heun():
    scheduler = peers.HeunDiscreteScheduler(beta_start=1e-4, beta_end=0.02, **COMMON)
    scheduler.set_timesteps(12)
    levels = exploding(grid.trailing(LINEAR, 12))
    levels = Level(levels.alpha, torch.cat([scheduler.sigmas[:1], scheduler.sigmas[1::2]]).double())
    x = start() * levels.sigma[0].float()
    seen, plan = ours(heun(), levels, EPS, x)
    assert plan.evaluations == 23 == len(scheduler.timesteps)
    agree(seen, theirs(scheduler, x), tolerance=1e-4)


def test_flow_match_euler():
    scheduler = peers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 20, 20))
    kind = prediction.velocity(prediction.hear_timestep(schedule.flow()))
    seen, _ = ours(ancestral.ddim(), grid.trailing(schedule.flow(), 20), kind, start())
    x, other = start(), [start()]
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t.float().expand(ROWS), Condition()), t, x).prev_sample
        other.append(x)
    agree(seen, other, tolerance=3e-6)
