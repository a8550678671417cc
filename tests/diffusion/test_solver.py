"""Solvers: orders of convergence, the posterior, invariances, and diffusers' schedulers step by step."""

import math

import pytest
import torch

from phosphene.diffusion import ancestral, exact, grid, multistep, noise, schedule
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.heun import heun
from phosphene.diffusion.level import Level
from phosphene.diffusion.plan import Plan, advance, compile, sample, stack
from phosphene.diffusion.solver import SOLVERS
from tests.oracles import mixture, one_gaussian, points, slope

DETERMINISTIC = [name for name, named in SOLVERS.items() if not named.noisy]
NOISY = [name for name, named in SOLVERS.items() if named.noisy]


def smooth_grid(steps: int, units=schedule.preserving) -> Level:
    """Even in ln(ratio), without the jump to the clean picture: the place where orders can be seen."""
    ratio = torch.linspace(math.log(20.0), math.log(0.05), steps + 1, dtype=torch.float64).exp()
    return units(ratio)


def solve(plan: Plan, denoise, x: torch.Tensor) -> torch.Tensor:
    return sample(denoise, plan, noise.keys(0, range(len(x))), Condition(), x)


@pytest.mark.parametrize(
    ("solver", "order"),
    [
        (ancestral.ddim(), 1),
        (multistep.dpmpp(1), 1),
        (heun(), 2),
        (multistep.dpmpp(2), 2),
        (multistep.unipc, 3),
    ],
)
def test_order_of_convergence_on_a_gaussian(solver, order):
    data, x = one_gaussian(), 3 * points(16, 1, 1, 1)
    counts, errors = [40, 80, 160, 320], []
    for steps in counts:
        levels = smooth_grid(steps)
        start, end = levels.rows(torch.zeros(16).long()), levels.rows(torch.full((16,), steps))
        truth = exact.gaussian_flow(x, data.means[0].double(), 0.4, start, end)
        errors.append(float((solve(compile(solver(levels)), data.denoise, x) - truth).abs().mean()))
    assert slope(counts, errors) == pytest.approx(order, abs=0.12)


@pytest.mark.parametrize(
    ("solver", "order"),
    [
        (multistep.dpmpp(1), 1),
        (multistep.dpmpp(2), 2),
        (multistep.dpmpp(3), 3),
        (multistep.dpmpp(3, curvature=0.5), 2),
    ],
)
def test_order_of_one_step_with_an_exact_past(solver, order):
    """From exact x and exact earlier answers, one step of a method of order p errs by h^(p + 1)."""
    data, x = one_gaussian(), 3 * points(1, 1, 1, 1)
    counts, errors = [40, 80, 160, 320], []
    for steps in counts:
        ratio = torch.exp(-1 - torch.arange(-2, 18, dtype=torch.float64) * 2 / steps)
        levels = schedule.preserving(ratio)
        truth = [
            exact.gaussian_flow(
                x, data.means[0].double(), 0.4, *(levels.rows(torch.tensor([j])) for j in (0, i))
            )
            for i in range(4)
        ]
        said = [data.denoise(truth[i], levels.rows(torch.tensor([i])), Condition()) for i in range(4)]
        update = list(solver(levels))[2].update
        reached = update(truth[2], said[1], said[0], said[2], torch.zeros(()))[0]
        errors.append(float((reached - truth[3]).abs()))
    assert slope(counts, errors) == pytest.approx(order + 1, abs=0.15)


@pytest.mark.parametrize("steps", [1, 3, 12, 40])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_every_solver_is_the_same_in_any_units(name, steps):
    """Variance preserving, flow and exploding schedules on one grid of ratios give one picture."""
    data, z = mixture(), points(8, 2, 1, 1)
    results = []
    for units in (schedule.preserving, schedule.straight, schedule.exploding):
        ratio = torch.cat([smooth_grid(steps).ratio, torch.zeros(1, dtype=torch.float64)])
        levels = units(ratio)
        results.append(solve(compile(SOLVERS[name].solver(levels)), data.denoise, levels.sigma[0] * z))
    torch.testing.assert_close(results[0], results[1], rtol=2e-14, atol=4e-14)
    torch.testing.assert_close(results[0], results[2], rtol=2e-14, atol=4e-14)


@pytest.mark.parametrize("name", NOISY)
def test_noisy_solvers_are_the_same_in_any_units(name):
    data, z = mixture(), points(4, 2, 1, 1)
    results = []
    for units in (schedule.preserving, schedule.straight, schedule.exploding):
        levels = units(torch.cat([smooth_grid(9).ratio, torch.zeros(1, dtype=torch.float64)]))
        results.append(solve(compile(SOLVERS[name].solver(levels)), data.denoise, levels.sigma[0] * z))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(results[0], results[2], rtol=0, atol=1e-12)


def one_step(name: str, t: float, s: float) -> tuple[Level, Level, torch.Tensor, float]:
    """A step of a linear-schedule solver: levels, and its row for x (x, x0, noise), and the spread."""
    levels = schedule.linear().level(torch.tensor([t, s], dtype=torch.float64))
    plan = compile(SOLVERS[name].solver(levels))
    return levels.rows(0), levels.rows(1), plan.update[0, 0], float(plan.spread[0])


def bayes(t: Level, s: Level) -> tuple[float, float, float]:
    """q(x_s | x_t, x0) by conditioning two Gaussians: the factors of x_t and x0, and the variance."""
    forward = t.alpha / s.alpha  # x_t = forward x_s + noise of variance beta
    beta = t.sigma**2 - forward**2 * s.sigma**2
    precision = forward**2 / beta + 1 / s.sigma**2
    return float(forward / beta / precision), float(s.alpha / s.sigma**2 / precision), float(1 / precision)


@pytest.mark.parametrize(("t", "s"), [(1.0, 0.999), (0.5, 0.4), (0.002, 0.001), (1.0, 0.02)])
@pytest.mark.parametrize("name", ["ddpm", "euler_ancestral", "ddpm_learned"])
def test_one_step_is_the_posterior(name, t, s):
    level_t, level_s, row, _ = one_step(name, t, s)
    of_x, of_x0, variance = bayes(level_t, level_s)
    assert row.tolist() == pytest.approx([of_x, of_x0, math.sqrt(variance)], rel=1e-9)


def test_first_order_sde_is_the_posterior():
    levels = schedule.linear().level(torch.tensor([0.5, 0.4], dtype=torch.float64))
    row = compile(multistep.dpmpp(1, eta=1.0)(levels)).update[0, 0]
    of_x, of_x0, variance = bayes(levels.rows(0), levels.rows(1))
    assert row.tolist() == pytest.approx([of_x, of_x0, math.sqrt(variance)], rel=1e-9)


def test_variances_of_ddpm():
    """Small is beta_tilde, large is beta, learned lies between them: Ho 2020 in betas."""
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    bar = torch.cumprod(1 - betas, 0)
    k = 400
    beta, tilde = betas[k - 1], betas[k - 1] * (1 - bar[k - 2]) / (1 - bar[k - 1])
    small, large, learned = (
        one_step(n, k / 1000, (k - 1) / 1000) for n in ("ddpm", "ddpm_large", "ddpm_learned")
    )
    assert small[2][-1] ** 2 == pytest.approx(float(tilde), rel=1e-9)
    assert large[2][-1] ** 2 == pytest.approx(float(beta), rel=1e-9)
    assert learned[2][-1] * math.exp(learned[3]) == pytest.approx(float(beta.sqrt()), rel=1e-9)


@pytest.mark.parametrize("name", ["ddpm", "ddpm_large", "ddpm_learned"])
def test_no_noise_in_the_last_step(name):
    plan = compile(SOLVERS[name].solver(grid.trailing(schedule.linear(), 10)))
    assert plan.update[-1, :, -1].abs().max() == 0
    assert plan.spread[-1] == 0
    assert bool((plan.update[:-1, 0, -1] > 0).all())


def test_ddim_with_eta_one_is_ddpm():
    levels = grid.trailing(schedule.linear(), 1000)
    one, other = compile(ancestral.ddim(eta=1.0)(levels)), compile(ancestral.ddpm(levels))
    torch.testing.assert_close(one.update, other.update, rtol=0, atol=1e-10)


def test_learned_variance_scales_the_noise_of_each_value():
    levels = schedule.linear().level(torch.tensor([0.5, 0.4], dtype=torch.float64))
    key, x = noise.keys(3, [0, 1]), torch.zeros(2, 1, 2, 2)
    fraction = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 2, 2).expand(2, 1, 2, 2)

    def denoise(x, level, condition):
        return torch.cat([torch.zeros_like(x), fraction], dim=1)

    got = sample(denoise, compile(ancestral.ddpm_learned(levels)), key, Condition(), x)
    small = float(compile(ancestral.ddpm(levels)).update[0, 0, -1])
    large = float(compile(ancestral.ddpm_large(levels)).update[0, 0, -1])
    expected = noise.normal(key, 1, (1, 2, 2)) * small ** (1 - fraction) * large**fraction
    torch.testing.assert_close(got, expected)


def test_euler_in_the_papers_words():
    """Karras 2022, equation 4 and Euler's method, at alpha = 1."""
    data, x = mixture(), 80 * points(6, 2, 1, 1)
    levels = grid.karras(schedule.edm(), 12)
    y = x
    for t, s in zip(levels.sigma[:-1], levels.sigma[1:], strict=True):
        d = (y - data.denoise(y, Level(torch.ones(6).double(), t.expand(6)), Condition())) / t
        y = y + (s - t) * d
    got = solve(compile(SOLVERS["euler"].solver(levels)), data.denoise, x)
    torch.testing.assert_close(got, y, rtol=0, atol=1e-12)


def test_edm_with_churn_in_the_papers_words():
    """Karras 2022, Algorithm 2, fed with the same noise."""
    data, rows = mixture(), 5
    churn, low, high, swell = 30.0, 0.05, 50.0, 1.003
    levels = grid.karras(schedule.edm(), 15)
    key = noise.keys(4, range(rows))
    plan = compile(heun(churn, low, high, swell)(levels))

    def denoise(y, t):
        return data.denoise(y, Level(torch.ones(rows).double(), t.expand(rows)), Condition())

    steps = 15
    gamma = min(churn / steps, math.sqrt(2) - 1)
    # Our first level is above S_max, so that it is not churned; the noise of later steps is drawn at the end
    # of the step before: at evaluation 1 for Euler alone, else at the second evaluation of that step.
    y = x = 80 * points(rows, 2, 1, 1)
    for i, (t, s) in enumerate(zip(levels.sigma[:-1], levels.sigma[1:], strict=True)):
        hat = t * (1 + gamma) if low <= t <= high else t
        if i:
            z = noise.normal(key, 2 * i, (2, 1, 1)).double()
            y = y + torch.sqrt(hat**2 - t**2) * swell * z
        d = (y - denoise(y, hat)) / hat
        following = y + (s - hat) * d
        if s > 0:
            d2 = (following - denoise(following, s)) / s
            following = y + (s - hat) * (d + d2) / 2
        y = following
    got = sample(data.denoise, plan, key, Condition(), x)
    torch.testing.assert_close(got, y, rtol=0, atol=1e-10)
    assert plan.evaluations == 2 * steps - 1


def test_consistency_in_the_papers_words():
    levels = grid.karras(schedule.edm(), 3)
    data, key = mixture(), noise.keys(1, range(4))
    y = x = 80 * points(4, 2, 1, 1)
    for n in range(3):
        x0 = data.denoise(y, Level(torch.ones(4).double(), levels.sigma[n].expand(4)), Condition())
        y = x0 + levels.sigma[n + 1] * noise.normal(key, n + 1, (2, 1, 1)).double()
    got = sample(data.denoise, compile(ancestral.consistency(levels)), key, Condition(), x)
    torch.testing.assert_close(got, y, rtol=0, atol=1e-12)


def test_third_order_sde_has_the_right_moment():
    """If x0_hat were a quadratic in lambda, order 3 would integrate it exactly, with noise or without."""
    lam = torch.tensor([-1.5, -0.8, -0.2, 0.7, 1.0, 1.3], dtype=torch.float64)
    levels = schedule.preserving(torch.exp(-lam))
    t, s, h = levels.rows(2), levels.rows(3), lam[3] - lam[2]
    curve = 0.3 - 0.5 * lam + 0.25 * lam**2
    u = torch.linspace(0, 1, 200_001, dtype=torch.float64) * h
    along = 0.3 - 0.5 * (lam[2] + u) + 0.25 * (lam[2] + u) ** 2
    for eta in (0.0, 1.0):
        rate = 1 + eta
        truth = s.alpha * torch.trapezoid(rate * torch.exp(rate * (u - h)) * along, u)
        steps = list(multistep.dpmpp(3, eta=eta)(levels))
        zero = torch.zeros(()).double()
        line = steps[2].update(zero, curve[1], curve[0], curve[2], zero)[0]
        assert float(line) == pytest.approx(float(truth), rel=1e-9)
        kept = float(steps[2].update(zero + 1, zero, zero, zero, zero)[0])
        assert kept == pytest.approx(float(s.sigma / t.sigma * torch.exp(-eta * h)), rel=1e-12)
        fresh = float(steps[2].update(zero, zero, zero, zero, zero + 1)[0])
        variance = float(s.sigma**2 * (1 - torch.exp(-2 * eta * h)))
        assert fresh**2 == pytest.approx(variance, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", list(SOLVERS))
@pytest.mark.parametrize("schedule_name", ["flow", "cosine", "linear_zero_terminal"])
def test_solvers_begin_without_any_signal(name, schedule_name):
    """At alpha = 0 lambda is minus infinity; the first step is then Euler's and all coefficients finite."""
    levels = grid.trailing(schedule.SCHEDULES[schedule_name](), 8)
    plan = compile(SOLVERS[name].solver(levels))
    assert bool(torch.isfinite(plan.update).all())
    reference = compile(ancestral.ddim()(levels))
    if not SOLVERS[name].noisy and name != "unipc":
        row, expected = plan.update[0, 0], reference.update[0, 0]
        torch.testing.assert_close(row[[0, -2, -1]], expected)
    data = mixture()
    x = solve(plan, data.denoise, points(64, 2, 1, 1))
    near = (x.flatten(1)[:, None] - data.means.flatten(1)).norm(dim=2).min(1).values
    assert float(near.max()) < 1.6


@pytest.mark.parametrize("name", ["ddpm", "ddpm_large", "ddim", "consistency"])
def test_sampling_has_the_mean_and_variance_that_the_plan_implies(name):
    """On a Gaussian the denoiser is D = p + q x, so that every plan of one slot is x <- a x + b D + c z."""
    data, count, m, sd = one_gaussian(), 20_000, 0.3, 0.4
    plan = compile(SOLVERS[name].solver(grid.trailing(schedule.linear(), 40)))
    mean, variance = 0.0, 1.0
    for n in range(40):
        alpha, sigma = float(plan.level.alpha[n]), float(plan.level.sigma[n])
        q = alpha * sd**2 / (alpha**2 * sd**2 + sigma**2)
        a, b, c = plan.update[n, 0].tolist()
        mean = a * mean + b * (m + q * (mean - alpha * m))
        variance = (a + b * q) ** 2 * variance + c**2
    x = sample(data.denoise, plan, noise.keys(0, range(count)), Condition(), (1, 1, 1))
    assert float(x.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / count))
    assert float(x.var()) == pytest.approx(variance, rel=4 * math.sqrt(2 / count))
    if name == "ddpm_large":
        return
    assert mean == pytest.approx(m, abs=0.02)
    if name != "consistency":  # it forgets what the data's variance is
        assert math.sqrt(variance) == pytest.approx(sd, rel=0.25)


def test_rows_with_strangers_are_rows_alone():
    """Different solvers, steps, schedules and places in their plans share one call."""
    data = mixture()
    makers = [
        ("heun", grid.karras(schedule.edm(), 5)),
        ("ddpm", grid.trailing(schedule.linear(), 11)),
        ("unipc", grid.trailing(schedule.flow(), 7)),
        ("dpmpp_3m", grid.log_snr(schedule.cosine(), 20)),
        ("consistency", grid.karras(schedule.edm(), 1)),
    ]
    plans = [compile(SOLVERS[name].solver(levels)) for name, levels in makers]
    keys = noise.keys(9, range(len(plans)))
    together = sample(data.denoise, plans, keys, Condition(), (2, 1, 1))
    for i, plan in enumerate(plans):
        alone = sample(data.denoise, plan, noise.keys(9, [i]), Condition(), (2, 1, 1))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=2e-6)


def test_rows_may_join_while_others_are_under_way():
    data = mixture()
    batch = stack([compile(SOLVERS["heun"].solver(grid.karras(schedule.edm(), 4)))] * 2)
    key, x = noise.keys(0, [0, 1]), 80 * points(2, 2, 1, 1)
    slots = torch.zeros(2, batch.update.shape[-2], 2, 1, 1, dtype=torch.float64)
    slots[:, 0] = x
    for tick in range(batch.evaluations + 3):
        turn = torch.tensor([tick, tick - 3])
        active = (turn >= 0) & (turn < batch.evaluations)
        rows = active.nonzero()[:, 0]
        now = Plan(batch.level.rows(rows), batch.update[rows], batch.spread[rows]).at(turn[rows])
        part = noise.Key(key.seed[rows], key.picture[rows])
        drawn = noise.normal(part, turn[rows] + 1, (2, 1, 1))
        slots[rows] = advance(slots[rows], data.denoise, now, Condition(), drawn)
    plan = Plan(batch.level.rows(0), batch.update[0], batch.spread[0])
    torch.testing.assert_close(slots[:, 0], sample(data.denoise, plan, key, Condition(), x))


def test_memory_that_nobody_reads_is_dropped():
    levels = grid.trailing(schedule.linear(), 10)
    sizes = {name: compile(SOLVERS[name].solver(levels)).update.shape[1] for name in SOLVERS}
    assert sizes["ddim"] == sizes["dpmpp_1"] == 1
    assert sizes["dpmpp_2m"] == 2
    assert sizes["dpmpp_3m"] == sizes["dpmpp_3m_published"] == sizes["heun"] == 3
    assert sizes["unipc"] == 4


def test_watch_sees_every_x():
    seen = []
    data = mixture()
    plan = compile(ancestral.ddim()(grid.karras(schedule.edm(), 3)))
    x = 80 * points(2, 2, 1, 1)
    end = sample(
        data.denoise, plan, noise.keys(0, [0, 1]), Condition(), x, lambda n, y: seen.append((n, y.clone()))
    )
    assert [n for n, _ in seen] == [0, 1, 2, 3]
    assert torch.equal(seen[0][1], x)
    assert torch.equal(seen[-1][1], end)
