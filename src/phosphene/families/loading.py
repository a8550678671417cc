"""What `phosphene.load` gives: a generator, or of a CLIP's folder a CLIP."""

from pathlib import Path
from typing import Any

from phosphene.families import clip
from phosphene.families.adapting import Adapters
from phosphene.families.generator import Generator
from phosphene.families.generator import load as load_generator
from phosphene.store import cascade


def load(
    place: Path | str,
    device: str = "auto",
    ema: float | None = None,
    precision: str = "auto",
    best: bool = False,
    text: Path | str | None = None,
    adapters: Adapters | None = None,
) -> Generator | Any:
    """The generator of a run or model folder, or of diffusers' folder of a UNet2DModel or its pipeline; of a
    run of the recipe clip, or of a folder of `transformers` with a CLIP or SigLIP, a `phosphene.Clip`.

    ema: the length of an average of the weights; None takes the one that was trained to be shipped.
    precision: of products and convolutions, auto, fp32, bf16 or fp16; sums and solvers are float32 always,
    and so is a CLIP. best: of a run, the model that measured best in training instead of the last one.
    text: where the text encoder is now that the model was trained with, if it has moved.
    adapters: of a generator, each with how much of it, {"runs/ink": 1, "runs/snow": 0.5}; they add up. One
    that was learned on other weights of the same shape is warned of.
    Raises ValueError for what is not one, or is damaged, and for a length that it does not hold.
    """
    if cascade.find(place) is None and clip.is_clip(place, best):
        if adapters:
            raise ValueError(f"adapters: {place} is a CLIP, of which there are none; leave them out")
        return clip.load(place, device, ema, best, text)
    return load_generator(place, device, ema, precision, best, text, adapters)
