# %% [markdown]
"""
# Uses: what a denoiser can be asked for

A model that can take noise out of pictures can do more than make new ones. Without a condition it draws
faces or makes a poor picture sharp. With one it fills a hole, changes a picture, or paints what a text
says.

All of it is one network and one loop; what differs is where the walk begins and what the denoiser is
told. Here the denoiser is in closed form, so that nothing needs to be trained: its pictures are 1,500
of the digits, each a little blurred by noise. The other 297 are what it is asked about, and it has
never seen them."""

# %% knobs
hidden_rows = 4  # @param {type:"slider", min:1, max:7, step:1}
steps = 40  # @param {type:"slider", min:10, max:200, step:10}
seed = 0  # @param {type:"slider", min:0, max:100, step:1}

# %%
from itertools import pairwise

import torch
from torch.nn import functional

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.ancestral import ddim
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.measurement import Mask, downsampling
from phosphene.diffusion.noise import keys, normal
from phosphene.diffusion.plan import compile, sample
from phosphene.diffusion.resampling import resampled
from phosphene.diffusion.restoration import known, mmps
from phosphene.lessons import claim, show
from phosphene.pictures.pixels import to_pillow, to_values
from phosphene.pictures.sheet import sheet

digits = to_values(torch.tensor(prepare(find("digits")).pictures)).double()
learned, others = digits[:1500], digits[1500:]
few = others[:: len(others) // 12][:12]


def ideal(pictures, deviation=0.1):
    """E[x0 | x_t] of these pictures, each with a little noise of its own."""
    count = len(pictures)
    return exact.Mixture(pictures, torch.full((count,), deviation), -torch.full((count,), count).log())


data, walked = ideal(learned), schedule.edm()
plan = compile(ddim(eta=1.0)(grid.karras(walked, steps)))

# %% [markdown]
"""
## A poor picture made sharp: super-resolution

What is known is y = A x0, a picture of half the side. By Bayes' rule, what the denoiser says of x_t is
pushed to where it would measure y (Rozet 2024): E[x0 | x_t] becomes E[x0 | x_t, y]."""

# %%
half = downsampling(1, 8, 8, 2)
small = half.apply(few)
sharp = sample(
    mmps(data.denoise, half, small, 0.05), plan, keys(seed, range(12)), Condition(), (1, 8, 8)
).double()
smooth = functional.interpolate(small, (8, 8), mode="bicubic")
shown = torch.cat([functional.interpolate(small, (8, 8)), smooth, sharp, few]).float().clamp(-1, 1)
show(
    sheet(to_pillow(shown), 12, row_titles=["half the side", "bicubic", "sharpened", "the truth"]),
    caption="Digits that the denoiser has never seen.",
)

# %%
gap = float((half.apply(sharp) - small).abs().mean())
claim("What was made measures what was known.", gap < 0.1, f"mean difference {gap:.3f}, of a range of 2")

# %%
errors = [float(((made - few) ** 2).mean()) for made in (sharp, smooth)]
claim(
    "It is nearer to the truth than the best smooth guess: it knows what digits look like.",
    errors[0] < errors[1],
    f"mean squared error {errors[0]:.3f}, bicubic {errors[1]:.3f}",
)

# %% [markdown]
"""
## A hole filled: inpainting

The lower rows are hidden. At each step the known part is put in, and noise is gone through again and
again so that the rest learns of it (RePaint, Lugmayr 2022). Other seeds, other fillings: what is hidden
is not known."""

# %%
keep = torch.ones(1, 8, 8, dtype=torch.float64)
keep[:, 8 - hidden_rows :] = 0
mask = Mask(keep)
filling = compile(resampled(jump=max(steps // 8, 1), times=3)(grid.karras(walked, steps)))
rows = [few * keep]
for other in range(3):
    put_in = known(data.denoise, mask, mask.apply(few))
    rows.append(sample(put_in, filling, keys(seed + other, range(12)), Condition(), (1, 8, 8)).double())
titles = ["known", *(f"seed {seed + other}" for other in range(3)), "the truth"]
show(sheet(to_pillow(torch.cat([*rows, few]).float().clamp(-1, 1)), 12, row_titles=titles))

# %%
off = max(float(((made - few) * keep).abs().max()) for made in rows[1:])
claim("What is known stays as it is, to the last digit.", off < 1e-6, f"largest difference {off:.0e}")

# %%
hidden = (1 - keep).bool().expand_as(few)
blind = float(((learned.mean(0) - few)[hidden] ** 2).mean())
filled = sum(float(((made - few)[hidden] ** 2).mean()) for made in rows[1:]) / 3
claim(
    "What is filled in fits: nearer to the truth than drawing at random, whose error is twice the variance.",
    filled < 2 * blind,
    f"mean squared error {filled:.2f}, at random {2 * blind:.2f}",
)

# %% [markdown]
"""
## A picture changed: how much noise, how much change

Picture to picture begins not with noise but with a picture under some of it (SDEdit, Meng 2022). With a
text or an instruction as a condition it is how pictures are edited: things taken out, added, changed."""

# %%
strengths = (0.1, 0.5, 1.0, 2.0, 8.0)
rows, moved = [few], []
for number, strength in enumerate(strengths):
    ratios = torch.cat([torch.logspace(0, -2, 20, dtype=torch.float64) * strength, torch.zeros(1).double()])
    key = keys(seed, range(12))
    level = walked.at(ratios[:1].expand(12))
    begun = level.add(few, normal(key, 1000 + number, (1, 8, 8)).double())
    down = compile(ddim()(walked.at(ratios)))
    rows.append(sample(data.denoise, down, key, Condition(), begun).double())
    moved.append(float(((rows[-1] - few) ** 2).mean()))
titles = ["source", *(f"noise {strength:g}" for strength in strengths)]
show(sheet(to_pillow(torch.cat(rows).float().clamp(-1, 1)), 12, row_titles=titles))

# %%
claim(
    "Little noise leaves the picture; the more there is, the more of it is made anew.",
    moved[0] < 0.05 and all(a < b for a, b in pairwise(moved)),
    ", ".join(f"{error:.2f}" for error in moved),
)

# %% [markdown]
"""
## Text to picture: a composition

Imagen (2022) is a language model and a few diffusion models: a text becomes states (lesson `text`), a
first model makes a small picture that fits them, others make it larger. Below are the last two parts:
digits drawn at half the side, and each made large by a model that is told the small one."""

# %%
first = ideal(half.apply(learned))
drawn = sample(first.denoise, plan, keys(seed, range(12)), Condition(), (1, 4, 4)).double()
large = sample(
    mmps(data.denoise, half, drawn, 0.1), plan, keys(seed + 1, range(12)), Condition(), (1, 8, 8)
).double()
shown = torch.cat([functional.interpolate(drawn, (8, 8)), large]).float().clamp(-1, 1)
show(sheet(to_pillow(shown), 12, row_titles=["first model", "second model"]))

# %%
gap = float((half.apply(large) - drawn).abs().mean())
claim("The large picture is the small one, seen closer.", gap < 0.15, f"mean difference {gap:.3f}")

# %% [markdown]
"""
## Since 2020

Faster: twenty steps instead of a thousand (lesson `solvers`). Asked for: labels, text, pictures as
conditions, and guidance (lesson `guidance`). Pictures and words in one space (CLIP), which say whether
a picture shows what was asked. And language models, frozen, in front of it all (lesson `text`)."""
