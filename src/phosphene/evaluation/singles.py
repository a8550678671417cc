"""Figures that are means over pictures, or that compare pictures with pictures: losses, bits per dimension,
copies, colour, speed. Means keep their values (`each`), so that two runs can be compared picture by picture.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from phosphene.evaluation import subject as ways
from phosphene.evaluation.record import Better, Figure, LevelLoss, Near, Pictures
from phosphene.evaluation.sets import Chosen, Sets, chosen
from phosphene.evaluation.subject import Samples, Subject
from phosphene.families.diffusion import quantile_levels
from phosphene.measures import likelihood
from phosphene.measures.colour import colour
from phosphene.measures.features.encoder import Encoder
from phosphene.measures.interval import around
from phosphene.measures.memorisation import Memorised, memorisation, views
from phosphene.measures.names import named
from phosphene.measures.nearness import psnr

MEASURED = 256  # pictures of each side whose losses are measured
TRAINING = 50_000  # training pictures among which copies are searched for
SHOWN = 24  # samples whose nearest training picture is told


class Found(NamedTuple):
    """What a job found: figures, and what else goes into the evaluation."""

    figures: tuple[Figure, ...] = ()
    levels: tuple[LevelLoss, ...] = ()
    nearest: tuple[Near, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


def mean_of(
    name: str,
    values: Float64[np.ndarray, " n"],
    better: Better,
    about: str,
    function: Callable[..., object],
    begun: float,
    reference: Pictures,
    floored: float | None = None,
    **arguments: int | float | str,
) -> Figure:
    """The mean over pictures, with the interval of a mean."""
    whole = around(float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5, len(values) - 1)
    return Figure(
        name=name,
        value=whole.value,
        low=whole.low,
        high=whole.high,
        floor=floored,
        better=better,
        about=about,
        function=f"{function.__module__}.{function.__qualname__}",
        arguments=arguments,
        reference=reference,
        each=tuple(values.tolist()),
        seconds=time.perf_counter() - begun,
    )


def evenly(subject: Subject, held_out: bool, most: int) -> Chosen:
    """So many held-out or training pictures at even distances, the same for every run on the data."""
    data = subject.data
    numbers = data.held_out if held_out else data.training
    count = min(most, len(numbers))
    picked = numbers[np.arange(count) * len(numbers) // count]
    return chosen(data.dataset, picked, "held-out" if held_out else "training", 0)


def losses(subject: Subject) -> Found:
    """The loss on held-out pictures, and on as many training pictures, by noise level."""
    begun = time.perf_counter()
    unseen = evenly(subject, True, MEASURED)
    seen = evenly(subject, False, len(unseen.pictures))
    out, own = (ways.held_out_losses(subject, some) for some in (unseen, seen))
    ratios = quantile_levels(subject.generator.family, ways.LEVELS).ratio.tolist()
    figure = mean_of(
        "held-out loss",
        out.mean(1),
        "lower",
        "the training loss on pictures never trained on; floor: on training pictures",
        ways.held_out_losses,
        begun,
        unseen.record,
        float(own.mean()),
        levels=ways.LEVELS,
    )
    levels = [
        LevelLoss(ratio=ratio, held_out=a, training=b)
        for ratio, a, b in zip(ratios, out.mean(0).tolist(), own.mean(0).tolist(), strict=True)
    ]
    return Found((figure,), levels=tuple(levels))


@torch.no_grad()
def bound(subject: Subject) -> Found:
    """Bits per dimension of held-out pictures by the ELBO."""
    begun = time.perf_counter()
    some = evenly(subject, True, subject.options.likelihood)
    denoise, grid = subject.generator.family.denoise, subject.grid
    bits = [
        likelihood.elbo(denoise, pixels, grid, condition, key).total.cpu()
        for pixels, condition, key in subject.batches(some)
    ]
    return Found(
        (
            mean_of(
                "bits/dim (ELBO)",
                np.concatenate([part.numpy() for part in bits]),
                "lower",
                "upper bound on the bits that a value of a held-out picture takes; 8 is no model",
                likelihood.elbo,
                begun,
                some.record,
                levels=ways.GRID,
                from_ratio=subject.span[1],
                to_ratio=subject.span[0],
            ),
        )
    )


def flow(subject: Subject) -> Found:
    """Bits per dimension of held-out pictures by the probability flow, its divergence estimated."""
    begun = time.perf_counter()
    some = evenly(subject, True, subject.options.flow)
    tolerance = subject.options.tolerance
    solved = [
        likelihood.flow_bits_of_bytes(
            subject.generator.family.denoise, pixels, condition, key, subject.span, tolerance, 0
        )
        for pixels, condition, key in subject.batches(some)
    ]
    return Found(
        (
            mean_of(
                "bits/dim (ODE)",
                np.concatenate([part.bits.cpu().numpy() for part in solved]),
                "lower",
                "the same by the probability flow, which is tighter",
                likelihood.flow_bits_of_bytes,
                begun,
                some.record,
                tolerance=tolerance,
                evaluations=sum(part.evaluations for part in solved),
                exact_below=0,
                from_ratio=subject.span[0],
                to_ratio=subject.span[1],
            ),
        )
    )


def too_few(held_out: int, pictures: int) -> str:
    """Why there is no figure of memorisation, and how another run would have one where it can."""
    share = math.ceil(3000 / pictures) / 100  # 30 of them, as the split, by hash, is uneven
    remedy = f": train with --set data.held_out={share:g}" if share <= 0.5 else ""
    return f"{held_out} held-out pictures; at least 20 are needed{remedy}"


def copies(subject: Subject, samples: Samples, encoder: Encoder) -> Found:
    """Memorisation on an encoder's features, and the training pictures nearest to samples."""
    begun = time.perf_counter()
    data = subject.data
    numbers = np.sort(np.random.default_rng([subject.options.seed, 1]).permutation(data.training)[:TRAINING])
    training = chosen(data.dataset, numbers, "training", subject.options.seed)
    unseen = evenly(subject, True, max(subject.options.count, 1000))
    if len(unseen.pictures) < 20:
        why = too_few(len(unseen.pictures), len(data.dataset.pictures))
        return Found(left_out=((named("memorisation", encoder), why),))
    found = memorisation(
        views(samples.pictures, encoder), encoder(training.pictures), views(unseen.pictures, encoder)
    )
    figure = Figure(
        name=named("memorisation", encoder),
        value=found.share.value,
        low=found.share.low,
        high=found.share.high,
        floor=found.null.value,
        better="lower",
        about="share of samples that count as copies of training pictures; floor: of held-out pictures",
        function=f"{memorisation.__module__}.{memorisation.__qualname__}",
        arguments={"memorising": int(found.memorising)},
        encoder=encoder.name,
        samples=samples.record,
        reference=training.record,
        twin=unseen.record,
        each=tuple(found.copies.astype(float).tolist()),
        seconds=time.perf_counter() - begun,
    )
    return Found((figure,), nearest=nearest(found, training.numbers, data.dataset.names))


def nearest(found: Memorised, numbers: np.ndarray, names: tuple[str, ...]) -> tuple[Near, ...]:
    """The samples that are most like copies first, each with its training picture."""
    order = np.argsort(found.made.calibrated, kind="stable")[:SHOWN]
    return tuple(
        Near(
            sample=int(i),
            index=int(numbers[found.made.nearest[i]]),
            name=names[int(numbers[found.made.nearest[i]])],
            distance=float(found.made.distance[i]),
            ratio=float(found.made.ratio[i]),
            flipped=bool(found.made.mirrored[i]),
            copied=bool(found.copies[i]),
        )
        for i in order
    )


def drift(samples: Samples, sets: Sets) -> Iterator[Figure]:
    """Colour: what samples have more or less of than real pictures."""
    begun = time.perf_counter()
    made = colour(samples.pictures, sets.reference.pictures)
    real = colour(sets.twin.pictures, sets.reference.pictures)
    for one, other in zip(made, real, strict=True):
        yield Figure(
            name=f"colour: {one.quantity}",
            value=one.difference.value,
            low=one.difference.low,
            high=one.difference.high,
            floor=other.difference.value,
            better="neither",
            about=f"samples less real pictures, whose mean is {one.real:.3f} (values from 0 to 1)",
            function=f"{colour.__module__}.{colour.__qualname__}",
            samples=samples.record,
            reference=sets.reference.record,
            twin=sets.twin.record,
            seconds=time.perf_counter() - begun,
        )
        begun = time.perf_counter()


def truth(subject: Subject, samples: Samples) -> Iterator[Figure]:
    """How near samples are to the pictures of which parts were shown."""
    if subject.generator.task.sight is not None:
        begun = time.perf_counter()
        figure = mean_of(
            "PSNR",
            psnr(samples.pictures, subject.like.pictures),
            "higher",
            "decibels, of each sample to the picture of which a part was shown",
            psnr,
            begun,
            subject.like.record,
        )
        yield figure.model_copy(update={"samples": samples.record})


def speed(samples: Samples, batch: int) -> Iterator[Figure]:
    """What a sample costs."""
    function = "phosphene.families.generator.Generator.sample"
    count = len(samples.pictures)
    yield Figure(
        name="evaluations per picture",
        value=float(samples.evaluations),
        better="lower",
        about="calls of the network for one picture; guidance asks twice",
        function=function,
        samples=samples.record,
        seconds=samples.seconds,
    )
    yield Figure(
        name="seconds per picture",
        value=samples.seconds / count,
        better="lower",
        about=f"on this machine, as it was then, in batches of {batch}",
        function=function,
        arguments={"batch": batch},
        samples=samples.record,
        repeatable=False,
        seconds=samples.seconds,
    )
