# %% [markdown]
"""
# A short quiz

Six questions on the lessons before. Each answer is below its question, and the cell beneath it shows it
once more in a line or two."""

# %% knobs
seed = 0  # @param {type:"slider", min:0, max:100, step:1}

# %% [markdown]
"""
## What is the forward process?

Noise is added to a clean picture step by step, until nothing of it is left (lesson `forward`).
"""

# %%
import torch

from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.ancestral import ddim
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import keys, normal
from phosphene.diffusion.plan import compile, sample
from phosphene.lessons import claim

level = schedule.linear().level(torch.ones(1, dtype=torch.float64))
claim(
    "After the last step the picture's share is below one in a hundred.",
    float(level.alpha) < 0.01,
    float(level.alpha),
)

# %% [markdown]
"""
## What is the reverse process?

The model learns to take the noise out again, a little at a time: from noise to a picture (lessons
`training-step` and `reverse`)."""

# %%
data = exact.finite(torch.tensor([-1.0, 0.5, 1.0], dtype=torch.float64).reshape(3, 1, 1, 1))
plan = compile(ddim(eta=1.0)(grid.trailing(schedule.linear(), 200)))
made = sample(data.denoise, plan, keys(seed, range(300)), Condition(), (1, 1, 1)).flatten().double()
values = torch.tensor([-1.0, 0.5, 1.0], dtype=torch.float64)
distance = float((made[:, None] - values).abs().min(1).values.max())
claim(
    "From pure noise, all samples arrive at the data: here one of three values.",
    distance < 0.05,
    f"largest distance {distance:.3f}",
)

# %% [markdown]
"""
## What is the goal?

Not to copy the training pictures but to draw new ones from the distribution that they came from: each as
often as it should be (lessons `reverse` and `uses`)."""

# %%
nearest = (made[:, None] - values).abs().argmin(1)
shares = torch.bincount(nearest, minlength=3) / len(made)
claim(
    "Each of the three values comes about a third of the time.",
    bool(((shares - 1 / 3).abs() < 0.1).all()),
    ", ".join(f"{float(share):.2f}" for share in shares),
)

# %% [markdown]
"""
## Which family of models takes its idea from physics?

Diffusion: it borrows from thermodynamics, where structure dissolves by many small random steps.
Variational autoencoders squeeze and unfold, GANs set two networks against each other, autoregressive
models write pixel by pixel (lesson `families`)."""

# %%
x = torch.ones(20_000, dtype=torch.float64)
for step in range(100):
    x = (1 - 0.02) ** 0.5 * x + 0.02**0.5 * normal(keys(seed, range(1)), step, (20_000,))[0].double()
left = (1 - 0.02) ** 50
claim(
    "A hundred small random steps leave exp-like decay: the mean is what the formula says.",
    abs(float(x.mean()) - left) < 0.03,
    f"{float(x.mean()):.3f}, formula {left:.3f}",
)

# %% [markdown]
"""
## What does the network predict, and how is it compared?

The noise in the noisy picture; by the mean squared error, pixel by pixel. A network that says nothing has
an error of 1, the variance of the noise (lesson `training-step`)."""

# %%
eps = normal(keys(seed, range(100)), 0, (1, 8, 8))
claim("The mean square of the noise is 1.", abs(float((eps**2).mean()) - 1) < 0.05, float((eps**2).mean()))

# %% [markdown]
"""
## What are the catches?

Training is expensive, results are hard to control, and some are unrealistic (lesson `catches`). What
phosphene does about each: recipes that learn fast and a budget that is kept; labels, guidance (lesson
`guidance`) and text;
figures that say how good samples are, with intervals, and a look at the nearest training pictures
(`phosphene evaluate`). Sampling is slow too: better solvers need fewer steps (lesson `solvers`)."""

# %%
ends = {}
gaussian = exact.gaussian(torch.zeros(1, 1, 1, dtype=torch.float64), 0.5)
for steps in (10, 1000):
    made = sample(
        gaussian.denoise,
        compile(ddim()(grid.trailing(schedule.flow(), steps))),
        keys(seed, range(2000)),
        Condition(),
        (1, 1, 1),
    )
    ends[steps] = float(made.std())
claim(
    "Too few steps of a simple solver give the wrong spread; many give the right one.",
    abs(ends[1000] - 0.5) < abs(ends[10] - 0.5) + 0.02 and abs(ends[1000] - 0.5) < 0.03,
    f"{ends[10]:.3f} with 10 steps, {ends[1000]:.3f} with 1000; right is 0.500",
)
