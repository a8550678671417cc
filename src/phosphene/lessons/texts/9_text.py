# %% [markdown]
"""
# Text: a picture that was asked for

A language model turns a caption into a state for each word. The U-Net attends to them: every place of the
picture looks at the words that matter to it.

Whether the picture is what was asked for can be decided exactly where pictures are drawn by a program:
phosphene's shapes come with captions, and an oracle reads the pictures back."""

# %% knobs
scenes = 50  # @param {type:"slider", min:10, max:400, step:10}
size = 64  # @param [32, 64]

# %% [markdown]
"""
## Scenes with captions
"""

# %%
import numpy as np
import torch
from PIL import Image

from phosphene.data.made.shapes import caption, claims, drawing, oracle
from phosphene.data.made.shapes.render import render
from phosphene.diffusion.condition import Condition
from phosphene.lessons import claim, show
from phosphene.networks.unet import UNet, UNetConfig
from phosphene.pages import blocks

rng = np.random.default_rng(0)
made = [drawing.scene(rng) for _ in range(scenes)]
pictures = [render(scene, size) for scene in made]
captions = [caption.say(claims.claim(scene, rng), rng) for scene in made]
show(blocks.gallery([Image.fromarray(p) for p in pictures[:8]], captions[:8], side=128))

# %%
right = sum(oracle.accepts(words, p).accepted for words, p in zip(captions, pictures, strict=True))
claim("The oracle accepts every picture for its own caption.", right == scenes, f"{right} of {scenes}")

# %%
wrong = sum(
    oracle.accepts(words, p).accepted for words, p in zip(captions[1:] + captions[:1], pictures, strict=True)
)
claim("It accepts next to none for another scene's caption.", wrong <= scenes // 10, f"{wrong} of {scenes}")

# %% [markdown]
"""
## How words reach the picture

Each word is a vector (random ones stand in for a language model here). A caption is a row of them, padded
to a common length, with a mask that says which count. A caption without any is the null, which guidance
compares with."""

# %%
vocabulary = sorted({word for words in captions for word in words.split()})
vectors = torch.randn(len(vocabulary), 24, generator=torch.Generator().manual_seed(0))


def condition(texts, length):
    tokens, mask = torch.zeros(len(texts), length, 24), torch.zeros(len(texts), length, dtype=torch.bool)
    for row, words in enumerate(texts):
        states = vectors[[vocabulary.index(word) for word in words.split()]]
        tokens[row, : len(states)], mask[row, : len(states)] = states, True
    return Condition(tokens=tokens, mask=mask)


torch.manual_seed(0)
network = UNet(UNetConfig(3, 3, widths=(16, 32), attention=(False, True), blocks=1, token_width=24)).eval()
for weight in network.parameters():
    torch.nn.init.normal_(weight, std=0.1) if weight.ndim > 1 else None
longest = max(len(words.split()) for words in captions)
x, t = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.full((2,), 500.0)
with torch.no_grad():
    short = network(x, t, condition(captions[:2], longest))
    padded = network(x, t, condition(captions[:2], longest + 9))
    swapped = network(x, t, condition(captions[1::-1], longest))
    null = network(x, t, condition(captions[:2], longest).null())
gap = float((short - padded).abs().max() / short.abs().max())
claim("How far a caption is padded does not matter.", gap < 1e-5, f"relative difference {gap:.0e}")

# %%
change = float((short - swapped).abs().max() / short.abs().max())
claim("Another caption is another answer.", change > 1e-3, f"relative difference {change:.3f}")

# %%
change = float((null[0] - network(x, t, Condition()).detach()[0]).abs().max())
claim("A caption without words is the same as none.", change < 1e-5, f"{change:.0e}")

# %% [markdown]
"""
## Why one state a word

A caption squeezed into one vector, the mean of its words, no longer says which colour belongs to which
thing. Two captions with the same words in another order have the same mean, and other states only if the
language model marks who belongs to whom: that is why a real one is used, and why the states, not their
mean, go in."""

# %%
a, b = "a red circle above a blue square", "a blue circle above a red square"
words = sorted(set(a.split()))
states = dict(zip(words, torch.randn(len(words), 8, generator=torch.Generator().manual_seed(0)), strict=True))
mean_a, mean_b = (torch.stack([states[word] for word in text.split()]).mean(0) for text in (a, b))
gap = float((mean_a - mean_b).abs().max())
claim("The means of these two captions are equal.", gap < 1e-6, f"difference {gap:.0e}")
