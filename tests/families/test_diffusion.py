"""The diffusion family: its loss against the papers' words, on networks that are known functions."""

import math

import pytest
import torch
from torch import Tensor, nn

from phosphene.diffusion import noise, schedule
from phosphene.diffusion.condition import Condition
from phosphene.families.diffusion import Diffusion, held_out_losses, quantile_levels
from phosphene.families.family import Batch
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import DiffusionSettings
from tests.oracles import points

ROWS = 6


class Says(nn.Module):
    """A network that says a fixed function of its input, and a fraction if asked to."""

    def __init__(self, fraction: float | None = None) -> None:
        super().__init__()
        self.fraction = fraction

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        said = torch.tanh(x) + 0.001 * heard.reshape(-1, 1, 1, 1)
        if self.fraction is None:
            return said
        return torch.cat([said, torch.full_like(said, self.fraction)], dim=1)


def batch(step: int = 3, rows: int = ROWS) -> Batch:
    return Batch(points(rows, 1, 2, 2).float(), Condition(), noise.keys(7, range(rows)), step, rows)


def test_ddpm_is_its_algorithm_1():
    """t ~ U{1..T}, eps ~ N(0, I), |eps - eps_theta(sqrt(bar) x0 + sqrt(1 - bar) eps, t)|^2 (Ho 2020)."""
    family = Diffusion(Says(), RECIPES["ddpm"].diffusion)
    given = batch()
    bar = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)
    u = noise.uniform(given.key, given.step)
    t = torch.floor(1000 * u).long()  # counted from 0, as networks hear it
    eps = noise.normal(given.key, given.step, (1, 2, 2))
    a, s = (value.float().reshape(-1, 1, 1, 1) for value in (bar[t].sqrt(), (1 - bar[t]).sqrt()))
    said = Says()(a * given.x0 + s * eps, t.float(), Condition())
    expected = ((eps - said) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(family.loss("network", given), expected, rtol=2e-5, atol=1e-6)


def test_flow_is_its_loss():
    """|(eps - x0) - u_theta((1 - t) x0 + t eps, t)|^2 (Liu 2022, Lipman 2022)."""
    settings = DiffusionSettings(strata=False)
    family, given = Diffusion(Says(), settings), batch()
    t = torch.sigmoid(torch.special.ndtri(noise.uniform(given.key, given.step)))
    eps = noise.normal(given.key, given.step, (1, 2, 2))
    share = t.float().reshape(-1, 1, 1, 1)
    said = Says()((1 - share) * given.x0 + share * eps, 1000 * t.float(), Condition())
    expected = ((eps - given.x0 - said) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(family.loss("network", given), expected, rtol=2e-5, atol=1e-6)


def test_edm_is_its_loss():
    """lambda(sigma) |D(x0 + n) - x0|^2 with table 1's preconditioning (Karras 2022, equation 8)."""
    family, given, sd = Diffusion(Says(), RECIPES["edm"].diffusion), batch(), 0.5
    level = family.levels(given)
    sigma = level.sigma.float().reshape(-1, 1, 1, 1)
    x = given.x0 + sigma * noise.normal(given.key, given.step, (1, 2, 2))
    root = torch.sqrt(sigma**2 + sd**2)
    said = Says()(x / root, sigma.flatten().log() / 4, Condition())
    denoised = sd**2 / root**2 * x + sigma * sd / root * said
    weight = (sigma**2 + sd**2) / (sigma * sd) ** 2
    expected = (weight * (denoised - given.x0) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(family.loss("network", given), expected, rtol=2e-4, atol=1e-5)


def test_min_snr_counts_errors_of_the_picture():
    """min(SNR, 5) |x0 - x0_hat|^2, whatever is predicted (Hang 2023); here v on the cosine schedule."""
    family, given = Diffusion(Says(), RECIPES["v"].diffusion), batch()
    level = family.levels(given)
    a, s = (value.float().reshape(-1, 1, 1, 1) for value in level)
    x = a * given.x0 + s * noise.normal(given.key, given.step, (1, 2, 2))
    said = Says()(x, 1000 * torch.atan(level.ratio).float() * 2 / math.pi, Condition())
    error = ((given.x0 - (a * x - s * said)) ** 2).flatten(1).mean(1)
    expected = ((a / s).flatten() ** 2).clamp(max=5) * error
    torch.testing.assert_close(family.loss("network", given), expected, rtol=2e-4, atol=1e-5)


class SaysX0(nn.Module):
    """The picture that a velocity network, asked at the same place, implies: x0 = x - t u on a flow."""

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        t = heard.reshape(-1, 1, 1, 1) / 1000
        # inp is 1 / |(alpha, sigma)| for x0 and 1 / (alpha + sigma) = 1 for the velocity.
        x = x * torch.hypot(1 - t, t)
        return x - t * Says()(x, heard, condition)


@pytest.mark.parametrize(
    "settings", [RECIPES["transformer"].diffusion, DiffusionSettings(prediction="x0", weight="velocity")]
)
def test_the_loss_of_a_picture_taken_in_velocity_is_that_of_the_velocity(settings):
    """JiT: x0 is predicted, the loss is |u - u_hat|^2; exactly what a network of velocities would have."""
    picture = Diffusion(SaysX0(), settings)
    velocity = Diffusion(Says(), settings.model_copy(update={"prediction": "velocity", "weight": "uniform"}))
    given = batch(rows=64)
    assert float(picture.levels(given).sigma.min()) > 0.05
    torch.testing.assert_close(
        picture.loss("network", given), velocity.loss("network", given), rtol=1e-4, atol=1e-6
    )


def test_strata_cover_the_density_in_every_batch():
    family, rows = Diffusion(Says(), DiffusionSettings(density="uniform")), 10
    for step in range(5):
        t = family.levels(batch(step, rows)).sigma
        assert sorted((t * rows).floor().long().tolist()) == list(range(rows))


def test_part_of_a_batch_has_the_levels_of_the_whole():
    family, whole = Diffusion(Says(), DiffusionSettings()), batch()
    part = Batch(whole.x0[2:4], Condition(), noise.keys(7, range(2, 4)), whole.step, whole.total)
    torch.testing.assert_close(family.levels(part).sigma, family.levels(whole).sigma[2:4])
    torch.testing.assert_close(family.loss("network", part), family.loss("network", whole)[2:4])


@pytest.mark.parametrize("fraction", [-1.0, 0.2, 1.0])
def test_a_learned_variance_adds_its_term_of_the_bound(fraction):
    """KL of two Gaussians of means q(x0), q(x0_hat) and variances beta_tilde, v, by hand."""
    settings = RECIPES["ddpm"].diffusion.model_copy(update={"learned_variance": True})
    plain, learned = Diffusion(Says(), RECIPES["ddpm"].diffusion), Diffusion(Says(fraction), settings)
    given = batch()
    added = learned.loss("network", given) - plain.loss("network", given)
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    bar = torch.cumprod(1 - betas, 0)
    t = torch.floor(1000 * noise.uniform(given.key, given.step)).long()
    assert int(t.min()) > 0
    eps = noise.normal(given.key, given.step, (1, 2, 2))
    for row, k in enumerate(t.tolist()):
        beta, now, before = betas[k], bar[k], bar[k - 1]
        tilde = beta * (1 - before) / (1 - now)
        x = now.sqrt() * given.x0[row] + (1 - now).sqrt() * eps[row]
        said = Says()(x[None].float(), torch.tensor([float(k)]), Condition())[0]
        x0_hat = (x - (1 - now).sqrt() * said) / now.sqrt()
        share = (fraction + 1) / 2
        variance = torch.exp(share * beta.log() + (1 - share) * tilde.log())
        gap = before.sqrt() * beta / (1 - now) * (given.x0[row] - x0_hat)
        kl = (variance / tilde).log() / 2 + (tilde + gap**2) / (2 * variance) - 0.5
        assert float(added[row]) == pytest.approx(float(kl.mean()) / math.log(2), rel=2e-2, abs=1e-5)


def test_held_out_losses_are_means_at_fixed_levels():
    family, given = Diffusion(Says(), DiffusionSettings()), batch()
    levels = quantile_levels(family, 4)
    middle = torch.sigmoid(torch.special.ndtri(torch.tensor([0.125, 0.375, 0.625, 0.875]).double()))
    torch.testing.assert_close(levels.sigma, middle)
    got = held_out_losses(family, [given, given], levels)
    again = held_out_losses(family, [given], levels)
    torch.testing.assert_close(got, again)
    at = schedule.Level(*(value[2].expand(ROWS) for value in levels))
    eps = noise.normal(given.key, 2, (1, 2, 2))
    assert float(got[2]) == pytest.approx(float(family.loss_at(given, at, eps).mean()), rel=1e-6)
