"""Guidance by a CLIP: any generator is led towards what a text says, also one that never heard a text.

At every level the similarity of x0_hat to the prompt is followed uphill (`diffusion.guidance.towards`); what
the generator itself understands of a prompt, and guidance by it, goes on inside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.guidance import towards
from phosphene.families.around import PLAIN, Around, Steer
from phosphene.families.clip import Clip, opened
from phosphene.families.diffusion import Diffusion
from phosphene.families.restoring import frozen
from phosphene.families.rows import Row

STRENGTH = 100.0


@dataclass(frozen=True)
class Guided(Around):
    """texts: what each picture is led towards, by its number; None, but not all of them, is led nowhere.
    strength: pictures are made as if those of similarity s were e^(strength s) times as frequent."""

    clip: Clip
    texts: Mapping[int, str | None]
    strength: float = STRENGTH
    derives: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not abs(self.strength) < float("inf"):
            raise ValueError(
                f"clip_strength {self.strength}: give a number; 0 is none, {STRENGTH:g} is usual"
            )
        self.clip.embed_texts(self.said, "prompt")  # what cannot be asked is said now

    @property
    def said(self) -> list[str]:
        """All texts, each once."""
        return list(dict.fromkeys(text for text in self.texts.values() if text is not None))

    def guide(self, family: Diffusion, steer: Steer, rows: Sequence[Row]) -> Denoise:
        said = [self.texts[row.number] for row in rows]
        liking = self.clip.liking([text or self.said[0] for text in said])
        strength = torch.tensor([0.0 if text is None else self.strength for text in said])
        return towards(steer(frozen(family)), liking, strength.to(self.clip.device))

    def describe(self) -> dict[str, Any]:
        """What a picture's file says of it."""
        return {
            "clip": str(self.clip.folder),
            "clip_model": self.clip.fingerprint,
            "clip_strength": self.strength,
        }


def guided(
    clip: Clip | Path | str,
    strength: float | None,
    numbers: Sequence[int],
    texts: Sequence[str | None],
    around: Around,
    device: str,
) -> Guided:
    """What is asked of guidance. Raises ValueError where no picture has a prompt, or something else goes
    around sampling already."""
    if around is not PLAIN:
        raise ValueError(f"clip: not together with {type(around).__name__.lower()}; leave one out")
    if all(text is None for text in texts):
        raise ValueError("clip: it leads towards a prompt; give one")
    by_number = dict(zip(numbers, texts, strict=True))
    return Guided(opened(clip, device), by_number, STRENGTH if strength is None else strength)
