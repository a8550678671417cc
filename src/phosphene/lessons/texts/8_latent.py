# %% [markdown]
"""
# Latent: diffusion in a smaller space

Most of a large picture is detail that follows from little. Latent diffusion squeezes pictures into a
small code, walks back from noise there, and unfolds the result.

The mathematics does not change: x0 is the code. What changes is the cost, and that the code loses
something. A linear code, principal components, shows both exactly; trained autoencoders squeeze more."""

# %% knobs
kept = 16  # @param {type:"slider", min:1, max:64, step:1}
steps = 50  # @param {type:"slider", min:5, max:200, step:5}

# %%
import torch

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion import grid, schedule
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.level import like
from phosphene.diffusion.multistep import dpmpp
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import compile, sample
from phosphene.lessons import claim, show
from phosphene.networks.count import multiply_adds
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.pages import charts
from phosphene.pictures.pixels import to_pillow, to_values
from phosphene.pictures.sheet import sheet

pixels = to_values(torch.tensor(prepare(find("digits")).pictures)).double().flatten(1)
centre = pixels.mean(0)
_, values, directions = torch.linalg.svd(pixels - centre, full_matrices=False)
variance = values**2 / (len(pixels) - 1)
shares = (variance.cumsum(0) / variance.sum()).tolist()


def encode(x):
    return (x - centre) @ directions[:kept].T


def decode(code):
    return centre + code @ directions[:kept]


show(
    charts.lines(
        "What a code of k numbers keeps",
        [charts.Series("share of the variance", list(range(1, 65)), shares)],
        x="numbers kept, of 64",
        y="share",
    )
)

# %%
back = decode(encode(pixels[:10])).reshape(10, 1, 8, 8)
show(
    sheet(
        to_pillow(torch.cat([pixels[:10].reshape(10, 1, 8, 8), back]).float().clamp(-1, 1)),
        10,
        row_titles=["pictures", f"from {kept} number{'s' if kept > 1 else ''}"],
    )
)

# %%
claim(
    "A quarter of the numbers keeps more than four fifths of what digits differ in.",
    shares[15] > 0.8,
    f"{100 * shares[15]:.0f}%",
)

# %% [markdown]
"""
## Walking back in the code

Codes are scaled to variance 1, as latent diffusion does: the schedules expect it. The denoiser of
Gaussian codes is known, so the only thing on trial is the space. Decoded samples should vary as the
pictures' kept part does."""

# %%
scale = variance[:kept].sqrt()
standard = encode(pixels) / scale
covariance = standard.T @ standard / (len(standard) - 1)


def denoise(x, level, condition):
    """E[x0 | x_t] of standard normal codes."""
    return like(level.alpha / (level.alpha**2 + level.sigma**2), x) * x


plan = compile(dpmpp(order=2)(grid.trailing(schedule.flow(), steps)))
codes = sample(denoise, plan, keys(0, range(4000)), Condition(), (kept,)).double()
made = decode(codes * scale)
show(
    sheet(to_pillow(made[:20].reshape(20, 1, 8, 8).float().clamp(-1, 1)), 10),
    caption="Decoded samples: as various as the kept part, but Gaussian codes know nothing of strokes.",
)

# %%
alive = variance[:kept] > 1e-9  # three pixels are black in every digit, so three numbers are always 0
error = float((covariance - torch.eye(kept, dtype=torch.float64))[alive][:, alive].abs().max())
claim("The codes are uncorrelated and of variance 1.", error < 1e-9, f"largest difference {error:.0e}")

# %%
made_variance, real_variance = float(made.var(0).sum()), float(variance[:kept].sum())
claim(
    "Decoded samples vary as much as the kept part of the pictures.",
    abs(made_variance / real_variance - 1) < 0.05,
    f"{made_variance:.2f} and {real_variance:.2f}",
)

# %% [markdown]
"""
## What is saved

The usual code of a 256-pixel picture has 32 x 32 places of 4 numbers: an eighth of each side. The same
U-Net costs that much less."""

# %%
network = UNet(UNetConfig(4, 4, widths=(16, 32), attention=(False, False), blocks=1, middle_attention=False))
full, small = multiply_adds(network, 4, 256, 256), multiply_adds(network, 4, 32, 32)
claim(
    "An eighth of each side is a sixty-fourth of the work.",
    60 < full / small < 66,
    f"{full / small:.1f} times less",
)

# %% [markdown]
"""
## When not to

What the code loses no sampler brings back. For pictures up to 64 pixels the pixels themselves are cheap
enough."""

# %%
lost = abs(1 - shares[kept - 1])  # not -0.0 where all is kept
claim(
    "The error of decoding is exactly the variance that was left out.",
    abs(
        float(((pixels - decode(encode(pixels))) ** 2).sum() / (len(pixels) - 1)) / float(variance.sum())
        - lost
    )
    < 1e-9,
    f"{100 * lost:.1f}% of the variance",
)
