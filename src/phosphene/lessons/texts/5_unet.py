# %% [markdown]
"""
# Why a U-Net

The network that guesses the noise must see the whole picture and answer for each pixel. A U-Net does both
cheaply: it halves the picture a few times, thinks where it is small, and comes back up with shortcuts.

On its way down it gathers what is where; the shortcuts carry the detail across.
"""

# %% knobs
size = 32  # @param {type:"slider", min:16, max:64, step:16}
width = 16  # @param {type:"slider", min:8, max:32, step:8}

# %%
import torch

from phosphene.diffusion.condition import Condition
from phosphene.lessons import claim, show
from phosphene.networks.count import multiply_adds, parameters
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.pages import blocks
from phosphene.pictures.pixels import to_pillow
from phosphene.pictures.sheet import sheet


def network(widths, attention):
    """A U-Net with random weights everywhere (a fresh one begins with a last layer of zeros)."""
    torch.manual_seed(0)
    made = UNet(
        UNetConfig(1, 1, widths=widths, attention=attention, blocks=1, middle_attention=any(attention))
    )
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.1) if weight.ndim > 1 else None
    return made.eval()


networks = {
    "flat: one size only": network((width,), (False,)),
    "U-Net: halved three times": network((width, 2 * width, 2 * width, 2 * width), (False,) * 4),
    "U-Net with attention": network((width, 2 * width, 2 * width, 2 * width), (False, False, True, True)),
}
rows = [
    [name, f"{parameters(made):,}", f"{multiply_adds(made, 1, size, size) / 1e6:.1f} M"]
    for name, made in networks.items()
]
show(blocks.table(["network", "weights", "multiply-adds a picture"], rows))

# %% [markdown]
"""
## What one pixel's answer depends on

The gradient of the middle pixel's answer by all pixels of the input: bright is where it looks.
"""


# %%
def looks(made):
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    middle = made(x, torch.tensor([500.0]), Condition())[0, 0, size // 2, size // 2]
    return torch.autograd.grad(middle, x)[0].abs()


seen = {name: looks(made) for name, made in networks.items()}
shown = [(torch.log10(g / g.max() + 1e-6) / 3 + 1).clamp(-1, 1) for g in seen.values()]
show(
    sheet(to_pillow(torch.cat(shown)), 3, column_titles=["flat", "U-Net", "with attention"], enlarge=4),
    caption="Where the middle pixel's answer looks (logarithmic).",
)

# %%
share = {name: float((g > 0.01 * g.max()).float().mean()) for name, g in seen.items()}
flat, whole, attending = share.values()
claim(
    "A flat network of this depth looks at a window; the rest it knows by the norms' averages alone.",
    flat < 0.4,
    f"{100 * flat:.0f}% of the pixels count more than a hundredth of the strongest",
)

# %%
claim(
    "A U-Net looks at most of the picture, with or without attention.",
    min(whole, attending) > max(0.5, flat),
    f"{100 * whole:.0f}% and {100 * attending:.0f}%",
)

# %% [markdown]
"""
## What it costs

Each halving leaves a quarter of the pixels. So the deep levels, which hold most of the weights, cost
little."""

# %%
flat_cost, deep_cost = (multiply_adds(networks[name], 1, size, size) for name in list(networks)[:2])
weights = [parameters(networks[name]) for name in list(networks)[:2]]
claim(
    "Three more levels bring more than five times the weights for less than five times the work.",
    weights[1] / weights[0] > 5 > deep_cost / flat_cost,
    f"{weights[1] / weights[0]:.0f} times the weights, {deep_cost / flat_cost:.1f} times the work",
)

# %% [markdown]
"""
## What the shortcuts are for

Without them every pixel's answer would have to squeeze through the smallest level. Change one pixel of
the input by a little: with shortcuts the answer changes most beside it."""

# %%
made = networks["U-Net: halved three times"]
x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(2))
poked = x.clone()
poked[0, 0, 5, 7] += 0.1
with torch.no_grad():
    change = (
        made(poked, torch.tensor([500.0]), Condition()) - made(x, torch.tensor([500.0]), Condition())
    ).abs()
row, column = divmod(int(change.argmax()), size)
claim(
    "The answer changes most near the pixel that was changed.",
    abs(row - 5) <= 2 and abs(column - 7) <= 2,
    f"changed (5, 7), most different at ({row}, {column})",
)
