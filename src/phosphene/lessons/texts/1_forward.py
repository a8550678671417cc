# %% [markdown]
"""
# Forward: how a picture becomes noise

Diffusion borrows from thermodynamics: structure is destroyed slowly, by adding a little Gaussian noise many
times. Each noisy picture depends only on the one before it, and after T = 1000 small steps nothing of the
picture is left.

One step is `x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) z`, with fresh noise `z` of variance 1: the
picture fades a little, the noise grows a little."""

# %% knobs
steps = 1000  # @param {type:"slider", min:10, max:2000, step:10}
first_beta = 0.0001  # @param {type:"slider", min:0.00001, max:0.01, step:0.00001}
last_beta = 0.02  # @param {type:"slider", min:0.001, max:0.05, step:0.001}
digit = 3  # @param {type:"slider", min:0, max:9, step:1}

# %% [markdown]
"""
## Step by step

A real digit, and the schedule of DDPM (2020): `beta` grows in a straight line.
"""

# %%
import torch

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion import schedule
from phosphene.diffusion.noise import keys, normal
from phosphene.lessons import claim, show
from phosphene.pages import charts
from phosphene.pictures.pixels import to_pillow, to_values
from phosphene.pictures.sheet import sheet

data = prepare(find("digits"))
picture = to_values(torch.tensor(data.pictures[data.labels == digit][:1])).double()
betas = torch.linspace(first_beta, last_beta, steps, dtype=torch.float64)

copies = 300  # so that we see what happens on average
x = picture.expand(copies, -1, -1, -1)
film = [x]
for t in range(steps):
    z = normal(keys(0, range(copies)), t, (1, 8, 8)).double()
    x = torch.sqrt(1 - betas[t]) * x + torch.sqrt(betas[t]) * z
    film.append(x)

shown = [film[round(i * steps / 11)][0] for i in range(12)]
show(sheet(to_pillow(torch.stack(shown).float().clamp(-1, 1)), 12), caption="One digit, from 0 steps to all.")

# %% [markdown]
"""
## In one go

A sum of Gaussian steps is a Gaussian, so `x_t` can be drawn from `x_0` at once:

    x_t = alpha_t x_0 + sigma_t eps,     alpha_t = sqrt(prod (1 - beta_i)),     sigma_t = sqrt(1 - alpha_t^2)

phosphene calls the pair (alpha, sigma) a level. Below, the 300 copies that were walked step by step, beside
the level: the mean of the copies should be alpha times the picture, and their deviation sigma.
"""

# %%
curve = schedule.from_betas(betas)
times = torch.arange(1, steps + 1, dtype=torch.float64) / steps
levels = curve.level(times)
at = [round(i * (steps - 1) / 20) for i in range(21)]
means = [float((film[t + 1].mean(0) * picture[0]).sum() / (picture**2).sum()) for t in at]
deviations = [float(film[t + 1].std(0).mean()) for t in at]
show(
    charts.lines(
        "Walked and in one go",
        [
            charts.Series("alpha", [t + 1 for t in range(steps)], levels.alpha.tolist()),
            charts.Series("sigma", [t + 1 for t in range(steps)], levels.sigma.tolist()),
            charts.Series("walked: share of the picture", [t + 1 for t in at], means, points=True),
            charts.Series("walked: deviation", [t + 1 for t in at], deviations, points=True),
        ],
        x="step",
        y="of the picture, of the noise",
    )
)

# %%
gap = max(abs(m - float(levels.alpha[t])) for m, t in zip(means, at, strict=True))
claim("The share of the picture after t steps is alpha_t.", gap < 0.04, f"largest difference {gap:.4f}")

# %%
gap = max(abs(d - float(levels.sigma[t])) for d, t in zip(deviations, at, strict=True))
claim("The noise after t steps has the deviation sigma_t.", gap < 0.04, f"largest difference {gap:.4f}")

# %% [markdown]
"""
## What is left

At the end the picture cannot be told from noise. How much of it is left is one number: the share alpha of
the picture after the last step, which is all that a network could still find."""

# %%
left = float(levels.alpha[-1])
claim("After all steps less than one part in a hundred of the picture is left.", left < 0.01, left)

# %%
end = film[-1].flatten()
claim(
    "What is there has the mean and the deviation of pure noise.",
    bool(abs(end.mean()) < 0.02 and abs(end.std() - 1) < 0.02),
    f"mean {end.mean():.4f}, deviation {end.std():.4f}",
)

# %% [markdown]
"""
## Try

Take 100 steps with the same betas: too much is left, and a generator that starts from pure noise starts
from something that it has never seen. Fewer steps need larger betas; that is what a schedule is for."""
