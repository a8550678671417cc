"""Levels of a table are levels like others, of which everything is computed once."""

import torch

from phosphene.diffusion import grid, guidance, noise, schedule
from phosphene.diffusion.ancestral import ddim
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import denoiser
from phosphene.diffusion.level import Level
from phosphene.diffusion.levels import Levels
from phosphene.diffusion.multistep import dpmpp
from phosphene.diffusion.plan import compile, sample, stack
from phosphene.diffusion.prediction import PREDICTIONS, hear_timestep

CURVE = schedule.linear()
PLANS = [compile(ddim()(grid.trailing(CURVE, 6))), compile(dpmpp(2)(grid.trailing(CURVE, 6)))]


def network(x, heard, condition):
    return torch.tanh(x + heard.cos()[:, None])


def test_what_is_said_of_a_level_in_a_table_is_said_of_it_alone():
    table = stack(PLANS).level
    levels, prediction = Levels(table), PREDICTIONS["v"](hear_timestep(CURVE))
    for n in range(table.alpha.shape[1]):
        known, alone = levels.at(n), Level(table.alpha[:, n], table.sigma[:, n])
        assert torch.equal(torch.stack(known), torch.stack(alone))
        assert torch.equal(known.of(lambda level: level.ratio), alone.ratio)
        for of_known, of_alone in ((known, alone), (known.twice(), alone.twice())):
            for one, other in zip(of_known.of(prediction), prediction(of_alone), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-15, atol=0)


def test_twice_is_every_row_and_then_every_row_again():
    level = Level(torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8]))
    assert level.twice().alpha.tolist() == [*level.alpha.tolist(), *level.alpha.tolist()]
    assert level.twice().sigma.tolist() == [*level.sigma.tolist(), *level.sigma.tolist()]


def test_a_plan_asks_for_coefficients_once():
    asked = []
    known = PREDICTIONS["v"](hear_timestep(CURVE))

    def prediction(level):
        asked.append(tuple(level.alpha.shape))
        return known(level)

    plain = denoiser(network, prediction)
    sample(plain, PLANS, noise.keys(0, range(2)), Condition(), (2,))
    assert asked == [(2, 6)]
    asked.clear()
    guided = guidance.classifier_free(plain, torch.tensor([2.0, 3.0]))
    condition = Condition(label=torch.tensor([0, 1]))
    sample(guided, PLANS, noise.keys(0, range(2)), condition, (2,))
    assert asked == [(4, 6)]


def test_pictures_are_those_of_asking_at_every_level():
    prediction = PREDICTIONS["v"](hear_timestep(CURVE))
    known = denoiser(network, prediction)

    def alone(x, level, condition):
        return known(x, Level(*level), condition)

    key = noise.keys(0, range(2))
    made, same = (sample(d, PLANS, key, Condition(), (2,)) for d in (known, alone))
    torch.testing.assert_close(made, same, rtol=1e-6, atol=1e-7)


def test_a_guide_may_take_gradients_where_sampling_takes_none():
    plain = denoiser(network, PREDICTIONS["v"](hear_timestep(CURVE)))

    def guide(x, level, condition):
        said = plain(x, level, condition)
        with torch.inference_mode(False), torch.enable_grad():
            there = x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(plain(there, level, condition).sum(), there)
        return said + 0 * gradient

    key, x = noise.keys(0, range(2)), torch.ones(2, 2, dtype=torch.float64)
    with torch.inference_mode():
        made, same = (sample(d, PLANS, key, Condition(), x) for d in (guide, plain))
    assert torch.equal(made, same)
