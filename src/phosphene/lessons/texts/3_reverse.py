# %% [markdown]
"""
# Reverse: walking back from noise

Begin with pure noise, guess the noise in it, take a little of it out, and repeat: a new picture appears.

Each step back, p(x_{t-1} | x_t), is a Gaussian too when the steps are small. Its mean follows from the
guess; its variance is known. Here the guess comes from a denoiser in closed form, so that nothing needs
to be trained and every step can be checked."""

# %% knobs
steps = 100  # @param {type:"slider", min:2, max:1000, step:1}
known_digits = 40  # @param {type:"slider", min:2, max:400, step:1}
fresh_noise = 1.0  # @param {type:"slider", min:0.0, max:1.0, step:0.1}

# %% [markdown]
"""
## The best denoiser of a small set

If the data were just these digits, the mean of all pictures that x_t could have come from, E[x0 | x_t],
is a weighted mean of them. In heavy noise that is the mean digit, a blur; in light noise it is one digit."""

# %%
import torch

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.ancestral import ddim, posterior
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import Level
from phosphene.diffusion.noise import keys, normal
from phosphene.diffusion.plan import compile, sample
from phosphene.lessons import claim, show
from phosphene.pictures.pixels import to_pillow, to_values
from phosphene.pictures.sheet import sheet

pictures = to_values(torch.tensor(prepare(find("digits")).pictures[:known_digits])).double()
data = exact.finite(pictures)
ratios = torch.tensor([30.0, 3.0, 1.0, 0.3, 0.1], dtype=torch.float64)
levels = schedule.preserving(ratios)
one = pictures[:1].expand(5, -1, -1, -1)
x = levels.add(one, normal(keys(0, range(5)), 0, (1, 8, 8)).double())
guess = data.denoise(x, levels, Condition())
show(
    sheet(
        to_pillow(torch.cat([x / torch.hypot(*levels)[:, None, None, None], guess]).float().clamp(-1, 1)),
        5,
        row_titles=["x_t", "E[x0 | x_t]"],
        column_titles=[f"{r:g}" for r in ratios.tolist()],
    ),
    caption="One digit under less and less noise (sigma / alpha above), and the best guess of it.",
)

# %%
blur = float((guess[0] - pictures.mean(0)).abs().max())
claim(
    "In heavy noise the best guess is the mean of all pictures.", blur < 0.1, f"largest difference {blur:.3f}"
)

# %%
near = float((guess[-1] - pictures[0]).abs().max())
claim("In light noise it is the picture itself.", near < 1e-3, f"largest difference {near:.1e}")

# %% [markdown]
"""
## The step back

From x_t and a picture x0 the step before is known exactly: q(x_s | x_t, x0), a Gaussian whose mean mixes
the two. We check it by walking forward: among many pairs (x_s, x_t), the best straight line from (x_t,
x0) to x_s must have these shares."""

# %%
walked = schedule.linear()
s, t = (walked.level(torch.tensor([k / 1000], dtype=torch.float64)) for k in (300, 301))
q = posterior(t, s)
count = 200_000
x0 = torch.randn(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
noise = torch.randn(2, count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
x_s = s.alpha * x0 + s.sigma * noise[0]
share = t.alpha / s.alpha
x_t = share * x_s + torch.sqrt(t.sigma**2 - (share * s.sigma) ** 2) * noise[1]
fitted = torch.linalg.lstsq(torch.stack([x0, x_t], 1), x_s[:, None]).solution[:, 0]
claim(
    "The posterior's share of x0 is the one that walking forward shows.",
    bool((fitted[0] - q.of_x0[0]).abs() < 1e-3),
    f"{float(q.of_x0[0]):.5f} by formula, {float(fitted[0]):.5f} fitted",
)

# %% [markdown]
"""
## All steps

The loop is ten lines; a solver says what is made of each answer. `fresh_noise` is the share of new noise
at each step: 1 is DDPM (2020), 0 is DDIM, the same walk without dice."""

# %%
film = []
plan = compile(ddim(eta=fresh_noise)(grid.trailing(walked, steps)))


def watch(n, x):
    if n % max(1, steps // 7) == 0 or n == steps:
        film.append(x[:8] / float(torch.hypot(*Level(*(v[min(n, steps - 1)] for v in plan.level)))))


made = sample(data.denoise, plan, keys(0, range(64)), Condition(), (1, 8, 8), watch)
show(
    sheet(to_pillow(torch.stack(film, 1).flatten(0, 1).float().clamp(-1, 1)), len(film)),
    caption="Eight pictures on their way from noise, a row each.",
)

# %%
distance = torch.cdist(made.double().flatten(1), pictures.flatten(1)).min(1).values
claim(
    "A perfect denoiser of a finite set makes copies: every sample is one of its pictures.",
    bool((distance < 0.2).all()),
    f"largest distance to the nearest {float(distance.max()):.3f}",
)

# %%
chosen = torch.cdist(made.double().flatten(1), pictures.flatten(1)).argmin(1)
claim(
    "It makes many of them, not always the same.",
    len(set(chosen.tolist())) >= min(known_digits, 64) / 3,
    f"{len(set(chosen.tolist()))} of {known_digits} in 64 samples",
)

# %% [markdown]
"""
## Why this is not what we want

A generator should make new pictures. A trained network cannot remember every picture, so it has to
generalise; with few pictures and long training it does remember them. phosphene looks for copies in every
run: see `phosphene evaluate`."""
