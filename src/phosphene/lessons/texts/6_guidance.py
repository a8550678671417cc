# %% [markdown]
"""
# Guidance: asking louder

A model that was told a label makes pictures of that label. Guidance exaggerates the difference between
its answer with the label and its answer without: D_u + w (D_c - D_u).

At w = 1 that is the plain answer. Above, samples become more typical of what was asked and less various.
Here the model is exact, so that the price can be measured."""

# %% knobs
scale = 3.0  # @param {type:"slider", min:0.0, max:10.0, step:0.5}
apart = 1.0  # @param {type:"slider", min:0.2, max:3.0, step:0.1}
samples = 2000  # @param {type:"slider", min:200, max:10000, step:200}

# %% [markdown]
"""
## Two classes in two dimensions

Each class is a Gaussian; they overlap. The denoiser knows both, and answers for one of them if it is asked.
"""

# %%
from itertools import pairwise

import torch

from phosphene.diffusion import exact, grid, schedule
from phosphene.diffusion.condition import NO_LABEL, Condition
from phosphene.diffusion.guidance import classifier, classifier_free
from phosphene.diffusion.multistep import dpmpp
from phosphene.diffusion.noise import keys
from phosphene.diffusion.plan import compile, sample
from phosphene.lessons import claim, show
from phosphene.pages import charts

means = torch.tensor([[-apart / 2, 0.0], [apart / 2, 0.0]], dtype=torch.float64).reshape(2, 2, 1, 1)
spread = 0.5
both = exact.Mixture(means, torch.full((2,), spread), torch.full((2,), -0.6931471805599453))
each = [exact.gaussian(mean, spread) for mean in means]


def denoise(x, level, condition):
    """E[x0 | x_t], of the class that is asked for, or of both."""
    answers = torch.stack([one.denoise(x, level, condition) for one in (*each, both)])
    return answers[condition.label.where(condition.label != NO_LABEL, 2), torch.arange(len(x))]


line = schedule.flow()
plan = compile(dpmpp(order=2)(grid.trailing(schedule.with_signal(line), 40)))
condition = Condition(label=torch.ones(samples, dtype=torch.int64))


def made(w, interval=(0.0, float("inf"))):
    guided = classifier_free(denoise, torch.full((samples,), w), interval)
    x = sample(guided, plan, keys(0, range(samples)), condition, (2, 1, 1))
    return x.flatten(1)


points = {f"w = {w:g}": made(w) for w in (1.0, scale)}
with charts.drawing("Samples of the right class") as (axes, chart):
    for number, (name, x) in enumerate(points.items()):
        axes.plot(*x[:500].T.tolist(), ".", color=charts.COLOUR[f"s{number}"], label=name, markersize=3)
    axes.plot(*means.flatten(1).T.tolist(), "x", color=charts.COLOUR["ink"], label="class means")
    axes.legend()
show(chart[0])

# %%
plain = points["w = 1"]
gap = float((plain.mean(0) - means[1].flatten()).abs().max())
error = abs(
    float(plain.std())
    - float(
        torch.cat(
            [
                means[1].flatten()[None]
                + spread
                * torch.randn(samples, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
            ]
        ).std()
    )
)
claim(
    "At w = 1 the samples have the class's own mean and spread.",
    gap < 0.05 and error < 0.05,
    f"means {gap:.3f} apart, spreads {error:.3f}",
)

# %% [markdown]
"""
## The way before: a classifier

By Bayes' rule the score of one class is that of all pictures plus the gradient of log p(y | x_t): where a
classifier of *noisy* pictures says that they look more like y (Dhariwal & Nichol 2021). The denoiser knows no
labels then, only the classifier does: D + w sigma^2 / alpha grad log p(y | x_t).

Here a small network learns to tell the classes apart at every level of noise, which it is told, as a
classifier of clean pictures would have nothing to say of noisy ones."""

# %%
draw = torch.Generator().manual_seed(0)
with torch.random.fork_rng():
    torch.manual_seed(0)
    tell = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.SiLU(), torch.nn.Linear(64, 2)).double()


def logits(x, level):
    """Of the classes. The network reads x and its level; the less of it is picture, the less it can say."""
    share = level.alpha / torch.hypot(level.alpha, level.sigma)
    return share[:, None] * tell(torch.cat([x.flatten(1), level.alpha[:, None], level.sigma[:, None]], 1))


steps = torch.optim.Adam(tell.parameters(), lr=1e-2)
for _ in range(600):
    y = torch.randint(0, 2, (512,), generator=draw)
    noise_of = [torch.randn(512, 2, 1, 1, generator=draw, dtype=torch.float64) for _ in range(2)]
    level = line.level(torch.rand(512, generator=draw, dtype=torch.float64))
    x_t = level.add(means[y] + spread * noise_of[0], noise_of[1])
    loss = torch.nn.functional.cross_entropy(logits(x_t, level), y)
    steps.zero_grad()
    loss.backward()
    steps.step()


def learned(x, level):
    """log p(y = 1 | x_t), as it was learned."""
    return logits(x, level).log_softmax(1)[:, 1]


def exactly(x, level):
    """log p(y = 1 | x_t), in closed form: both classes are equally likely."""
    return torch.stack([one.log_density(x, level) for one in each]).log_softmax(0)[1]


def classified(log_probability, w):
    guided = classifier(both.denoise, log_probability, torch.full((samples,), w))
    return sample(guided, plan, keys(0, range(samples)), Condition(), (2, 1, 1)).flatten(1)


by_classifier = classified(exactly, 1.0)
claim(
    "With the true classifier at w = 1, a denoiser without labels makes the very samples of the class.",
    float((by_classifier - plain).abs().max()) < 1e-5,
    f"the largest difference is {float((by_classifier - plain).abs().max()):.1g}",
)

# %%
reached = {w: float(classified(learned, w)[:, 0].mean()) for w in sorted({0.0, 1.0, scale})}
claim(
    "A learned classifier leads to its class, and further with more guidance.",
    abs(reached[1.0] - apart / 2) < 0.15 and all(a < b for a, b in pairwise(reached.values())),
    f"means {', '.join(f'{x:.2f} at w = {w:g}' for w, x in reached.items())}; the class is at {apart / 2:g}",
)

# %% [markdown]
"""
Classifier-free guidance took its place: it needs no second network, and no gradient of one at every step.

## The price

How far the mean is pushed away from the other class, and how wide the samples still are, by w.
"""

# %%
scales = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
runs = {w: made(w) for w in scales}
middle = [float(x[:, 0].mean()) for x in runs.values()]
wide = [float(x[:, 0].std()) for x in runs.values()]
show(
    charts.lines(
        "Mean and spread by guidance",
        [
            charts.Series("mean towards the class", scales, middle, points=True),
            charts.Series("spread", scales, wide, points=True),
        ],
        x="guidance w",
        y="in units of the data",
    )
)

# %%
claim(
    "More guidance pushes samples further from the other class, beyond the class's own mean.",
    all(a < b for a, b in pairwise(middle)) and middle[-1] > apart / 2,
    f"from {middle[0]:.2f} at 0 to {middle[-1]:.2f} at 6; the class is at {apart / 2:g}",
)

# %%
claim(
    "More guidance leaves less variety.",
    wide[-1] < wide[scales.index(1.0)],
    f"spread {wide[scales.index(1.0)]:.2f} at 1, {wide[-1]:.2f} at 6",
)

# %% [markdown]
"""
## In an interval

Guidance at low noise, where everything is decided already, costs variety and brings nothing; at the
highest noise it throws samples far out (Kynkaanniemi 2024). Guided only between, the same w is milder."""

# %%
inside = made(6.0, (0.3, 3.0))
claim(
    "Guided in an interval only, samples stay nearer to the class at the same w.",
    float(inside[:, 0].mean()) < middle[-1],
    f"mean {float(inside[:, 0].mean()):.2f} in the interval, {middle[-1]:.2f} everywhere",
)
