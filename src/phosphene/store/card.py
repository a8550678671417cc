"""The model card: what a model is, where it comes from and how to use it, for people."""

from pathlib import Path

from phosphene.recipes.settings import Recipe
from phosphene.store.adapter import AdapterHeader
from phosphene.store.clip import ClipHeader
from phosphene.store.model import AnyHeader, Header, Model, called
from phosphene.version import __version__

MODES = {1: "grey", 3: "RGB", 4: "RGBA"}


ASK = {
    "inpainting": 'inpaint("picture.png", "mask.png", seed=0{more})',
    "super_resolution": 'upscale("picture.png", seed=0{more})',
    "colouring": 'restore("picture.png", seed=0{more})',
    "deblurring": 'restore("picture.png", seed=0{more})',
    "denoising": 'restore("picture.png", seed=0{more})',
    "editing": 'edit("picture.png", prompt="...", seed=0)',
}


def write(header: AnyHeader, recipe: Recipe, pictures: int, weights: int) -> str:
    """Markdown. pictures: how many it learned from; weights: how many the network has."""
    if isinstance(header, ClipHeader):
        return _clip(header, recipe, pictures, weights)
    assert isinstance(header, Header)
    origin = header.provenance
    assert origin is not None
    diffusion = header.diffusion
    classes = f"\nIts classes: {', '.join(header.classes)}.\n" if header.classes else ""
    label = f", label={header.classes[0]!r}" if header.classes else ""
    heard = (
        f"\nIt takes prompts, which it hears through the text encoder {Path(header.text.name).name} "
        f"(weights `{header.text.fingerprint[:16]}`).\n"
        if header.text
        else ""
    )
    label += ', prompt="..."' if header.text else ""
    ask = ASK.get(header.task.kind, "sample(16, seed=0{more})").format(more=label)
    return f"""---
library_name: phosphene
tags: [image-generation, diffusion]
---

# A generator of {header.size}x{header.size} {MODES[header.channels]} pictures

Made with phosphene {origin.version} from the {pictures:,} pictures of `{origin.data}`.
{classes}{heard}
| | |
|---|---|
| recipe | {recipe.name}: {recipe.summary} |
| weights | {weights:,} |
| diffusion | schedule {diffusion.schedule}, the network predicts {diffusion.prediction} |
| training | {origin.step:,} steps, {origin.images:,} pictures seen, {origin.seconds:,.0f} s |
| seed | {origin.seed} |
| task | {header.task.kind.replace("_", "-")} |
| sampling | {header.sampling.solver}, {header.sampling.steps} steps |
| data | fingerprint `{origin.fingerprint[:16]}` |

```python
import phosphene

generator = phosphene.load("path/to/this/folder")
generator.{ask}
```

The pictures it makes resemble those it learned from, faults and biases included; few or repeated training
pictures may be reproduced. Nobody has checked it for any other use. The licence of the training pictures
applies to what is made of them.
"""


def of_adapter(header: AdapterHeader, recipe: Recipe, pictures: int, weights: int) -> str:
    """Markdown. pictures: how many it learned from; weights: how many its factors have."""
    origin = header.provenance
    assert origin is not None
    return f"""---
library_name: phosphene
tags: [image-generation, diffusion, lora]
---

# An adapter of {header.base}

Made with phosphene {origin.version} from the {pictures:,} pictures of `{origin.data}`. It changes the weights
of the model {header.base} (`{header.fingerprint[:16]}`), without which it does nothing.

| | |
|---|---|
| recipe | {recipe.name}: {recipe.summary} |
| change | of rank {header.rank}, times {header.alpha:g} / {header.rank}; {weights:,} weights |
| pictures | {header.size}x{header.size} {MODES[header.channels]} |
| training | {origin.step:,} steps, {origin.images:,} pictures seen, {origin.seconds:,.0f} s |
| seed | {origin.seed} |
| data | fingerprint `{origin.fingerprint[:16]}` |

```python
import phosphene

generator = phosphene.load("path/to/{header.base}", adapters={{"path/to/this/folder": 1.0}})
generator.sample(16, seed=0)
```

It learned from few pictures, which may be reproduced. Nobody has checked it for any other use. The licences
of the model and of the training pictures apply to what is made with it.
"""


def of_merged(model: Model, base: str) -> str:
    """Markdown, of a model into which adapters were merged."""
    rows = "\n".join(
        f"| {called(Path(one.place))} | {one.weight:g} | `{one.fingerprint[:16]}` |" for one in model.adapters
    )
    size, channels = model.header.size, MODES[model.header.channels]
    return f"""---
library_name: phosphene
tags: [image-generation, diffusion]
---

# A generator of {size}x{size} {channels} pictures

Made with phosphene {__version__}: the model {base} with these adapters merged into its weights.

| adapter | weight | of its file |
|---|---|---|
{rows}

```python
import phosphene

generator = phosphene.load("path/to/this/folder")
generator.sample(16, seed=0)
```

Nobody has checked it for any other use. The licences of the model and of all training pictures apply to what
is made of them.
"""


def _clip(header: ClipHeader, recipe: Recipe, pictures: int, weights: int) -> str:
    origin = header.provenance
    assert origin is not None
    figures = "".join(f"| {name} | {value:.4g} |\n" for name, value in origin.measured.items())
    return f"""---
library_name: phosphene
tags: [clip, zero-shot-image-classification]
---

# A CLIP for {header.size}x{header.size} {MODES[header.channels]} pictures

Made with phosphene {origin.version} from the {pictures:,} pictures of `{origin.data}` and their captions,
which it hears through the text encoder {Path(header.text.name).name} (weights
`{header.text.fingerprint[:16]}`).

| | |
|---|---|
| recipe | {recipe.name}: {recipe.summary} |
| weights | {weights:,} |
| training | {origin.step:,} steps, {origin.images:,} pictures seen, {origin.seconds:,.0f} s |
| seed | {origin.seed} |
| data | fingerprint `{origin.fingerprint[:16]}` |
{figures}
```python
import phosphene

clip = phosphene.load("path/to/this/folder")
clip.search("pictures/", "red circle")
```

It knows what was said of its training pictures and nothing else. A picture that it has ranked or guided is
not to be judged by it.
"""
