"""Restoration on Gaussian data, whose posterior has a closed form: at each level, and of what is drawn."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.ancestral import ddpm
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.level import Level
from phosphene.diffusion.measurement import Mask, Measurement, blur, downsampling, grey
from phosphene.diffusion.multistep import unipc
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import Plan, compile, sample
from phosphene.diffusion.resampling import resampled, walk
from phosphene.diffusion.restoration import conjugate_gradients, known, mmps, pigdm
from tests.oracles import Correlated, correlated, levels, matrix, points

SHAPE = (3, 2, 4)
VALUES = math.prod(SHAPE)
TAU = 0.2
FAR = 1000.0  # a level at which nothing of the data is left
DATA = correlated(VALUES)
AT = levels([0.98, 0.8, 0.5, 1.0, 0.02], [0.2, 0.6, 0.5, 3.0, 1.0])  # in three kinds of units

MEASUREMENTS: dict[str, Measurement] = {
    "mask": Mask((points(1, 2, 4, seed=3) > 0).double()),
    "downsampling": downsampling(*SHAPE, 2),
    "blur": blur(*SHAPE, 0.8),
    "grey": grey(*SHAPE[1:]),
}
ALL = pytest.mark.parametrize("name", MEASUREMENTS)


def closed_form(data: Correlated, a: Tensor, x: Tensor, level: Level, y: Tensor) -> Tensor:
    """E[x0 | x_t, y]: x_t and y are two measurements of x0, taken as one."""
    rows = []
    one = torch.eye(VALUES, dtype=torch.float64)
    for i in range(len(x)):
        both = torch.cat([level.alpha[i] * one, a])
        noise = (
            torch.cat([level.sigma[i].expand(VALUES), torch.full((len(a),), TAU, dtype=torch.float64)]) ** 2
        )
        seen = torch.cat([x[i].flatten(), y[0].flatten()])[None]
        rows.append(data.posterior(both, torch.diag(noise), seen)[0])
    return torch.cat(rows).reshape(x.shape)


def measured(measurement: Measurement) -> Tensor:
    """A y of a picture that the data could hold."""
    y = measurement.apply(points(1, *SHAPE, seed=8))
    return y + TAU * measurement.apply(points(1, *SHAPE, seed=9)).sign() * (y != 0)


@ALL
def test_mmps_is_the_closed_form_posterior(name):
    measurement = MEASUREMENTS[name]
    x, y = points(5, *SHAPE, seed=7), measured(measurement)
    said = mmps(DATA.denoise, measurement, y, TAU, iterations=40)(x, AT, Condition())
    expected = closed_form(DATA, matrix(measurement, SHAPE), x, AT, y)
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-9)
    assert float((said - DATA.denoise(x, AT, Condition())).abs().max()) > 0.1


@ALL
def test_pigdm_is_the_closed_form_posterior_of_isotropic_data(name):
    measurement, deviation = MEASUREMENTS[name], 0.7
    mean = points(*SHAPE, seed=2)
    data = exact.Mixture(mean[None], torch.tensor([deviation], dtype=torch.float64), torch.zeros(1))
    same = Correlated(mean.flatten(), deviation**2 * torch.eye(VALUES, dtype=torch.float64))
    x, y = points(5, *SHAPE, seed=7), measured(measurement)
    said = pigdm(data.denoise, measurement, y, TAU, deviation)(x, AT, Condition())
    expected = closed_form(same, matrix(measurement, SHAPE), x, AT, y)
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-9)


@ALL
def test_a_solver_draws_from_the_posterior(name):
    """All is affine in the noise at the start: no noise and the unit vectors tell mean and covariance."""
    measurement = MEASUREMENTS[name]
    y = measured(measurement)
    plan = compile(unipc(grid.log_snr(schedule.edm(FAR), 70)))
    denoise = mmps(DATA.denoise, measurement, y, TAU, iterations=25)
    start = FAR * torch.eye(VALUES + 1, VALUES, dtype=torch.float64).roll(1, 0).reshape(-1, *SHAPE)
    made = sample(denoise, plan, keys(0, range(len(start))), Condition(), start).flatten(1)
    mean, factor = made[:1], made[1:] - made[:1]
    a = matrix(measurement, SHAPE)
    noise = TAU**2 * torch.eye(len(a), dtype=torch.float64)
    true_mean, true_covariance = DATA.posterior(a, noise, y.flatten(1))
    torch.testing.assert_close(mean, true_mean, rtol=0, atol=2e-3)
    torch.testing.assert_close(factor.mT @ factor, true_covariance, rtol=0, atol=2e-3)


def test_derivatives_are_had_in_inference_mode_and_of_each_row_alone():
    measurement = MEASUREMENTS["blur"]
    x, y = points(5, *SHAPE, seed=7), measured(measurement)
    restored = mmps(DATA.denoise, measurement, y, TAU)
    expected = restored(x, AT, Condition())
    with torch.inference_mode():
        inside = Level(AT.alpha * 1, AT.sigma * 1)
        said = restored(x * 1, inside, Condition())
    assert torch.equal(said, expected)
    for i in range(5):
        row = slice(i, i + 1)
        torch.testing.assert_close(restored(x[row], AT.rows(row), Condition()), expected[row])


def test_a_learned_variance_passes_through():
    def learned(x: Tensor, level: Level, condition: Condition) -> Tensor:
        return torch.cat([DATA.denoise(x, level, condition), 0 * x + 0.25], dim=1)

    measurement = MEASUREMENTS["mask"]
    x, y = points(5, *SHAPE, seed=7), measured(measurement)
    for way in (partial(mmps, tau=TAU), partial(pigdm, tau=TAU), known):
        said = way(learned, measurement, y)(x, AT, Condition())
        torch.testing.assert_close(said[:, :3], way(DATA.denoise, measurement, y)(x, AT, Condition()))
        assert bool((said[:, 3:] == 0.25).all())


def test_without_signal_nothing_is_changed():
    x, y = points(1, *SHAPE), measured(MEASUREMENTS["grey"])
    noise = levels([0.0], [1.0])
    for way in (mmps, pigdm):
        said = way(DATA.denoise, MEASUREMENTS["grey"], y, TAU)(x, noise, Condition())
        assert torch.equal(said, DATA.denoise(x, noise, Condition()))


def test_conjugate_gradients_are_exact_and_stop_where_a_matrix_is_not_positive():
    a, b = correlated(6).covariance, points(3, 6)
    solved = conjugate_gradients(lambda v: v @ a, b, 30)
    torch.testing.assert_close(solved, b @ torch.linalg.inv(a), rtol=1e-9, atol=1e-9)
    assert not conjugate_gradients(lambda v: -v, b, 3).any()
    assert not conjugate_gradients(lambda v: v @ a, 0 * b, 3).any()


@ALL
def test_known_answers_are_of_the_measurement_and_the_nearest(name):
    """A x = y after, and the change lies where A sees: A+ A of it is itself."""
    measurement = MEASUREMENTS[name]
    x, y = points(5, *SHAPE, seed=7), measurement.apply(points(1, *SHAPE, seed=8))
    said = known(DATA.denoise, measurement, y)(x, AT, Condition())
    torch.testing.assert_close(measurement.apply(said), y.expand(5, *y.shape[1:]))
    change = said - DATA.denoise(x, AT, Condition())
    torch.testing.assert_close(measurement.fit(measurement.apply(change)), change)


# RePaint ----------------------------------------------------------------------------------------------------


def test_the_walk_is_the_paper_s():
    assert list(walk(4, 2, 2)) == [(0, 1, 1), (1, 2, 2), (2, 3, 3), (3, 4, 2), (2, 3, 3), (3, 4, 4)]
    plan = compile(resampled(5, 3)(grid.log_snr(schedule.cosine(), 20)))
    assert plan.evaluations == 5 + 15 * 3


def test_resampling_once_is_ddpm():
    at = grid.log_snr(schedule.flow(), 10)
    once, plain = compile(resampled(3, 1)(at)), compile(ddpm(at))
    torch.testing.assert_close(once.update, plain.update)


@pytest.mark.parametrize("schedule_", [schedule.cosine(), schedule.flow(), schedule.edm()])
def test_a_jump_keeps_the_distribution(schedule_):
    """Where x0_hat is the picture, x is N(alpha x0, sigma^2) at each evaluation: what RePaint pastes."""
    x0 = 0.7
    plan = compile(resampled(3, 4)(grid.karras(schedule_, 12)))
    mean, variance = plan.level.alpha[0] * x0, plan.level.sigma[0] ** 2
    for n in range(plan.evaluations - 1):
        of_x, of_x0, of_z = plan.update[n, 0]
        mean, variance = of_x * mean + of_x0 * x0, of_x**2 * variance + of_z**2
        after = plan.level.rows(n + 1)
        assert float(mean) == pytest.approx(float(after.alpha) * x0, abs=1e-9)
        assert float(variance) == pytest.approx(float(after.sigma) ** 2, rel=1e-9)


def test_known_pixels_are_exact_at_the_end():
    keep = MEASUREMENTS["mask"]
    assert isinstance(keep, Mask)
    picture = points(1, *SHAPE, seed=8).float()
    y = keep.apply(picture)

    def rough(x: Tensor, level: Level, condition: Condition) -> Tensor:
        return (DATA.denoise(x.double(), level, condition) + 0.1).float()

    plan = compile(resampled(2, 3)(grid.karras(schedule.flow(), 8)))
    made = sample(known(rough, keep, y), plan, keys(0, range(4)), Condition(), SHAPE)
    here = keep.keep.bool().expand(SHAPE)
    assert torch.equal(made[:, here], picture[:, here].expand(4, -1))
    assert not torch.isclose(made[:, ~here], picture[:, ~here]).any(dim=1).all()


HALF = Mask(torch.cat([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)], dim=2).double())


def mean_and_covariance(denoise: Denoise, plan: Plan) -> tuple[Tensor, Tensor]:
    """Of what a plan ends with, through an affine denoiser, without chance."""
    mean = torch.zeros(VALUES, dtype=torch.float64)
    covariance = one = torch.eye(VALUES, dtype=torch.float64)
    units = torch.cat([0 * one[:1], one]).reshape(-1, *SHAPE)
    for n in range(plan.evaluations):
        said = denoise(units, plan.level.rows(torch.full((VALUES + 1,), n)), Condition()).flatten(1)
        of_x, of_x0, of_z = plan.update[n, 0]
        linear = of_x * one + of_x0 * (said[1:] - said[0]).mT
        mean = linear @ mean + of_x0 * said[0]
        covariance = linear @ covariance @ linear.mT + of_z**2 * one
    return mean, covariance


def test_jumps_bring_repaint_to_the_conditional_distribution():
    """The unknown half's mean is off by 62% of what there is to know; by 28% and 10% with 5 and 20 turns."""
    y = HALF.apply(points(1, *SHAPE, seed=8))
    here = HALF.keep.bool().expand(SHAPE).flatten()
    a = matrix(HALF, SHAPE)[here]
    noise = 1e-12 * torch.eye(len(a), dtype=torch.float64)
    true_mean, true_covariance = DATA.posterior(a, noise, y.flatten(1)[:, here])
    at = grid.log_snr(schedule.cosine(), 60)
    errors, spreads = [], []
    for times in (1, 5, 20):
        mean, covariance = mean_and_covariance(known(DATA.denoise, HALF, y), compile(resampled(2, times)(at)))
        gap = (mean - true_mean[0])[~here].norm() / (true_mean[0] - DATA.mean)[~here].norm()
        errors.append(float(gap))
        spreads.append(float((covariance - true_covariance)[~here][:, ~here].norm() / true_covariance.norm()))
        assert torch.allclose(mean[here], y.flatten()[here])
    assert errors[0] > 0.4
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[0] / 5


def test_numbers_of_jumps_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="jump 0, times 1: give 1 or more"):
        resampled(0, 1)
