"""What goes around sampling: a question to a model is its requests, and what is done around the sampler.

    asked     how pictures are made unless the caller says otherwise: a solver that suits the question
    plan      what is run of the solver's steps
    key       whose randomness
    begin     where sampling begins: pure noise, or a noised picture at a level further on
    whole     a network's denoiser as one of the pictures that are made, which may be larger
    guide     the denoiser with what is known or wanted around it
    finish    what was made, with what is exactly known in it

Each does nothing here; a kind of question is a frozen dataclass that changes some of them. What the network
itself is shown of a picture is a part of the request (`tasks`), so that training and requests agree.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.diffusion.denoiser import Denoise
from phosphene.diffusion.noise import Between, Key, keys
from phosphene.diffusion.plan import Plan
from phosphene.diffusion.schedule import Schedule
from phosphene.families.asked import Asked
from phosphene.families.diffusion import Diffusion
from phosphene.families.rows import Row
from phosphene.tasks.sight import face

Steer = Callable[[Denoise], Denoise]


def key_of(seed: int, rows: Sequence[Row]) -> Key:
    """Each row's own randomness."""
    return keys(seed, [row.number for row in rows])


class Around:
    """Plain sampling: nothing around it."""

    derives: ClassVar[bool] = False
    """Whether `guide` asks the network for derivatives: it is then run as it was written, not compiled."""

    def refuse_for(self, channels: int, size: int) -> None:
        """Raises ValueError if a model of such pictures cannot be asked this."""

    def asked(self, asked: Asked) -> Asked:
        """The model's own way of making pictures, changed to one that suits."""
        return asked

    def plan(self, asked: Asked, schedule: Schedule) -> Plan:
        """What is run. Raises ValueError for an option that the solver lacks."""
        return asked.plan(schedule)

    def key(self, seed: int, rows: Sequence[Row]) -> Key | Between:
        """The randomness of these rows."""
        return key_of(seed, rows)

    def begin(
        self, plan: Plan, key: Key | Between, rows: Sequence[Row], shape: tuple[int, int, int]
    ) -> Float[Tensor, "b c h w"] | tuple[int, int, int]:
        """Where the plan starts for these rows: pictures at its first level, or the shape of one, for pure
        noise."""
        return shape

    def whole(self, denoise: Denoise) -> Denoise:
        """A network's denoiser, the model's own or a weaker one's, as one of the pictures that are made."""
        return denoise

    def guide(self, family: Diffusion, steer: Steer, rows: Sequence[Row]) -> Denoise:
        """The family's denoiser with guidance (`steer`) and all else around it, for these rows."""
        return steer(self.whole(family.denoise))

    def finish(self, made: Float[Tensor, "b c h w"], rows: Sequence[Row]) -> Float[Tensor, "b c h2 w2"]:
        """What is made of the last x, on the CPU."""
        return made

    def seen(
        self, rows: Sequence[Row], size: tuple[int, int], channels: int
    ) -> Float[Tensor, "n c h w"] | None:
        """What each picture of so many pixels was made from, to be looked at; None if from nothing."""
        shown = [row.request.shown for row in rows]
        faces = [face(one, channels, size) for one in shown if one is not None]
        return torch.stack(faces) if faces else None

    def describe(self) -> Mapping[str, Any]:
        """What a picture's file says of it."""
        return {}


PLAIN = Around()
