# %% [markdown]
"""
# Solvers: fewer steps for the same picture

Walking back is solving a differential equation, and a better method needs fewer steps. DDPM takes a
thousand; a second-order solver comes as near with twenty.

In phosphene a solver is a table: between two evaluations of the network every solver is a linear map of
the current x, a short memory, the new answer and fresh noise."""

# %% knobs
most_steps = 128  # @param [64, 128, 256]

# %%
import math

import torch

from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import compile, sample
from phosphene.diffusion.solver import SOLVERS
from phosphene.lessons import claim, show
from phosphene.pages import blocks, charts

walked = schedule.cosine()
mean, deviation = torch.full((1, 1, 2), 0.3, dtype=torch.float64), 0.5
data = exact.gaussian(mean, deviation)
start = torch.tensor([[[[1.0, -0.7]]]], dtype=torch.float64)


def error(name, steps):
    """How far from the exact end of the equation, which a Gaussian has in closed form."""
    levels = grid.log_snr(walked, steps)
    levels = type(levels)(levels.alpha[:-1], levels.sigma[:-1])  # to a last level with some noise
    end = sample(data.denoise, compile(SOLVERS[name].solver(levels)), keys(0, [0]), Condition(), start)
    exactly = exact.gaussian_flow(
        start, mean, deviation, levels.rows(slice(0, 1)), levels.rows(slice(-1, None))
    )
    return float((end - exactly).abs().max())


# %% [markdown]
"""
## Order

The error of a method of order p falls by 2^p when the steps are doubled: on logarithmic axes, a line of
slope p."""

# %%
counts = [n for n in (8, 16, 32, 64, 128, 256) if n <= most_steps]
names = ("ddim", "heun", "dpmpp_2m", "dpmpp_3m")
errors = {name: [error(name, n) for n in counts] for name in names}
evaluations = {name: [2 * n - 3 if name == "heun" else n - 1 for n in counts] for name in names}
show(
    charts.lines(
        "Error by evaluations of the network",
        [charts.Series(name, evaluations[name], errors[name], points=True) for name in names],
        x="evaluations",
        y="error",
        log_x=True,
        log_y=True,
    )
)

# %%
slope = {name: math.log2(e[-2] / e[-1]) for name, e in errors.items()}
claim("DDIM is of order 1.", abs(slope["ddim"] - 1) < 0.2, f"slope {slope['ddim']:.2f}")

# %%
claim(
    "Heun and DPM-Solver++(2M) are of order 2; 2M asks the network half as often.",
    abs(slope["heun"] - 2) < 0.3 and abs(slope["dpmpp_2m"] - 2) < 0.3,
    f"slopes {slope['heun']:.2f} and {slope['dpmpp_2m']:.2f}",
)

# %%
claim(
    "DPM-Solver++(3M) is of order 3 or better here.",
    slope["dpmpp_3m"] > 2.7,
    f"slope {slope['dpmpp_3m']:.2f}",
)

# %%
claim(
    "A second-order solver with a quarter of the steps is nearer than DDIM with all of them.",
    errors["dpmpp_2m"][-3] < errors["ddim"][-1],
    f"{errors['dpmpp_2m'][-3]:.1e} with {counts[-3]}, {errors['ddim'][-1]:.1e} with {counts[-1]}",
)

# %% [markdown]
"""
## The table

What `dpmpp_2m` does in its third step: the new x is a sum of the old x, the last answer and the new
answer. One loop runs every such table, so that pictures with different solvers can share a batch."""

# %%
plan = compile(SOLVERS["dpmpp_2m"].solver(grid.trailing(schedule.flow(), 10)))
rows = [
    [name, *(f"{value:.4f}" for value in row)]
    for name, row in zip(("new x", "kept answer"), plan.update[2].tolist(), strict=True)
]
show(blocks.table(["", "x", "last answer", "new answer", "noise"], rows))

# %%
first = plan.update[2, 0]
level = grid.trailing(schedule.flow(), 10)
kept = float(first[0] * level.sigma[2] / level.sigma[3])
claim(
    "The noise in x shrinks as the level says: the share of x is sigma_s / sigma_t.",
    abs(kept - 1) < 1e-12,
    f"quotient {kept:.12f}",
)
