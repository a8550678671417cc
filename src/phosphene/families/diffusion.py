"""Diffusion: one network that denoises, and the settings that give its answers their meaning.

    loss = w(level) |x0 - x0_hat|^2 = w(level) out^2 |target - net|^2, the mean over a picture's values.

With a learned variance the network also says f; its part of the loss is the bound's term for the reverse
step, with the mean held fixed (Nichol & Dhariwal 2021, section 3.1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phosphene.diffusion import density, noise
from phosphene.diffusion.ancestral import posterior
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.denoiser import Denoise, denoiser, split
from phosphene.diffusion.level import Level, like
from phosphene.diffusion.prediction import (
    NEED_SIGNAL,
    PREDICTIONS,
    Prediction,
    hear_log_ratio,
    hear_timestep,
)
from phosphene.diffusion.schedule import SCHEDULES, Schedule, with_signal
from phosphene.diffusion.weight import WEIGHTS
from phosphene.families.family import Batch
from phosphene.recipes.settings import DiffusionSettings


@dataclass(frozen=True)
class Diffusion:
    """A network and the diffusion it was made for. network(x, noise, condition) says what is predicted."""

    network: nn.Module
    settings: DiffusionSettings
    whole = False

    def with_network(self, network: nn.Module) -> "Diffusion":
        """The same diffusion around another network (averaged weights, a data-parallel wrapper)."""
        return replace(self, network=network)

    def answer(
        self, network: nn.Module, x: Float[Tensor, "b c h w"], condition: Condition
    ) -> Float[Tensor, "b c_out h w"]:
        return network(x, x.new_zeros(len(x)), condition)

    @cached_property
    def schedule(self) -> Schedule:
        return SCHEDULES[self.settings.schedule]()

    @cached_property
    def walked(self) -> Schedule:
        """The schedule as sampling grids walk it: as far as the prediction says something of x0."""
        return with_signal(self.schedule) if self.settings.prediction in NEED_SIGNAL else self.schedule

    @cached_property
    def prediction(self) -> Prediction:
        # EDM's noise levels have no time of their own.
        heard = hear_log_ratio if self.settings.schedule == "edm" else hear_timestep(self.schedule)
        return PREDICTIONS[self.settings.prediction](heard)

    @property
    def denoise(self) -> Denoise:
        return denoiser(self.network, self.prediction)

    def levels(self, batch: Batch) -> Level:
        """The levels that a batch is trained at: a function of its key and step."""
        s, key = self.settings, batch.key
        if s.strata:
            # One number for the whole batch, whichever part of it this is.
            whole = noise.Key(key.seed[:1], torch.zeros_like(key.picture[:1]))
            u = density.strata(noise.uniform(whole, batch.step)[0], key.picture, batch.total)
        else:
            u = noise.uniform(key, batch.step)
        return densities(s)(self.schedule, u)

    def loss(self, player: str, batch: Batch) -> Float[Tensor, " b"]:
        assert player == "network"
        level = self.levels(batch)
        eps = noise.normal(batch.key, batch.step, tuple(batch.x0.shape[1:])).to(batch.x0)
        return self.loss_at(batch, level, eps)

    def loss_at(self, batch: Batch, level: Level, eps: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        """The loss of each row at given levels, with given noise."""
        x = level.add(batch.x0, eps)
        at = self.prediction(level)
        said = self.network(like(at.inp, x) * x, at.noise.to(x), batch.condition).float()
        said, variance = split(said, x)
        error = ((said - at.target(batch.x0, x)) ** 2).flatten(1).mean(1)
        weight = WEIGHTS[self.settings.weight](level, at) * at.out**2
        loss = weight.to(error) * error
        if variance is None:
            return loss
        x0_hat = like(at.skip, x) * x + like(at.out, x) * said.detach()
        return loss + self._variance_bound(batch.x0, x0_hat, level, (variance + 1) / 2)

    def _variance_bound(self, x0: Tensor, x0_hat: Tensor, level: Level, fraction: Tensor) -> Tensor:
        """KL(q(x_s | x_t, x0) | p(x_s | x_t)) in bits per value, x_s one step before, scaled by T / 1000."""
        schedule = self.schedule
        assert schedule.steps is not None, "a learned variance belongs to a discrete schedule"
        s = schedule.level((schedule.time(level.ratio) - 1 / schedule.steps).clamp(min=0))
        q = posterior(level, s)
        # At the last step beta_tilde is 0; as in the authors' code, that of the step before stands in.
        two, one = (schedule.level(torch.full_like(level.alpha[:1], k / schedule.steps)) for k in (2, 1))
        small = torch.maximum(q.small, posterior(two, one).small)
        low, high = like(small.log(), x0), like(q.large.log(), x0)
        log_variance = low + fraction * (high - low)
        gap = (like(q.of_x0, x0) * (x0 - x0_hat)) ** 2
        kl = (log_variance - low + (low - log_variance).exp() + gap * (-log_variance).exp() - 1) / 2
        return kl.flatten(1).mean(1) / math.log(2) * schedule.steps / 1000

    def explain(self, batch: Batch, row: int) -> str:
        return f"noise level sigma / alpha = {float(self.levels(batch).ratio[row]):.4g}"


def densities(settings: DiffusionSettings) -> density.Density:
    """The time density that settings name."""
    mean, std = settings.density_mean, settings.density_std
    return {
        "uniform": density.uniform,
        "log_normal": density.log_normal(mean, std),
        "logit_normal": density.logit_normal(mean, std),
    }[settings.density]


def quantile_levels(family: Diffusion, count: int) -> Level:
    """Levels that split the training density into equal parts: where held-out losses are measured."""
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return densities(family.settings)(family.schedule, u)


def held_out_losses(family: Diffusion, parts: Sequence[Batch], levels: Level) -> Float[Tensor, " levels"]:
    """The mean loss at each level over batches, under noise fixed by the batches' keys."""
    return losses_by_picture(family, parts, levels).mean(1)


def losses_by_picture(
    family: Diffusion, parts: Sequence[Batch], levels: Level
) -> Float[Tensor, "levels pictures"]:
    """The loss of each picture of the batches at each level, in float64 on the CPU; noise as above."""
    rows = []
    for part in parts:
        for i in range(len(levels.alpha)):
            level = levels.rows(torch.full((len(part.x0),), i)).to(part.x0.device)
            eps = noise.normal(part.key, i, tuple(part.x0.shape[1:])).to(part.x0)
            rows.append(family.loss_at(part, level, eps).double().cpu())
    count = len(levels.alpha)
    return torch.stack([torch.cat(rows[i::count]) for i in range(count)])
