"""Bits per dimension against data whose entropy is known."""

import math

import pytest
import torch

from phosphene.diffusion import exact, grid, noise, schedule
from phosphene.diffusion.condition import Condition
from phosphene.measures import likelihood
from phosphene.pictures.pixels import to_bytes, to_values
from tests.oracles import mixture, points
from tests.second_device import LAZY

SD, MEAN = 0.25, 0.1
GAUSSIAN = exact.gaussian(torch.full((1, 2, 2), MEAN), SD)
ENTROPY = math.log2(SD * math.sqrt(2 * math.pi * math.e))  # bits per dimension of N(MEAN, SD^2)


def nearly_clean(steps: int, lowest: float = 2e-3):
    """Levels even in ln(ratio) from 200 down to `lowest`."""
    ratio = torch.linspace(math.log(200.0), math.log(lowest), steps, dtype=torch.float64).exp()
    return schedule.preserving(ratio)


def test_diffusion_term_is_that_of_the_smallest_error():
    """E |x - D|^2 of a Gaussian is d s^2 / (1 + s^2 SNR): the term is a sum of known numbers."""
    levels = nearly_clean(30, lowest=0.05)
    rows = 20_000
    x = MEAN + SD * points(rows, 1, 2, 2)
    key = noise.keys(0, range(rows))
    got = likelihood.diffusion_term(GAUSSIAN.denoise, x, levels, Condition(), key)
    snr = levels.snr
    expected = float(((snr[1:] - snr[:-1]) / 2 * 4 * SD**2 / (1 + SD**2 * snr[:-1])).sum())
    assert float(got.mean()) == pytest.approx(expected, abs=4 * float(got.std()) / math.sqrt(rows))


def test_diffusion_term_of_ddpm_weights_is_the_elbo():
    """Ho 2020, equation 12: the same term, in betas and the error in eps."""
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    bar = torch.cumprod(1 - betas, 0)
    rows, k = 8, 300
    x, key = points(rows, 1, 2, 2), noise.keys(0, range(rows))
    levels = schedule.linear().level(torch.tensor([k, k - 1], dtype=torch.float64) / 1000)
    got = likelihood.diffusion_term(GAUSSIAN.denoise, x, levels, Condition(), key)
    at = levels.rows(torch.zeros(rows).long())
    eps = noise.normal(key, 0, (1, 2, 2)).double()
    x_t = at.add(x, eps)
    x0 = GAUSSIAN.denoise(x_t, at, Condition())
    eps_hat = (x_t - bar[k - 1].sqrt() * x0) / (1 - bar[k - 1]).sqrt()
    beta, tilde = betas[k - 1], betas[k - 1] * (1 - bar[k - 2]) / (1 - bar[k - 1])
    weight = beta**2 / (2 * tilde * (1 - beta) * (1 - bar[k - 1]))
    expected = weight * ((eps - eps_hat) ** 2).flatten(1).sum(1)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=0)


def expected_diffusion(levels) -> float:
    """The sum for a Gaussian and its exact denoiser, in bits per dimension."""
    snr = levels.snr
    return float(((snr[1:] - snr[:-1]) / 2 * SD**2 / (1 + SD**2 * snr[:-1])).sum()) / math.log(2)


def expected_decoder(ratio: float) -> float:
    """-E log2 p(k | x_0) of a byte far from both ends, by quadrature over the noise."""
    n = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    shifts = torch.arange(-20, 21, dtype=torch.float64) / 128 / ratio
    nats = torch.logsumexp(-((n[:, None] - shifts) ** 2) / 2, 1) + n**2 / 2
    return float(torch.trapezoid(nats * torch.exp(-(n**2) / 2), n)) / math.sqrt(2 * math.pi) / math.log(2)


def test_prior_is_the_divergence_of_the_noisiest_level_from_noise():
    """Picture by picture, where signal is left and the term is large."""
    pictures, levels = to_bytes(points(5, 1, 2, 2)), schedule.preserving(torch.tensor([0.7, 0.1]).double())
    bound = likelihood.elbo(GAUSSIAN.denoise, pictures, levels, Condition(), noise.keys(0, range(5)))
    alpha, sigma = levels.alpha[0], levels.sigma[0]
    noisy = torch.distributions.Normal(alpha * to_values(pictures).double(), sigma)
    nats = torch.distributions.kl_divergence(noisy, torch.distributions.Normal(0.0 * sigma, sigma))
    expected = nats.flatten(1).sum(1) / (4 * math.log(2))
    torch.testing.assert_close(bound.prior, expected, rtol=1e-6, atol=0)
    assert float(expected.min()) > 0.01


@pytest.mark.parametrize("steps", [30, 120])
def test_elbo_of_a_gaussian_is_known(steps):
    """Prior, diffusion and decoder, each against its exact expectation under the exact denoiser."""
    rows, levels = 3000, nearly_clean(steps)
    pictures = to_bytes(MEAN + SD * points(rows, 1, 2, 2))
    bound = likelihood.elbo(GAUSSIAN.denoise, pictures, levels, Condition(), noise.keys(0, range(rows)))
    prior = float(levels.snr[0]) / 2 * (MEAN**2 + SD**2) / math.log(2)
    expected = (prior, expected_diffusion(levels), expected_decoder(float(levels.ratio[-1])))
    for part, value in zip(bound, expected, strict=True):
        assert float(part.mean()) == pytest.approx(value, abs=4 * float(part.std()) / math.sqrt(rows) + 1e-6)
    torch.testing.assert_close(bound.total, bound.prior + bound.diffusion + bound.decoder)


def test_the_bound_is_nearly_tight():
    """What is lost: the steps of the grid, and Gaussian noise where bins end."""
    levels = nearly_clean(20_000)
    best = expected_diffusion(levels) + expected_decoder(float(levels.ratio[-1]))
    assert ENTROPY + 7 < best < ENTROPY + 7.15


def test_every_level_and_the_decoder_draw_noise_of_their_own():
    levels, key, shown = nearly_clean(5, lowest=0.05), noise.keys(3, range(2)), []
    pictures = to_bytes(MEAN + SD * points(2, 1, 2, 2))

    def denoise(x, level, condition):
        shown.append(x)
        return torch.zeros_like(x)

    bound = likelihood.elbo(denoise, pictures, levels, Condition(), key)
    x, shape = to_values(pictures), (1, 2, 2)
    assert len(shown) == 4
    for i, noisy in enumerate(shown):
        torch.testing.assert_close(
            noisy, levels.rows(torch.tensor([i, i])).add(x, noise.normal(key, i, shape).to(x))
        )
    seen = x.double() + levels.rows(-1).ratio * noise.normal(key, 5, shape).to(x).double()
    nats = likelihood.decoder_term(seen, pictures, levels.rows(-1))
    torch.testing.assert_close(bound.decoder, nats / (4 * math.log(2)))


def test_decoder_prefers_the_right_byte():
    """At noise of half a bin, -ln p is that of a softmax over the distances to all 256 values."""
    pictures = torch.tensor([[[[0, 128], [200, 255]]]], dtype=torch.uint8)
    level = schedule.exploding(torch.tensor(1 / 256, dtype=torch.float64))
    seen = to_values(pictures).double() + 1 / 300
    got = likelihood.decoder_term(seen, pictures, level)
    expected = 0.0
    for value, k in zip(seen.flatten().tolist(), pictures.flatten().tolist(), strict=True):
        density = [math.exp(-((value - (2 * (j + 0.5) / 256 - 1)) ** 2) * 256**2 / 2) for j in range(256)]
        expected -= math.log(density[k] / sum(density))
    assert float(got[0]) == pytest.approx(expected, rel=1e-9)


def test_flow_of_a_gaussian_is_its_density():
    """Within the stated tolerance, picture by picture; the base N(0, r^2) errs by mean / r."""
    rows = 6
    x = MEAN + SD * points(rows, 1, 2, 2)
    flow = likelihood.probability_flow(
        GAUSSIAN.denoise, x, Condition(), noise.keys(0, range(rows)), (2e-3, 1e5), tolerance=1e-7
    )
    level = schedule.exploding(torch.full((rows,), 2e-3, dtype=torch.float64))
    expected = -GAUSSIAN.log_density(x, level) / (4 * math.log(2))
    torch.testing.assert_close(flow.bits, expected, rtol=0, atol=2e-5)


def test_a_flow_that_ends_early_ends_in_the_normal_density_of_its_last_ratio():
    """Of a Gaussian the flow is a line through its mean, whatever the span."""
    first, last = 0.1, 2.0
    values = MEAN + SD * points(3, 1, 2, 2)
    flow = likelihood.probability_flow(
        GAUSSIAN.denoise, values, Condition(), noise.keys(0, range(3)), (first, last), 1e-7
    )
    stretch = math.sqrt((SD**2 + last**2) / (SD**2 + first**2))
    end = MEAN + stretch * (values.double() - MEAN)
    density = torch.distributions.Normal(torch.zeros(()).double(), last).log_prob(end) + math.log(stretch)
    torch.testing.assert_close(flow.bits, -density.flatten(1).mean(1) / math.log(2), rtol=0, atol=1e-5)


def test_flow_of_a_mixture_is_its_density():
    data, rows = mixture(), 8
    x = 0.5 * points(rows, 2, 1, 1)
    flow = likelihood.probability_flow(
        data.denoise, x, Condition(), noise.keys(0, range(rows)), (0.01, 1e5), tolerance=1e-7
    )
    level = schedule.exploding(torch.full((rows,), 0.01, dtype=torch.float64))
    expected = -data.log_density(x, level) / (2 * math.log(2))
    torch.testing.assert_close(flow.bits, expected, rtol=0, atol=1e-4)


def test_bytes_of_a_gaussian_by_the_flow():
    rows = 1500
    pictures = to_bytes(MEAN + SD * points(rows, 1, 2, 2))
    flow = likelihood.flow_bits_of_bytes(
        GAUSSIAN.denoise, pictures, Condition(), noise.keys(0, range(rows)), tolerance=1e-4
    )
    error = float(flow.bits.std()) / math.sqrt(rows)
    assert float(flow.bits.mean()) == pytest.approx(ENTROPY + 7, abs=0.01 + 4 * error)


def test_bytes_fill_bins_of_a_256th_of_the_range():
    """Byte k is spread over 2 (k + u) / 256 - 1 with u in [0, 1), and a value's 7 bits fewer are a bin's."""
    pictures, key = to_bytes(MEAN + SD * points(4, 1, 2, 2)), noise.keys(0, range(4))
    flow = likelihood.flow_bits_of_bytes(GAUSSIAN.denoise, pictures, Condition(), key, (2e-3, 1e5), 1e-7)
    values = 2 * (pictures + noise.uniform(key, 0, (1, 2, 2), noise.DEQUANTIZE)) / 256 - 1
    level = schedule.exploding(torch.full((4,), 2e-3, dtype=torch.float64))
    expected = 7 - GAUSSIAN.log_density(values.double(), level) / (4 * math.log(2))
    torch.testing.assert_close(flow.bits, expected, rtol=0, atol=1e-4)


def test_hutchinson_is_unbiased():
    """For a linear map the mean over many draws is the trace, and diagonal maps are exact."""
    matrix = points(3, 3)
    y = torch.zeros(20_000, 3, dtype=torch.float64, requires_grad=True)
    estimate = likelihood.hutchinson(noise.keys(0, range(20_000)), (3,))
    got = estimate(y @ matrix.T, y)
    error = float(got.std()) / math.sqrt(20_000)
    assert float(got.mean()) == pytest.approx(float(matrix.trace()), abs=4 * error)
    y2 = torch.zeros(5, 3, dtype=torch.float64, requires_grad=True)
    exactly = likelihood.hutchinson(noise.keys(0, range(5)), (3,))(y2 * torch.tensor([1.0, 2.0, 4.0]), y2)
    assert exactly.tolist() == pytest.approx([7.0] * 5)


def test_hutchinsons_signs_are_drawn_apart_from_the_noise_in_bins():
    """Bins are filled by draw 0 of the same stream: its signs would know where in its bin a value is."""
    key, shape = noise.keys(4, range(3)), (1, 2, 2)
    matrix = points(4, 4)
    y = points(3, *shape).requires_grad_()
    slope = (y.flatten(1) @ matrix).reshape(y.shape)
    signs = torch.where(noise.uniform(key, 1, shape, noise.DEQUANTIZE) < 0.5, -1.0, 1.0).to(y).flatten(1)
    expected = ((signs @ matrix.T) * signs).sum(1)
    torch.testing.assert_close(likelihood.hutchinson(key, shape)(slope, y), expected)


def test_grids_of_ratio_serve_the_bound():
    levels = grid.log_snr(schedule.edm(), 5)
    assert bool((levels.rows(slice(0, -1)).sigma > 0).all())


def test_both_bounds_are_the_same_on_a_second_device():
    """A denoiser without tables, so that all that moves is the bounds' own."""

    def shrink(x: torch.Tensor, level: schedule.Level, condition: Condition) -> torch.Tensor:
        return x / (1 + level.ratio.reshape(-1, 1, 1, 1) ** 2).to(x) + 0.01 * x**2

    pictures = to_bytes(MEAN + SD * points(3, 1, 2, 2))
    parts, bits = [], []
    for device in (LAZY, torch.device("cpu")):
        there, key = pictures.to(device), noise.keys(0, range(3)).to(device)
        parts.append(likelihood.elbo(shrink, there, nearly_clean(5), Condition(), key))
        for exact_below in (256, 0):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(likelihood, "EXACT_BELOW", exact_below)
                bits.append(likelihood.flow_bits_of_bytes(shrink, there, Condition(), key, tolerance=1e-2))
    for one, other in zip(*parts, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-5, atol=1e-6)
    for one, other in zip(bits[:2], bits[2:], strict=True):
        torch.testing.assert_close(one.bits, other.bits, rtol=1e-4, atol=1e-4)
