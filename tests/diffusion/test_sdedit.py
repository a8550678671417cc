"""SDEdit on Gaussian data, where what it makes of a picture is known; and where its grids begin."""

import math

import pytest
import torch

from phosphene.diffusion import ancestral, exact, grid, multistep, noise, schedule
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.heun import heun
from phosphene.diffusion.level import Level
from phosphene.diffusion.plan import compile, sample
from phosphene.diffusion.sdedit import begun, noised
from phosphene.diffusion.solver import SOLVERS
from tests.oracles import one_gaussian, points

STRENGTHS = (0.05, 0.3, 0.5, 0.8)
CONTINUOUS = ("cosine", "edm", "flow")


def edited(solver, steps: int, strength: float, picture: torch.Tensor, units: str = "flow") -> torch.Tensor:
    walked = schedule.SCHEDULES[units]()
    plan = compile(solver(begun(walked, grid.log_snr(walked, steps), strength)))
    key = noise.keys(3, range(len(picture)))
    return sample(one_gaussian().denoise, plan, key, Condition(), noised(plan, key, picture))


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("units", CONTINUOUS)
def test_a_strength_is_the_share_of_noise_whatever_the_units(units, strength):
    walked = schedule.SCHEDULES[units]()
    start = begun(walked, grid.log_snr(walked, 40), strength).rows(0)
    assert float(start.sigma / (start.alpha + start.sigma)) == pytest.approx(strength, rel=1e-12)
    assert float(start.sigma) == pytest.approx(float(walked.at(start.ratio).sigma), rel=1e-12)


@pytest.mark.parametrize("units", CONTINUOUS)
def test_what_a_gaussian_makes_of_a_picture_is_known(units):
    """Mean and variance over seeds, in closed form: m + k alpha (y - m) and (k sigma)^2."""
    mean, sd, strength, y = 0.3, 0.4, 0.4, 1.2
    made = edited(multistep.dpmpp(2), 60, strength, torch.full((20_000, 1, 1, 1), y).double(), units)
    alpha, sigma = 1 - strength, strength
    k = sd / math.hypot(alpha * sd, sigma)
    assert float(made.mean()) == pytest.approx(mean + k * alpha * (y - mean), abs=4 * k * sigma / 140)
    assert float(made.std()) == pytest.approx(k * sigma, rel=0.02)


@pytest.mark.parametrize("solver", [multistep.dpmpp(2), multistep.unipc, heun()])
def test_each_picture_follows_the_flow_of_the_gaussian(solver):
    """Not the distribution alone: every result is where the ODE takes its own start."""
    picture, walked = points(16, 1, 1, 1), schedule.flow()
    plan = compile(solver(begun(walked, grid.log_snr(walked, 150), 0.6)))
    start = noised(plan, noise.keys(3, range(16)), picture)
    first, clean = plan.level.rows(torch.zeros(16).long()), Level(torch.ones(16), torch.zeros(16))
    truth = exact.gaussian_flow(start, one_gaussian().means[0].double(), 0.4, first, clean)
    torch.testing.assert_close(edited(solver, 150, 0.6, picture), truth, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", SOLVERS)
def test_without_noise_the_picture_stays(name):
    picture = points(4, 1, 1, 1)
    for strength in (1e-3, 1e-6):
        made = edited(SOLVERS[name].solver, 30, strength, picture)
        torch.testing.assert_close(made, picture, rtol=0, atol=20 * strength)


@pytest.mark.parametrize("name", SOLVERS)
def test_all_noise_is_plain_sampling(name):
    """At strength 1 nothing of the picture is left: the same plan, the same start, the same picture."""
    walked = schedule.flow()
    whole = grid.trailing(walked, 12)
    plan = compile(SOLVERS[name].solver(begun(walked, whole, 1.0)))
    key = noise.keys(3, range(4))
    made = sample(one_gaussian().denoise, plan, key, Condition(), noised(plan, key, points(4, 1, 1, 1)))
    plain = sample(one_gaussian().denoise, compile(SOLVERS[name].solver(whole)), key, Condition(), (1, 1, 1))
    torch.testing.assert_close(made, plain.to(made), rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", grid.GRIDS)
@pytest.mark.parametrize("units", schedule.SCHEDULES)
def test_the_rest_of_the_grid_stays(kind, units):
    walked = schedule.SCHEDULES[units]()
    whole = grid.GRIDS[kind](walked, 20)
    for strength in STRENGTHS:
        part = begun(walked, whole, strength)
        rest = len(part.alpha) - 1
        assert torch.equal(part.alpha[1:], whole.alpha[-rest:])
        assert torch.equal(part.sigma[1:], whole.sigma[-rest:])
        assert (part.ratio.diff() < 0).all()
        assert part.sigma[-1] == 0


def test_no_level_is_nearer_than_the_one_that_was_moved():
    walked = schedule.cosine()
    whole = grid.trailing(walked, 10)  # even in the angle, a tenth of a quarter turn each
    for tenths, left in ((0.4, 2), (1.4, 2), (1.6, 3), (4.4, 5), (4.6, 6), (9.9, 11)):
        ratio = math.tan(math.pi / 2 * tenths / 10)
        part = begun(walked, whole, ratio / (1 + ratio))
        assert len(part.alpha) == left
        assert float(torch.atan(part.ratio[0])) == pytest.approx(math.pi / 20 * tenths)


def test_a_level_of_the_grid_is_met_exactly():
    """One-slot solvers then are the tail of the whole plan; others take a first step without memory."""
    walked = schedule.flow()
    whole = grid.trailing(walked, 10)
    part = begun(walked, whole, 0.6)
    tail = compile(ancestral.ddim()(whole)).update[4:]
    torch.testing.assert_close(compile(ancestral.ddim()(part)).update, tail, rtol=1e-12, atol=1e-12)
    for order in (2, 3):
        plan = compile(multistep.dpmpp(order)(part))
        assert plan.evaluations == 6
        assert not plan.update[0, 0, 1:-2].any()
        torch.testing.assert_close(plan.update[0, 0, [0, -2]], tail[0, 0, :2], rtol=1e-12, atol=1e-12)
        assert compile(multistep.dpmpp(order)(whole)).update[4, 0, 1:-2].any()


def test_a_discrete_schedule_begins_at_a_whole_step():
    walked = schedule.linear()
    for strength in STRENGTHS:
        start = begun(walked, grid.trailing(walked, 30), strength).rows(0)
        step = float(walked.time(start.ratio)) * 1000
        assert step == pytest.approx(round(step), abs=1e-6)
        assert start.alpha == walked.level(torch.tensor(round(step) / 1000, dtype=torch.float64)).alpha
        assert float(start.ratio / (1 + start.ratio)) == pytest.approx(strength, abs=5e-3)
