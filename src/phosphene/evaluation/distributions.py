"""Figures that compare the distribution of samples with that of real pictures, on an encoder's features.

The floor of each is what real pictures reach against other real pictures at the same count (measures.floor).
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float32

from phosphene.evaluation.record import Better, Figure, Pictures
from phosphene.evaluation.sets import Sets
from phosphene.evaluation.subject import Samples
from phosphene.measures import diversity, names
from phosphene.measures.distances import frechet, frechet_infinity
from phosphene.measures.features.encoder import Encoder, Family
from phosphene.measures.floor import floor
from phosphene.measures.interval import Interval, jackknife
from phosphene.measures.kernel import cmmd, kernel_distance
from phosphene.measures.manifold import Manifold, prdc
from phosphene.measures.sliced import sliced_wasserstein
from phosphene.measures.two_sample import two_sample

MANIFOLD: dict[str, tuple[Better, str]] = {
    "precision": ("higher", "share of samples that lie among real pictures"),
    "recall": ("higher", "share of real pictures that lie among samples"),
    "density": ("higher", "how densely real pictures surround a sample; may exceed 1"),
    "coverage": ("higher", "share of real pictures that have a sample nearby"),
}


@dataclass(frozen=True)
class Compared:
    """The features of the three sets under one encoder, and what is said of the sets."""

    encoder: Encoder
    samples: Float32[np.ndarray, "n d"]
    reference: Float32[np.ndarray, "n d"]
    twin: Float32[np.ndarray, "n d"]
    records: tuple[Pictures, Pictures, Pictures]
    seed: int

    @property
    def real(self) -> Float32[np.ndarray, "m d"]:
        """All real pictures: floors split them."""
        return np.concatenate([self.reference, self.twin])

    def floor(self, figure: Callable[..., float], splits: int = 5) -> float:
        return floor(self.real, len(self.reference), figure, self.seed, splits).interval.value

    def figure(
        self,
        name: str,
        value: float | Interval,
        floored: float | None,
        better: Better,
        about: str,
        function: Callable[..., object],
        begun: float,
        **arguments: int | float | str,
    ) -> Figure:
        """The figure with all that it bears. begun: when its computation began."""
        whole = value if isinstance(value, Interval) else Interval(value, value, value)
        given = isinstance(value, Interval)
        return Figure(
            name=name,
            value=whole.value,
            low=whole.low if given else None,
            high=whole.high if given else None,
            floor=floored,
            better=better,
            about=about,
            function=f"{function.__module__}.{function.__qualname__}",
            arguments=arguments,
            encoder=self.encoder.name,
            samples=self.records[0],
            reference=self.records[1],
            twin=self.records[2],
            seconds=time.perf_counter() - begun,
        )


def compared(encoder: Encoder, samples: Samples, sets: Sets, seed: int) -> Compared:
    """Encodes all three sets."""
    pictures = (samples.pictures, sets.reference.pictures, sets.twin.pictures)
    records = (samples.record, sets.reference.record, sets.twin.record)
    made, reference, twin = (encoder(some) for some in pictures)
    return Compared(encoder, made, reference, twin, records, seed)


def distances(of: Compared) -> Iterator[Figure]:
    """Kernel distance, Fréchet distance as it is and without its bias, sliced Wasserstein; CMMD of CLIP."""
    seed, begun = of.seed, time.perf_counter()
    yield of.figure(
        names.kernel_name(of.encoder),
        kernel_distance(of.samples, of.reference, seed=seed),
        of.floor(lambda a, b: kernel_distance(a, b, seed=seed, draws=2).value),
        "lower",
        "distance of distributions without bias; where 0 is in the interval, none was found",
        kernel_distance,
        begun,
        seed=seed,
    )
    begun = time.perf_counter()
    yield of.figure(
        names.frechet_name(of.encoder),
        jackknife(frechet, [_wide(of.samples), _wide(of.reference)], seed=seed),
        of.floor(frechet),
        "lower",
        "distance of means and covariances; biased upwards at small counts, so compare with the floor",
        frechet,
        begun,
    )
    if len(of.reference) >= 80:
        begun = time.perf_counter()
        yield of.figure(
            names.infinity_name(of.encoder),
            frechet_infinity(of.samples, of.reference, seed),
            of.floor(lambda a, b: frechet_infinity(a, b, seed, 2).value, 1),
            "lower",
            "the same, extrapolated to endless sets",
            frechet_infinity,
            begun,
            seed=seed,
        )
    begun = time.perf_counter()
    yield of.figure(
        names.named("sliced-Wasserstein", of.encoder),
        jackknife(sliced_wasserstein, [_wide(of.samples), _wide(of.reference)], seed=seed),
        of.floor(sliced_wasserstein),
        "lower",
        "mean distance along 256 directions, in units of the features",
        sliced_wasserstein,
        begun,
    )
    if of.encoder.family is Family.CLIP:
        begun = time.perf_counter()
        yield of.figure(
            names.cmmd_name(of.encoder),
            cmmd(of.samples, of.reference, seed),
            of.floor(lambda a, b: cmmd(a, b, seed, 2).value),
            "lower",
            "distance of distributions of CLIP embeddings, times 1000",
            cmmd,
            begun,
            seed=seed,
        )


def manifold(of: Compared) -> Iterator[Figure]:
    """Precision, recall, density, coverage with k = 5, intervals by jackknife."""
    remembered: dict[bytes, Manifold] = {}

    def once(real: np.ndarray, fake: np.ndarray) -> Manifold:
        """All four come from one call; asking for the next costs nothing."""
        key = hashlib.blake2b(real.tobytes() + fake.tobytes()).digest()
        if key not in remembered:
            remembered[key] = prdc(real, fake)
        return remembered[key]

    for name, (better, about) in MANIFOLD.items():
        begun = time.perf_counter()

        def one(real: np.ndarray, fake: np.ndarray, name: str = name) -> float:
            return cast(float, getattr(once(real, fake), name))

        found = jackknife(one, [_wide(of.reference), _wide(of.samples)], seed=of.seed)
        if name != "density":  # the others are shares
            found = Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))
        yield of.figure(
            names.named(name, of.encoder),
            found,
            of.floor(one, 3),
            better,
            about,
            prdc,
            begun,
            k=5,
        )


def telling_apart(of: Compared) -> Iterator[Figure]:
    """The two-sample classifier; its floor is the control, real against other real pictures."""
    begun = time.perf_counter()
    found = two_sample(of.real, of.samples, of.seed)
    yield of.figure(
        names.named("two-sample", of.encoder),
        found.accuracy,
        found.control.value,
        "lower",
        "share that a classifier names rightly as real or made; 0.5: it cannot tell",
        two_sample,
        begun,
        seed=of.seed,
    )


def spread_out(of: Compared) -> Iterator[Figure]:
    """Diversity: of samples over that of real pictures."""
    begun = time.perf_counter()
    found = diversity.diversity(of.samples, of.reference, of.seed)
    twin, reference = _wide(of.twin), _wide(of.reference)
    centre = reference.mean(0)
    floors = (
        diversity.spread(twin) / diversity.spread(reference),
        diversity.vendi(twin - centre) / diversity.vendi(reference - centre),
    )
    for name, value, floored, about in (
        ("spread", found.spread, floors[0], "mean distance of two samples, over that of two real pictures"),
        ("Vendi", found.vendi, floors[1], "effectively different samples, over real pictures"),
    ):
        yield of.figure(
            names.named(name, of.encoder),
            value,
            floored,
            "higher",
            about,
            diversity.diversity,
            begun,
            seed=of.seed,
        )
        begun = time.perf_counter()


def _wide(rows: Float32[np.ndarray, "n d"]) -> np.ndarray:
    return np.asarray(rows, np.float64)
