"""Schedules, grids and densities against closed forms and diffusers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.diffusion import density, grid, schedule
from phosphene.diffusion.schedule import SCHEDULES
from tests.diffusion.peers import DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler

DISCRETE = [name for name, make in SCHEDULES.items() if make().steps]
ALL = list(SCHEDULES)


def whole_times(steps: int) -> torch.Tensor:
    return torch.arange(1, steps + 1, dtype=torch.float64) / steps


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear"])
def test_discrete_levels_are_those_of_diffusers(beta_schedule):
    reference = DDPMScheduler(beta_schedule=beta_schedule)
    make = {"linear": schedule.linear, "scaled_linear": lambda: schedule.scaled_linear(first=1e-4, last=2e-2)}
    level = make[beta_schedule]().level(whole_times(1000))
    torch.testing.assert_close(level.alpha**2, reference.alphas_cumprod.double(), rtol=3e-5, atol=1e-9)
    torch.testing.assert_close(level.alpha**2 + level.sigma**2, torch.ones(1000).double(), rtol=0, atol=1e-15)


def test_the_capped_cosine_is_that_of_diffusers():
    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod.double()
    alphas = schedule.cosine_capped().level(whole_times(1000)).alpha
    # Their product is in float32, whose errors grow where nearly nothing is left.
    torch.testing.assert_close(alphas**2, theirs, rtol=2e-3, atol=1e-9)
    torch.testing.assert_close(alphas[:900] ** 2, theirs[:900], rtol=3e-5, atol=0)


def test_linear_is_the_product_of_its_betas():
    betas = np.linspace(1e-4, 2e-2, 1000)
    product = math.prod(1 - b for b in betas[:137])
    level = schedule.linear().level(torch.tensor([0.137], dtype=torch.float64))
    assert float(level.alpha) == pytest.approx(math.sqrt(product), rel=1e-13)


def test_zero_terminal_is_that_of_diffusers():
    reference = DDPMScheduler(rescale_betas_zero_snr=True)
    level = SCHEDULES["linear_zero_terminal"]().level(whole_times(1000))
    torch.testing.assert_close(level.alpha**2, reference.alphas_cumprod.double(), rtol=2e-3, atol=1e-7)
    assert level.alpha[-1] == 0
    assert level.alpha[0] == pytest.approx(math.sqrt(1 - 1e-4), rel=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_time_zero_is_the_picture(name):
    level = SCHEDULES[name]().level(torch.zeros(1).double())
    assert (float(level.alpha), float(level.sigma)) == (1, 0)


@pytest.mark.parametrize("name", ALL)
@given(share=st.floats(0.0005, 0.9985))
def test_time_is_the_inverse_of_level(name, share):
    s = SCHEDULES[name]()
    t = torch.tensor([share], dtype=torch.float64)
    level = s.level(t)
    torch.testing.assert_close(s.time(level.ratio), t, rtol=1e-9, atol=1e-9)
    at = s.at(level.ratio)
    torch.testing.assert_close(torch.stack(at), torch.stack(level), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", DISCRETE)
def test_timesteps_are_whole_numbers_from_zero(name):
    s = SCHEDULES[name]()
    ratio = s.level(whole_times(1000)).ratio
    torch.testing.assert_close(s.timestep(ratio), torch.arange(1000).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "flow"])
@pytest.mark.parametrize("spacing", list(grid.GRIDS))
@pytest.mark.parametrize("steps", [1, 20, 1000])
def test_with_signal_a_continuous_schedule_ends_at_its_span(name, spacing, steps):
    whole = SCHEDULES[name]()
    walked = schedule.with_signal(whole)
    ratio = grid.GRIDS[spacing](walked, steps).ratio
    assert bool((ratio.diff() < 0).all())
    assert ratio.max() <= 500 * (1 + 1e-9)
    if spacing == "trailing":
        t = (1 - torch.arange(steps + 1).double() / steps) * SCHEDULES[name]().time(
            torch.tensor(500.0).double()
        )
        torch.testing.assert_close(ratio, SCHEDULES[name]().level(t).ratio)


def test_with_signal_a_discrete_schedule_loses_its_last_step():
    whole = SCHEDULES["linear_zero_terminal"]()
    walked = schedule.with_signal(whole)
    assert walked.steps == 999
    torch.testing.assert_close(
        walked.level(whole_times(999)).ratio, whole.level(whole_times(1000)).ratio[:-1], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "edm"])
def test_with_signal_changes_nothing_where_there_is_signal(name):
    made = SCHEDULES[name]()
    assert schedule.with_signal(made) is made


def test_units_of_a_ratio():
    ratio = torch.tensor([0.0, 0.3, 7.0, math.inf], dtype=torch.float64)
    vp, flow = schedule.preserving(ratio), schedule.straight(ratio)
    torch.testing.assert_close(vp.alpha**2 + vp.sigma**2, torch.ones(4).double())
    torch.testing.assert_close(flow.alpha + flow.sigma, torch.ones(4).double())
    torch.testing.assert_close(vp.ratio, ratio)
    torch.testing.assert_close(flow.ratio, ratio)


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1000, 50, 37, 10])
def test_grids_are_the_timesteps_of_diffusers(spacing, steps):
    reference = DDIMScheduler(timestep_spacing=spacing, steps_offset=0)
    reference.set_timesteps(steps)
    s = schedule.linear()
    levels = grid.GRIDS[spacing](s, steps)
    ours = s.timestep(levels.ratio[:-1]).round().long()
    assert ours.tolist() == reference.timesteps.tolist()
    assert (levels.alpha[-1], levels.sigma[-1]) == (1, 0)


def test_karras_grid_is_equation_5():
    n = 18
    levels = grid.karras(schedule.edm(), n)
    low, high = 0.002, 80.0
    expected = [(high ** (1 / 7) + i / (n - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(n)]
    assert levels.sigma.tolist() == pytest.approx([*expected, 0.0], rel=1e-12)
    reference = EulerDiscreteScheduler(use_karras_sigmas=True)
    reference.set_timesteps(n)
    ours = grid.karras(schedule.linear(), n).ratio
    torch.testing.assert_close(ours, reference.sigmas.double(), rtol=2e-4, atol=1e-9)


def test_log_snr_grid_is_geometric():
    ratio = grid.log_snr(schedule.edm(), 7).ratio[:-1]
    quotients = ratio[1:] / ratio[:-1]
    torch.testing.assert_close(quotients, quotients[:1].expand(6))
    assert ratio[0].item() == pytest.approx(80)
    assert ratio[-1].item() == pytest.approx(0.002)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("spacing", list(grid.GRIDS))
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_every_grid_falls_to_the_clean_picture(name, spacing, steps):
    levels = grid.GRIDS[spacing](SCHEDULES[name](), steps)
    assert len(levels.alpha) == steps + 1
    assert bool((levels.ratio.diff() < 0).all())
    assert (levels.alpha[-1], levels.sigma[-1]) == (1, 0)


def test_too_many_steps_for_a_discrete_schedule():
    with pytest.raises(ValueError, match="steps 1001: this schedule has 1000 times"):
        grid.trailing(schedule.linear(), 1001)


def test_uniform_density_visits_whole_times_equally():
    u = (torch.arange(3000, dtype=torch.float64) + 0.5) / 3000
    s = schedule.linear()
    k = s.timestep(density.uniform(s, u).ratio).round().long()
    assert torch.equal(torch.bincount(k, minlength=1000), torch.full((1000,), 3))


def test_log_normal_has_its_mean_and_deviation():
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    logs = density.log_normal(-1.2, 1.2)(schedule.edm(), u).sigma.log()
    assert float(logs.mean()) == pytest.approx(-1.2, abs=1e-6)
    assert float(logs.std()) == pytest.approx(1.2, rel=1e-3)


def test_logit_normal_on_a_flow_is_log_normal():
    u = torch.linspace(0.001, 0.999, 77, dtype=torch.float64)
    one = density.logit_normal(-1.2, 1.2)(schedule.flow(), u)
    other = density.log_normal(-1.2, 1.2)(schedule.flow(), u)
    torch.testing.assert_close(one.ratio, other.ratio)


@given(u=st.floats(0, 1, exclude_min=True, exclude_max=True), rows=st.integers(1, 64))
def test_strata_put_one_row_in_each_part(u, rows):
    drawn = density.strata(torch.tensor(u, dtype=torch.float64), torch.arange(rows), rows)
    shifted = torch.remainder(drawn - u, 1) * rows
    assert sorted((shifted.round() % rows).long().tolist()) == list(range(rows))
