# %% [markdown]
"""
# Families: ways to learn what pictures look like

Before diffusion there were three ways to a machine that makes pictures. Each is here in its smallest
form, on digits or on numbers, where the right answer is known.

A variational autoencoder squeezes a picture into a small code and unfolds it. A GAN sets a generator
against a discriminator until fakes pass. An autoregressive model writes a picture pixel by pixel, as a
language model writes text."""

# %% knobs
code = 8  # @param {type:"slider", min:1, max:32, step:1}
rounds = 400  # @param {type:"slider", min:20, max:2000, step:20}
seed = 0  # @param {type:"slider", min:0, max:100, step:1}

# %%
import math

import torch
from torch.nn import functional

from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.diffusion import grid, schedule
from phosphene.diffusion.multistep import dpmpp
from phosphene.diffusion.noise import keys, normal, uniform
from phosphene.diffusion.plan import compile
from phosphene.lessons import claim, show
from phosphene.pages import blocks, charts
from phosphene.pictures.pixels import to_pillow, to_values
from phosphene.pictures.sheet import sheet

pictures = to_values(torch.tensor(prepare(find("digits")).pictures)).double().flatten(1)
centre, places = pictures.mean(0), pictures.shape[1]

# %% [markdown]
"""
## Squeeze and unfold: a variational autoencoder

The encoder says which codes z a picture could have, N(V x, s^2); the decoder unfolds one, N(W z, r^2).
Both learn to make one number large, the ELBO: how well pictures come back, less how far the codes are
from plain noise, from which new ones are drawn. Here V and W are matrices, so that the mean over z is a
formula and the best possible ELBO is known (probabilistic principal components, Tipping and Bishop
1999)."""

# %%
covariance = (pictures - centre).T @ (pictures - centre) / len(pictures)
unfold = 0.1 * normal(keys(seed, [0]), 0, (places, code))[0].double()
squeeze = 0.1 * normal(keys(seed, [0]), 1, (code, places))[0].double()
spread_of_codes, spread_of_pixels = torch.zeros(code).double(), torch.zeros(()).double()
learned = [unfold, squeeze, spread_of_codes, spread_of_pixels]
optimizer = torch.optim.LBFGS(
    [value.requires_grad_() for value in learned], max_iter=500, line_search_fn="strong_wolfe"
)


def elbo():
    """In nats, the mean over all digits."""
    missed = torch.eye(places).double() - unfold @ squeeze
    error = (missed @ covariance * missed).sum() + (unfold**2 @ torch.exp(2 * spread_of_codes)).sum()
    back = -error / (2 * torch.exp(2 * spread_of_pixels))
    back = back - places / 2 * (math.log(2 * math.pi) + 2 * spread_of_pixels)
    codes = (squeeze @ covariance * squeeze).sum() + torch.exp(2 * spread_of_codes).sum() - code
    return back - codes / 2 + spread_of_codes.sum()


def loss():
    optimizer.zero_grad()
    value = -elbo()
    value.backward()
    return value


before = elbo().item()
optimizer.step(loss)
after = elbo().item()
found = torch.linalg.eigvalsh(covariance).flip(0)
rest = float(found[code:].mean())
best = (
    -(
        places * math.log(2 * math.pi)
        + float(found[:code].log().sum())
        + (places - code) * math.log(rest)
        + places
    )
    / 2
)
with torch.no_grad():
    some = pictures[:10]
    back = centre + (some - centre) @ (unfold @ squeeze).T
    new = centre + normal(keys(seed, range(10)), 2, (code,)).double() @ unfold.T
rows = torch.cat([some, back, new]).reshape(30, 1, 8, 8).float().clamp(-1, 1)
squeezed = f"from {code} number{'s' if code > 1 else ''}"
show(
    sheet(to_pillow(rows), 10, row_titles=["pictures", squeezed, "new codes"]),
    caption="Digits, what comes back of them, and what codes drawn from plain noise unfold to: blurred.",
)

# %%
claim(
    "Trained on the ELBO alone, it ends at the best that any such code can do.",
    abs(after - best) < 0.01 * abs(best - before),
    f"ELBO from {before:.1f} to {after:.2f}; the best is {best:.2f}",
)

# %% [markdown]
"""
## Two against each other: a GAN

The data are numbers with mean 1 and deviation 1/2. The generator knows only how to shift and stretch
noise; the discriminator looks at x and x^2 and says real or fake. It learns to tell them apart; the
generator learns to be told apart no more. Nobody ever tells the generator what the mean is."""

# %%
noise = torch.special.ndtri((torch.arange(500).double() + 0.5) / 500)
real = 1 + 0.5 * noise
judge, maker = torch.zeros(3).double().requires_grad_(), torch.tensor([-1.0, 0.0]).double().requires_grad_()
judging, making = torch.optim.Adam([judge], 0.05, (0.0, 0.9)), torch.optim.Adam([maker], 0.02, (0.0, 0.9))


def verdict(x):
    """Above 0: real."""
    return judge[0] + judge[1] * x + judge[2] * x**2


def fakes():
    return maker[0] + torch.exp(maker[1]) * noise


shares, means, spreads = [], [], []
for _ in range(rounds):
    for _ in range(5):
        steep = (judge[1] + 2 * judge[2] * real) ** 2  # R1: no steeper than it must be where the data are
        wrong = functional.softplus(-verdict(real)) + functional.softplus(verdict(fakes().detach()))
        judging.zero_grad()
        (wrong.mean() + 0.05 * steep.mean()).backward()
        judging.step()
    shares.append(float(((verdict(real) > 0).double() + (verdict(fakes()) < 0).double()).mean() / 2))
    making.zero_grad()
    functional.softplus(-verdict(fakes())).mean().backward()
    making.step()
    means.append(maker[0].item())
    spreads.append(torch.exp(maker[1]).item())
turns = [float(i + 1) for i in range(rounds)]
show(
    charts.lines(
        "Generator and discriminator",
        [
            charts.Series("mean of fakes", turns, means),
            charts.Series("deviation of fakes", turns, spreads),
            charts.Series("share told apart", turns, shares),
        ],
        x="round",
        y="",
    )
)

# %%
claim(
    "The fakes end with the mean and the deviation of the data.",
    abs(means[-1] - 1) < 0.05 and abs(spreads[-1] - 0.5) < 0.05,
    f"mean {means[-1]:.3f}, deviation {spreads[-1]:.3f}",
)

# %%
claim(
    "In the end the discriminator can only guess.",
    max(shares) > 0.8 and abs(shares[-1] - 0.5) < 0.1,
    f"{100 * max(shares):.0f}% told apart at most, {100 * shares[-1]:.0f}% in the end",
)

# %% [markdown]
"""
## Pixel by pixel: an autoregressive model

p(picture) = p(first pixel) p(second | first) p(third | first two) ... Each factor here is a logistic
regression on the pixels before, black or white; half of the digits are learned from, half are for the
test. Its likelihood is exact, and a picture takes as many calls as it has pixels."""

# %%
ink = (pictures > 0).double()
seen, unseen = ink[::2], ink[1::2]
weights, offsets = torch.zeros(places, places).double(), torch.zeros(places).double()
learning = torch.optim.Adam([weights.requires_grad_(), offsets.requires_grad_()], 0.05)


def logits(x):
    """Of each pixel, from those before it."""
    return x @ torch.tril(weights, -1).T + offsets


def bits(x):
    """That each picture takes."""
    return functional.binary_cross_entropy_with_logits(logits(x), x, reduction="none").sum(1) / math.log(2)


for _ in range(150):
    learning.zero_grad()
    (bits(seen).mean() + 0.05 * (weights**2).sum()).backward()
    learning.step()
with torch.no_grad():
    alone = (seen.mean(0) * len(seen) + 1) / (len(seen) + 2)
    apart = -(unseen * alone.log2() + (1 - unseen) * (1 - alone).log2()).sum(1)
    ours = float(bits(unseen).mean())
    written = torch.zeros(20, places).double()
    for place in range(places):
        ahead = torch.sigmoid(logits(written)[:, place])
        written[:, place] = (uniform(keys(seed, range(20)), place).double() < ahead).double()
show(
    sheet(to_pillow((2 * written - 1).reshape(20, 1, 8, 8).float()), 10),
    caption="Written pixel by pixel, from the upper left.",
)

# %%
claim(
    "What stands before a pixel says much about it: fewer bits a picture than pixel for pixel alone.",
    ours < 0.9 * float(apart.mean()),
    f"{ours:.1f} bits a picture it has not seen; alone {float(apart.mean()):.1f}",
)

# %%
ways = ((torch.arange(1024)[:, None] >> torch.arange(10)) & 1).double()
filled = functional.pad(ways, (0, places - 10))
with torch.no_grad():
    log_p = -functional.binary_cross_entropy_with_logits(logits(filled), filled, reduction="none")[:, :10]
whole = float(torch.exp(log_p.sum(1)).sum())
claim(
    "It is a distribution: over all 1,024 ways to fill the first ten pixels, probabilities sum to 1.",
    abs(whole - 1) < 1e-9,
    f"1 {whole - 1:+.0e}",
)

# %% [markdown]
"""
## And diffusion

It takes its idea from physics and its training from none of the three: one network, one plain regression,
nobody to play against, no order of pixels, no small code. The price is that making a picture takes many
calls (lesson `solvers` on how few are enough)."""

# %%
steps = compile(dpmpp(order=2)(grid.trailing(schedule.flow(), 20))).evaluations
rows = [
    ["VAE", "ELBO", "1", "a bound"],
    ["GAN", "two against each other", "1", "none"],
    ["autoregressive", "likelihood", f"{places}, one a pixel", "exact"],
    ["diffusion", "guess the noise", f"{steps}, one a step", "a bound, or exact by its flow"],
]
show(blocks.table(["family", "trained by", "calls for a digit", "likelihood"], rows))

# %%
claim("Twenty steps are fewer calls than one a pixel, even of a digit.", steps < places, f"{steps}, {places}")
