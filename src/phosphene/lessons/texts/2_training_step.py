# %% [markdown]
"""
# One training step: guess the noise

The way back from noise is learned from one question, asked millions of times: here is a noisy picture and
how noisy it is; which noise was added?

A step takes pictures, draws a time for each, adds noise, lets a U-Net guess the noise, and compares the
guess with the truth pixel by pixel (the mean squared error). The gradient of that error changes the
weights a little."""

# %% knobs
training_steps = 100  # @param {type:"slider", min:0, max:2000, step:50}
width = 16  # @param {type:"slider", min:8, max:64, step:8}
learning_rate = 0.003  # @param {type:"slider", min:0.0001, max:0.01, step:0.0001}

# %% [markdown]
"""
## The parts

Real digits, DDPM's schedule of 1000 steps, and a small U-Net with attention.
"""

# %%
from itertools import pairwise

import torch

from phosphene.data.cache import prepare
from phosphene.data.loader import indices
from phosphene.data.sources import find
from phosphene.diffusion import schedule
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import keys, normal, uniform
from phosphene.lessons import claim, show
from phosphene.networks.count import parameters
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.pages import charts
from phosphene.pictures.pixels import to_pillow, to_values
from phosphene.pictures.sheet import sheet

pictures = to_values(torch.tensor(prepare(find("digits")).pictures))
ddpm = schedule.linear()
torch.manual_seed(0)
network = UNet(UNetConfig(1, 1, widths=(width, 2 * width), attention=(False, True), blocks=1))
optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
print(f"{parameters(network):,} weights, {len(pictures):,} pictures")

# %% [markdown]
"""
## The step

This is all of it.
"""


# %%
def noisy(x0, step):
    """x_t, the noise in it, and t as the network hears it: all a function of (seed, picture, step)."""
    key = keys(0, range(len(x0)))
    t = (uniform(key, step) * 1000).floor() + 1
    eps = normal(key, step, (1, 8, 8))
    return ddpm.level(t / 1000).add(x0, eps), eps, t - 1


def error(x0, step):
    x, eps, t = noisy(x0, step)
    return ((network(x, t.float(), Condition()) - eps) ** 2).mean()


first, losses = error(pictures[indices(len(pictures), 64, 0, 0)], 0).item(), []
for step in range(training_steps):
    loss = error(pictures[indices(len(pictures), 64, 0, step)], step)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

smooth = [sum(losses[i : i + 20]) / 20 for i in range(0, len(losses) - 19, 10)]
curve = charts.Series("loss", [10 * i + 10 for i in range(len(smooth))], smooth)
show(
    charts.lines("Error of the guess", [curve], x="step", y="mean squared error")
    if losses
    else "No step was taken."
)

# %%
claim(
    "Before the first step the network says nothing, and the error is the noise's own variance, 1.",
    abs(first - 1) < 0.1,
    first,
)

# %%
last = sum(losses[-30:]) / len(losses[-30:]) if losses else first
claim("After some hundred steps most of the noise is guessed.", last < 0.35, last)

# %% [markdown]
"""
## What it has learned

Much noise is easy to guess: it is nearly all there is. Little noise is hard: it hides in the picture.
Below, digits at four times, and what remains when the guessed noise is taken out, x0_hat = (x_t - sigma
eps_hat) / alpha."""

# %%
times = (50, 200, 400, 700)
x0 = pictures[[0, 1, 2, 3, 4, 5]]
rows, errors = [], []
with torch.no_grad():
    for t in times:
        level = ddpm.level(torch.full((200,), t / 1000, dtype=torch.float64))
        eps = normal(keys(1, range(200)), t, (1, 8, 8))
        x = level.add(pictures[:200], eps)
        guess = network(x, torch.full((200,), t - 1.0), Condition())
        errors.append(float(((guess - eps) ** 2).mean()))
        clean = (x - level.sigma[:, None, None, None] * guess) / level.alpha[:, None, None, None]
        rows += [x[:6], clean[:6].float()]
titles = [f"{what} t = {t}" for t in times for what in ("noisy,", "x0_hat,")]
show(
    sheet(to_pillow(torch.cat(rows).float().clamp(-1, 1)), 6, row_titles=titles),
    caption="Digits at four times, and the network's best guess of the picture behind each.",
)

# %%
claim(
    "The more noise there is, the smaller the error of its guess.",
    all(a > b for a, b in pairwise(errors)),
    ", ".join(f"t {t}: {e:.3f}" for t, e in zip(times, errors, strict=True)),
)
