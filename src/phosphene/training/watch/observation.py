"""What a run tells its watch: plain numbers, so that what was told can be kept in a checkpoint."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.recipes.settings import Recipe

Floats = tuple[float, ...]


class About(NamedTuple):
    """What a run's recipe and data say.

    pictures: to train on. warmup: steps. decay: share of the run. ema: lengths of the averages, the shipped
    first. dropout: of the network. rank: of the change of a model that is learned, if it is only that.
    captions: of the pictures, where the network hears any; without, its layers for them learn nothing.
    """

    pictures: int
    batch: int
    learning_rate: float
    clip: float
    warmup: int
    decay: float
    ema: Floats
    dropout: float
    rank: int | None = None
    captions: bool = True


def about(recipe: Recipe, pictures: int, captions: bool) -> About:
    s = recipe.training
    return About(
        pictures,
        s.batch,
        s.learning_rate,
        s.clip,
        s.warmup,
        s.decay,
        s.ema,
        recipe.network.dropout,
        recipe.base.rank,
        captions or recipe.data.text is None,
    )


class Step(NamedTuple):
    """What every step tells.

    loss: mean of the batch. gradient: its norm before it is clipped; not finite if a scaled loss overflowed.
    scale: of the loss, after the step. rate: share of the learning rate. seconds: of the step, waited: of
    those, in which it waited for data. total: steps of the whole run as far as can be told, or NaN.
    lowest, highest, mean, deviation: of the pictures' values as the loader gave them. constant: share of
    pictures that are one value. checksum: of the pictures and their order.
    """

    loss: float
    gradient: float
    scale: float
    rate: float
    seconds: float
    waited: float
    total: float
    lowest: float
    highest: float
    mean: float
    deviation: float
    constant: float
    checksum: float


class Layers(NamedTuple):
    """What the weights tell now and then, by name. Matrices are weights of two or more dimensions but tables.

    matrices: how many there are. rate: share of the learning rate. change: |update| / |weight|, the median
    over the matrices. vanished: those whose gradient is too small for an optimizer. dead: those in which many
    units have no gradient at all.
    """

    matrices: int
    rate: float
    change: float
    vanished: tuple[str, ...]
    dead: tuple[str, ...]


class HeldOut(NamedTuple):
    """Mean losses at each noise level, under fixed noise.

    levels: sigma / alpha. averaged: of the averaged weights on held-out pictures. behind: by how much they
    are worse there than the weights as they are, picture by picture. training: of the averaged weights on
    training pictures. behind_error, training_error: standard errors of behind and of averaged - training.
    """

    levels: Floats
    averaged: Floats
    behind: Floats
    behind_error: Floats
    training: Floats
    training_error: Floats


class Samples(NamedTuple):
    """Statistics of fresh samples and of real pictures.

    pictures: how many were made. mean, deviation: of all values of a channel. real_between: the deviation,
    over real pictures, of a picture's mean, the unit in which drift is told. spread: the root mean square
    distance of two samples over that of two real pictures; apart: the median distance of a sample to the one
    nearest to it over that of as many real pictures. copied: the share of samples that are copies of training
    pictures, and of held-out pictures that look so (NaN: not looked for). nearest: training pictures that
    were copied, by name.
    """

    pictures: int
    mean: Floats
    real_mean: Floats
    deviation: Floats
    real_deviation: Floats
    real_between: Floats
    spread: float
    apart: float
    copied: float
    copied_real: float
    nearest: tuple[str, ...]


class Observation(NamedTuple):
    """What is told at once. step: how many are done, as in the log."""

    step: int
    training: Step | None = None
    layers: Layers | None = None
    held_out: HeldOut | None = None
    samples: Samples | None = None


def samples(
    made: Float[Tensor, "n c h w"],
    real: Float[Tensor, "m c h w"],
    copied: float | None = None,
    copied_real: float | None = None,
    nearest: tuple[str, ...] = (),
) -> Samples:
    """The statistics of samples beside real pictures, values about [-1, 1], at least two of each."""
    made, real = made.double().cpu(), real.double().cpu()
    own, equal = real.mean((2, 3)), min(len(made), len(real))
    return Samples(
        len(made),
        tuple(made.mean((0, 2, 3)).tolist()),
        tuple(own.mean(0).tolist()),
        tuple(made.std((0, 2, 3)).tolist()),
        tuple(real.std((0, 2, 3)).tolist()),
        tuple(own.std(0).tolist()),
        spread(made) / max(spread(real), 1e-9),
        apart(made[:equal]) / max(apart(real[:equal]), 1e-9),
        math.nan if copied is None else copied,
        math.nan if copied_real is None else copied_real,
        nearest,
    )


def spread(pictures: Float[Tensor, "n c h w"]) -> float:
    """The root mean square distance a value of two different pictures: twice the variance of each value."""
    return math.sqrt(2 * float(pictures.var(0).mean()))


def apart(pictures: Float[Tensor, "n c h w"]) -> float:
    """The median, over pictures, of the root mean square distance a value to the nearest other one."""
    rows = pictures.flatten(1)
    distances = torch.cdist(rows, rows).fill_diagonal_(math.inf)
    return float(distances.amin(1).median()) / math.sqrt(rows.shape[1])


def held_out(
    levels: Floats,
    everything: Float[Tensor, "l m"],
    averaged: Float[Tensor, "l n"],
    live: Float[Tensor, "l n"],
    training: Float[Tensor, "l k"],
) -> HeldOut:
    """Of losses by level and picture: the averaged weights' on all held-out pictures and on some, the live
    weights' on the same under the same noise, and the averaged weights' on training pictures."""

    def error(losses: Tensor) -> Tensor:
        return losses.std(1, correction=0) / math.sqrt(losses.shape[1])

    return HeldOut(
        levels,
        tuple(everything.mean(1).tolist()),
        tuple((averaged - live).mean(1).tolist()),
        tuple(error(averaged - live).tolist()),
        tuple(training.mean(1).tolist()),
        tuple(torch.hypot(error(everything), error(training)).tolist()),
    )
