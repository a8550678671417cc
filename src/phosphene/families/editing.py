"""Editing: a picture changed by words.

by instruction    a model that was trained on pairs is shown the picture    (InstructPix2Pix, Brooks 2023)
by SDEdit         any other: the picture is noised, and made anew from there            (Meng 2022)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.noise import Between, Key
from phosphene.diffusion.plan import Plan
from phosphene.diffusion.schedule import Schedule
from phosphene.diffusion.sdedit import noised
from phosphene.families import opened
from phosphene.families.around import Around
from phosphene.families.asked import Asked
from phosphene.families.opened import Given
from phosphene.families.questions import Question, refuse_shown
from phosphene.families.ready import Ready
from phosphene.families.rows import Row, Texts, listed
from phosphene.families.shown import finishing
from phosphene.tasks.sight import Shown

STRENGTH = 0.5


@dataclass(frozen=True, eq=False)
class Noised(Around):
    """Sampling begins with this picture under noise. strength: sigma / (alpha + sigma), above 0 to 1."""

    picture: Float[Tensor, "c h w"]
    strength: float

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise ValueError(
                f"strength {self.strength}: give a share of noise above 0 (the picture itself) to 1 (nothing "
                "of it)"
            )

    def plan(self, asked: Asked, schedule: Schedule) -> Plan:
        return asked.plan(schedule, self.strength)

    def begin(
        self, plan: Plan, key: Key | Between, rows: Sequence[Row], shape: tuple[int, int, int]
    ) -> Float[Tensor, "b c h w"] | tuple[int, int, int]:
        """At strength 1 as plain sampling begins, whatever the schedule leaves of a picture."""
        if self.strength == 1:
            return shape
        picture = self.picture.to(key.seed.device).expand(len(rows), -1, -1, -1)
        return noised(plan, key, picture)

    def seen(self, rows: Sequence[Row], size: tuple[int, int], channels: int) -> Float[Tensor, "n c h w"]:
        return self.picture.expand(len(rows), -1, -1, -1)

    def describe(self) -> Mapping[str, Any]:
        return {"strength": self.strength}


def editing(ready: Ready, image: Given, strength: float | None, prompt: Texts) -> Question:
    """A picture that is changed. prompt: what is said of how.

    Raises ValueError for an option of the other way, and for a model that sees other pictures.
    """
    picture = opened.values(opened.fitted(opened.picture("image", image, ready.channels), ready.size))
    if ready.edits:
        if strength is not None:
            raise ValueError(
                f"strength {strength:g}: this model was trained for editing and sees the picture itself; "
                "leave it out, and say with image_guidance how much of it should stay"
            )
        said = [] if prompt is None else listed(prompt)
        if ready.task.text is not None and not any(text and text.strip() for text in said):
            empty = ": none is given" if prompt is None else f" {prompt!r}: no words"
            raise ValueError(f"prompt{empty}; say what to change, such as 'make the circle blue'")
        return Question(Shown(picture), finishing(ready))
    refuse_shown(ready, "editing")
    return Question(None, Noised(picture, STRENGTH if strength is None else strength))
