# %% [markdown]
"""
# The catches: expensive, hard to control, sometimes unrealistic

What diffusion is bad at, each made visible, with what phosphene does about it; and what it takes to run a
model where others depend on it."""

# %% knobs
hours = 24.0  # @param {type:"slider", min:0.5, max:500.0, step:0.5}
guidance = 3.0  # @param {type:"slider", min:1.0, max:10.0, step:0.5}
blur = 0.6  # @param {type:"slider", min:0.0, max:2.0, step:0.1}

# %% [markdown]
"""
## Expensive to train

A step asks the network forward and backward, three times the work of asking it once, and good models see
millions of pictures. The work grows with the number of pixels."""

# %%
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.ancestral import ddim
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.guidance import classifier_free
from phosphene.diffusion.multistep import dpmpp
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import compile, sample
from phosphene.evaluation.cost import Prices, cost, power
from phosphene.lessons import claim, show
from phosphene.measures.diversity import diversity
from phosphene.measures.kernel import kernel_distance
from phosphene.measures.memorisation import Views, memorisation
from phosphene.networks.count import multiply_adds
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.pages import blocks
from phosphene.pictures.pixels import to_pillow
from phosphene.pictures.sheet import sheet

network = UNet(
    UNetConfig(3, 3, widths=(32, 64, 64), attention=(False,) * 3, blocks=2, middle_attention=False)
)
sides = (32, 64, 128, 256)
work = [3 * multiply_adds(network, 3, side, side) for side in sides]
rows = [
    [f"{side} pixels a side", f"{each / 1e9:.1f} billion", f"{1e6 * each / 1e15:.1f} million billion"]
    for side, each in zip(sides, work, strict=True)
]
show(blocks.table(["pictures", "multiply-adds to learn from one", "from a million"], rows))

# %%
claim(
    "Twice the side is four times the work.",
    all(3.9 < b / a < 4.1 for a, b in pairwise(work)),
    ", ".join(f"{b / a:.2f}" for a, b in pairwise(work)),
)

# %%
prices = Prices(watts=700.0, kwh=0.30, hour=3.0)
spent = cost(3600 * hours, power(prices, "cuda", None), prices)
claim(
    "Energy is the smaller part of what a rented machine costs; every report says both.",
    spent.kwh * prices.kwh < spent.money / 2,
    f"{hours:g} hours: {spent.kwh:.1f} kWh, {spent.money:.0f} {prices.currency}; {spent.words.split(';')[0]}",
)

# %% [markdown]
"""
What helps: a budget that is kept (`--budget 2h`), recipes that learn fast, the doctor's word on how
long a set is worth training on, and few steps when sampling.

## Hard to control

Asked for one of two classes that overlap, an exact model makes what lies between as often as the data
have it. Guidance asks louder, and pays with variety."""

# %%
means = torch.tensor([-0.5, 0.5], dtype=torch.float64).reshape(2, 1, 1, 1)
both = exact.Mixture(means, torch.full((2,), 0.5), torch.full((2,), 0.5).log())
one = exact.gaussian(means[1], 0.5)


def denoise(x, level, condition):
    """Of the second class where it is asked for, of both where nothing is."""
    asked = (condition.label == 1)[:, None, None, None]
    return torch.where(asked, one.denoise(x, level, condition), both.denoise(x, level, condition))


plan = compile(dpmpp(order=2)(grid.trailing(schedule.flow(), 30)))
asked = Condition(label=torch.ones(1000, dtype=torch.int64))
made = {}
for w in (1.0, guidance):
    guided = classifier_free(denoise, torch.full((1000,), w), (0.0, float("inf")))
    made[w] = sample(guided, plan, keys(0, range(1000)), asked, (1, 1, 1)).flatten()
shares = [float((made[w] > 0).double().mean()) for w in (1.0, guidance)]
spreads = [float(made[w].std()) for w in (1.0, guidance)]
claim(
    "With guidance more samples are on the side that was asked for, and they differ less.",
    guidance == 1 or (shares[1] > shares[0] and spreads[1] < spreads[0]),
    f"{100 * shares[0]:.0f}% and {100 * shares[1]:.0f}%; spread {spreads[0]:.2f} and {spreads[1]:.2f}",
)

# %% [markdown]
"""
## Sometimes unrealistic

Eyes are bad judges of thousands of pictures. Figures notice what eyes do not: below, real digits
against other real digits, against blurred ones, against too few different ones, and against copies of
what was trained on. Each figure stands beside what real pictures reach."""

# %%
pictures = np.asarray(prepare(find("digits")).pictures)[:, 0].astype(np.float64)
order = np.random.default_rng(0).permutation(len(pictures))
training, held_out, fresh = (pictures[order[i * 500 : (i + 1) * 500]] for i in range(3))
blurred = gaussian_filter(fresh, (0, blur, blur)) if blur else fresh
strips = np.concatenate([fresh[:12], blurred[:12]])[:, None] / 127.5 - 1
show(sheet(to_pillow(torch.from_numpy(strips).float()), 12, row_titles=["real", "blurred"]))


def rows_of(some):
    return some.reshape(len(some), -1) / 255


# %%
real, soft = (kernel_distance(rows_of(some), rows_of(held_out)) for some in (fresh, blurred))
claim(
    "The kernel distance of real pictures to real ones is 0 within its interval; of blurred ones it is not.",
    real.holds(0) and (not blur or soft.low > 0),
    f"real {real.low:.4f} to {real.high:.4f}; blurred {soft.low:.4f} to {soft.high:.4f}",
)

# %%
few = diversity(rows_of(fresh[np.arange(500) % 20]), rows_of(held_out))
enough = diversity(rows_of(fresh), rows_of(held_out))
claim(
    "Twenty pictures again and again are seen to be few.",
    few.vendi.high < enough.vendi.low,
    f"effectively different, of as many real ones: {few.vendi.value:.2f}; {enough.vendi.value:.2f}",
)


# %%
def seen(some):
    return Views(rows_of(some), rows_of(some[:, :, ::-1]))


copied = training[:200] + np.random.default_rng(1).normal(0, 4, (200, 8, 8))
judged = [memorisation(seen(some), rows_of(training), seen(held_out)) for some in (copied, fresh)]
claim(
    "Copies of training pictures are found, and new pictures are not called copies.",
    judged[0].memorising and not judged[1].memorising,
    f"{100 * judged[0].share.value:.0f}% of copies, {100 * judged[1].share.value:.0f}% of new pictures",
)

# %% [markdown]
"""
## In production

Training runs as a job that may be stopped at any time, on a rented machine or on Vertex AI; it goes on
from its last checkpoint with the same bits. What it leaves is a folder of JSON and safetensors, no
code, that an endpoint loads. Requests of strangers share a batch; what each gets must not depend on who
they are."""

# %%
data, drawing = (
    exact.gaussian(torch.zeros(1, 4, 4).double(), 0.5),
    compile(ddim(eta=1.0)(grid.trailing(schedule.flow(), 20))),
)
alone = sample(data.denoise, drawing, keys(7, [3]), Condition(), (1, 4, 4))
shared = sample(data.denoise, drawing, keys(7, range(16)), Condition(), (1, 4, 4))[3:4]
gap = float((alone - shared).abs().max())
claim("A picture does not depend on who shared its batch.", gap < 1e-6, f"largest difference {gap:.0e}")
