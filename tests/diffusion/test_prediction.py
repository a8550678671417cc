"""Prediction types, weights and the denoiser: identities that every one must obey."""

import math

import pytest
import torch

from phosphene.diffusion import prediction, schedule, weight
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import denoiser
from phosphene.diffusion.level import Level, like
from phosphene.diffusion.prediction import PREDICTIONS
from phosphene.diffusion.weight import WEIGHTS
from tests.oracles import levels, mixture, points

VP = levels([0.995, 0.6, 0.1], [math.sqrt(1 - 0.995**2), 0.8, math.sqrt(0.99)])
FLOW = levels([0.9, 0.5, 0.05], [0.1, 0.5, 0.95])
VE = levels([1.0, 1.0, 1.0], [0.01, 1.5, 70.0])
ANY = levels([0.7, 2.0, 0.3], [0.1, 3.0, 0.4])


def silent(at: Level) -> torch.Tensor:
    return 0 * at.alpha


def expected_target(name: str, at: Level, x0: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
    """The papers' own words, in x0 and eps."""
    a, s, sd = like(at.alpha, x0), like(at.sigma, x0), 0.5
    norm = torch.hypot(a, s)
    root = torch.sqrt(s**2 + (a * sd) ** 2)
    return {
        "eps": eps,
        "x0": x0,
        "v": (a * eps - s * x0) / norm,
        "velocity": eps - x0,
        # Karras 2022, equation 8 with c_skip and c_out of table 1, at alpha = 1:
        "edm": (x0 - a * sd**2 / root**2 * (a * x0 + s * eps)) * root / (s * sd),
    }[name]


@pytest.mark.parametrize("at", [VP, FLOW, VE, ANY])
@pytest.mark.parametrize("name", list(PREDICTIONS))
def test_target_is_the_papers(name, at):
    x0, eps = points(3, 2, 2, 2), points(3, 2, 2, 2, seed=1)
    said = PREDICTIONS[name](silent)(at).target(x0, at.add(x0, eps))
    torch.testing.assert_close(said, expected_target(name, at, x0, eps), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("at", [VP, FLOW, VE, ANY])
@pytest.mark.parametrize("name", list(PREDICTIONS))
def test_a_network_that_says_the_target_denoises_to_x0(name, at):
    x0, eps = points(3, 2, 2, 2), points(3, 2, 2, 2, seed=1)
    kind = PREDICTIONS[name](silent)
    denoise = denoiser(lambda x, noise, condition: expected_target(name, at, x0, eps), kind)
    torch.testing.assert_close(denoise(at.add(x0, eps), at, Condition()), x0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(PREDICTIONS))
def test_a_network_hears_and_says_the_same_in_any_units(name):
    """The same ratio in other units: input and target do not change."""
    heard = {
        "eps": prediction.hear_timestep(schedule.linear()),
        "x0": prediction.hear_log_ratio,
        "v": prediction.hear_log_ratio,
        "velocity": prediction.hear_timestep(schedule.flow()),
        "edm": prediction.hear_log_ratio,
    }[name]
    kind = PREDICTIONS[name](heard)
    x0, eps = points(3, 2, 2, 2), points(3, 2, 2, 2, seed=1)
    seen = []
    for units in (schedule.preserving, schedule.straight, schedule.exploding):
        at = units(torch.tensor([0.05, 1.0, 30.0], dtype=torch.float64))
        c = kind(at)
        x = at.add(x0, eps)
        seen.append((like(c.inp, x) * x, c.noise, c.target(x0, x)))
    for other in seen[1:]:
        for one, two in zip(seen[0], other, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


def test_edm_coefficients_are_table_1():
    c = PREDICTIONS["edm"](prediction.hear_log_ratio)(VE)
    s, sd = VE.sigma, 0.5
    torch.testing.assert_close(c.skip, sd**2 / (s**2 + sd**2))
    torch.testing.assert_close(c.out, s * sd / torch.sqrt(sd**2 + s**2))
    torch.testing.assert_close(c.inp, 1 / torch.sqrt(s**2 + sd**2))
    torch.testing.assert_close(c.noise, s.log() / 4)


def test_edm_of_unit_variance_is_minus_v():
    """Karras' F on data of deviation 1 is v-prediction: -v, in his sign."""
    c, v = prediction.edm(silent, sd=1.0)(VP), prediction.v(silent)(VP)
    torch.testing.assert_close(c.skip, v.skip)
    torch.testing.assert_close(c.out, -v.out)


def test_edm_input_and_target_have_unit_variance():
    x0, eps = 0.5 * points(3, 100_000), points(3, 100_000, seed=1)
    for at in (VP, VE, ANY):
        c = PREDICTIONS["edm"](silent)(at)
        x = at.add(x0, eps)
        for value in (like(c.inp, x) * x, c.target(x0, x)):
            torch.testing.assert_close(value.var(1), torch.ones(3).double(), rtol=0.02, atol=0)


@pytest.mark.parametrize(
    ("kind", "schedule_name", "expected"),
    [
        ("eps", "linear", lambda at: at.alpha**2 / at.sigma**2),
        ("v", "linear", lambda at: at.alpha**2 / at.sigma**2 + 1),
        ("velocity", "flow", lambda at: 1 / at.sigma**2),
        ("edm", "edm", lambda at: (at.sigma**2 + 0.25) / (at.sigma * 0.5) ** 2),
        ("x0", "linear", lambda at: torch.ones_like(at.alpha)),
    ],
)
def test_mean_squared_error_as_a_weight_on_x0(kind, schedule_name, expected):
    at = schedule.SCHEDULES[schedule_name]().level(torch.tensor([0.01, 0.3, 0.9], dtype=torch.float64))
    said = weight.uniform(at, PREDICTIONS[kind](silent)(at))
    torch.testing.assert_close(said, expected(at), rtol=1e-9, atol=0)


def test_weights_by_hand():
    at = levels([1.0, 3.0], [1.0, 1.0])  # SNR 1 and 9
    c = PREDICTIONS["v"](silent)(at)
    expected = {
        "uniform": [2.0, 10.0],
        "snr": [1.0, 9.0],
        "v": [2.0, 10.0],
        "velocity": [4.0, 16.0],
        "min_snr": [1.0, 5.0],
        "soft_min_snr": [4 / 5, 36 / 13],
        "edm": [1.25 / 0.25, (1 / 9 + 0.25) / (0.25 / 9)],
    }
    # v's out is -sigma / |(alpha, sigma)|, so that 1 / out^2 = SNR + 1.
    assert set(expected) == set(WEIGHTS)
    for name, values in expected.items():
        assert WEIGHTS[name](at, c).tolist() == pytest.approx(values), name


def test_velocity_counts_no_more_below_a_twentieth():
    """t = sigma / (alpha + sigma) in any units; 1 / 0.05^2 is the most."""
    at = levels([0.95, 0.96, 9.99, 1.0], [0.05, 0.04, 0.01, 0.0])
    c = PREDICTIONS["x0"](silent)(at)
    assert WEIGHTS["velocity"](at, c).tolist() == pytest.approx([400.0] * 4)
    at = levels([0.94, 0.5, 0.0], [0.06, 1.5, 3.0])
    assert WEIGHTS["velocity"](at, c).tolist() == pytest.approx([1 / 0.06**2, (2 / 1.5) ** 2, 1.0])


def test_score_of_a_mixture_is_its_gradient():
    data, at = mixture(), levels([0.8] * 5, [0.5] * 5)
    x = points(5, 2, 1, 1).requires_grad_()
    (score,) = torch.autograd.grad(data.log_density(x, at).sum(), x)
    eps_hat = (x - 0.8 * data.denoise(x, at, Condition())) / 0.5
    torch.testing.assert_close(-eps_hat / 0.5, score, rtol=1e-9, atol=1e-9)
