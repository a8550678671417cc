"""Restoring: pictures that measure as a given one does, by a model that was not trained for it.

    mmps       by the model's own covariance, exact for Gaussian data; four backward passes an evaluation
    pigdm      by one covariance for all pictures: one backward pass an evaluation
    repaint    what is known put in, noise gone through again and again: no backward pass, many evaluations

A question to the model like any other: what is known goes around the denoiser, the rest is the sampler's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from phosphene.diffusion import restoration
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise, denoiser
from phosphene.diffusion.measurement import Measurement
from phosphene.families.around import Around, Steer
from phosphene.families.asked import Asked, known
from phosphene.families.diffusion import Diffusion
from phosphene.families.rows import Row

Method = Literal["mmps", "pigdm", "repaint"]
LEAST = 1 / 256  # half of a byte's bin: the noise that mmps and pigdm assume where none is told


@dataclass(frozen=True)
class Restoring(Around):
    """picture: y, what was measured, values in [-1, 1]; under a mask, 0 where nothing is known.

    noise: the deviation of the noise on y; 0 says that y is exact, and that what is made shall measure the
    same, up to rounding. repaint takes no other.
    """

    measurement: Measurement
    picture: Float[Tensor, "c2 h2 w2"]
    method: str = "pigdm"
    noise: float = 0.0
    derives: ClassVar[bool] = True

    def __post_init__(self) -> None:
        known("method", self.method, get_args(Method))
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise {self.noise}: give a deviation, 0 or more; 0 is an exact measurement")
        if self.noise and self.method == "repaint":
            raise ValueError(f"noise {self.noise}: repaint takes none; mmps and pigdm do")

    def refuse_for(self, channels: int, size: int) -> None:
        """Raises ValueError if y is not what pictures of a model measure."""
        seen = self.measurement.apply(torch.zeros(1, channels, size, size)).shape[1:]
        if self.picture.shape != seen:
            given, taken = ("x".join(map(str, shape)) for shape in (self.picture.shape, seen))
            raise ValueError(f"picture: {given} values, but this model and measurement take {taken}")

    def asked(self, asked: Asked) -> Asked:
        """The model's own way of making pictures, with a solver that restores well: fresh noise mends what a
        network's derivatives, which nobody trained, do wrong (LOG.md)."""
        solver, steps = ("repaint", 50) if self.method == "repaint" else ("dpmpp_2m_sde", 25)
        return replace(asked, solver=solver, steps=steps, eta=None, churn=None)

    def guide(self, family: Diffusion, steer: Steer, rows: Sequence[Row]) -> Denoise:
        """Guidance is of what the model says by itself; what is known goes around that."""
        denoise = steer(frozen(family))
        y = self.picture[None]
        if self.method == "repaint":
            denoise = restoration.known(denoise, self.measurement, y)
        else:
            way = restoration.mmps if self.method == "mmps" else restoration.pigdm
            denoise = way(denoise, self.measurement, y, max(self.noise, LEAST))
        return denoise

    def finish(self, made: Float[Tensor, "b c h w"], rows: Sequence[Row]) -> Float[Tensor, "b c h w"]:
        """What is exactly known, exactly, in values that files hold."""
        return made if self.noise else restoration.projected(made, self.measurement, self.picture[None])

    def seen(self, rows: Sequence[Row], size: tuple[int, int], channels: int) -> Float[Tensor, "n c h w"]:
        """What was measured, grey where that is luma; else the least picture that measures so."""
        y = self.picture[None].float()
        of_colours = y.shape[1] == 1 < channels
        shown = y.expand(-1, channels, -1, -1) if of_colours else self.measurement.fit(y)
        return shown.expand(len(rows), -1, -1, -1)

    def describe(self) -> dict[str, Any]:
        """What a picture's file says of it."""
        return {"restored": self.method, "noise": self.noise}


def frozen(family: Diffusion) -> Denoise:
    """The family's denoiser with weights that no backward pass goes to: it only goes to pictures."""
    network = family.network
    weights = {name: weight.detach() for name, weight in network.named_parameters()}

    def call(x: Tensor, noise: Tensor, condition: Condition) -> Tensor:
        return functional_call(network, weights, (x, noise, condition))

    return denoiser(call, family.prediction)
