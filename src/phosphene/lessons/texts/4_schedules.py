# %% [markdown]
"""
# Schedules: how fast noise comes

DDPM's line, the cosine, EDM and rectified flow look like four theories. They are four speeds on one road.

A level is a pair (alpha, sigma) in x_t = alpha x0 + sigma eps. What can still be seen depends on the ratio
sigma / alpha alone; the common scale is a choice of units.
"""

# %% knobs
steps = 20  # @param {type:"slider", min:2, max:200, step:1}

# %%
import torch

from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.ancestral import ddim
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import compile, sample
from phosphene.lessons import claim, show
from phosphene.pages import blocks, charts

curves = {
    "DDPM, linear": schedule.linear(),
    "cosine": schedule.cosine(),
    "EDM": schedule.edm(),
    "rectified flow": schedule.flow(),
}
t = torch.linspace(0.002, 0.998, 250, dtype=torch.float64)
series = [charts.Series(name, t.tolist(), curve.level(t).ratio.tolist()) for name, curve in curves.items()]
show(charts.lines("Noise by time", series, x="time", y="sigma / alpha", log_y=True))

# %% [markdown]
"""
## One road

Give every schedule the same ratios, each in its own units, and walk back with the same solver. The
pictures are the same to the last digits of double precision."""

# %%
data = exact.gaussian(torch.full((1, 2, 2), 0.3, dtype=torch.float64), 0.4)
ratios = grid.trailing(schedule.flow(), steps).ratio
ratios[0] = 300.0
ends = {}
for name, units in {
    "preserving": schedule.preserving,
    "exploding": schedule.exploding,
    "straight": schedule.straight,
}.items():
    level = units(ratios)
    start = torch.randn(4, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = start * float(level.sigma[0])
    ends[name] = sample(data.denoise, compile(ddim()(level)), keys(0, range(4)), Condition(), start)
gap = max(float((end - ends["straight"]).abs().max()) for end in ends.values())
claim(
    "The units of a schedule change nothing: three of them give the same pictures.", gap < 1e-10, f"{gap:.0e}"
)

# %% [markdown]
"""
## What differs: where the time goes

A schedule decides how many of the training steps, and of a plain grid's sampling steps, fall where. Below a
ratio of 0.1 only fine detail is decided; above 10 hardly anything can be seen.
"""

# %%
moments = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
bands = {
    "below 0.1": (0.0, 0.1),
    "0.1 to 1": (0.1, 1.0),
    "1 to 10": (1.0, 10.0),
    "above 10": (10.0, float("inf")),
}
shares = {
    name: [
        float(((r := curve.level(moments).ratio) >= low).logical_and(r < high).double().mean())
        for low, high in bands.values()
    ]
    for name, curve in curves.items()
}
show(
    blocks.table(
        ["schedule", *bands],
        [[name, *(f"{100 * s:.0f}%" for s in row)] for name, row in shares.items()],
        "Share of the time spent at each ratio.",
    )
)

# %%
claim(
    "DDPM's line spends more of its time in pure noise than the cosine, which was made to mend that.",
    shares["DDPM, linear"][3] > 2 * shares["cosine"][3],
    f"{100 * shares['DDPM, linear'][3]:.0f}% against {100 * shares['cosine'][3]:.0f}%",
)

# %%
claim(
    "With uniform time EDM would spend nearly all of it above 10: so it draws its levels another way.",
    shares["EDM"][3] > 0.8,
    f"{100 * shares['EDM'][3]:.0f}%",
)

# %% [markdown]
"""
## A detail that darkens pictures

DDPM's line never quite ends in noise: a little of the picture is left at T, as its brightness. Sampling
starts from pure noise, which has no such trace, so very dark and very bright pictures are hard for it
(Lin 2024)."""

# %%
left = schedule.linear().level(torch.ones(1, dtype=torch.float64)).alpha
mended = schedule.linear_zero_terminal().level(torch.ones(1, dtype=torch.float64)).alpha
claim(
    "Rescaled, nothing is left.",
    bool(left > 0.005) and bool(mended == 0),
    f"{float(left):.4f}, then {float(mended):g}",
)
