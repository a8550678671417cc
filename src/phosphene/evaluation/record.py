"""What an evaluation leaves: evaluation.json, in which every figure says how it came about.

A figure names the function that made it, the encoder (by the hash of its weights), both sets of pictures (by
count, seed and fingerprint), its interval, its floor and the seconds it took. The pictures that were made are
kept beside it (evaluation/samples.npy), so that each figure can be computed again by hand.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import UInt8
from pydantic import Field, ValidationError

from phosphene import files
from phosphene.recipes.settings import Count, Settings, first_line

FILE, FOLDER = "evaluation.json", "evaluation"

Better = Literal["lower", "higher", "neither"]


class Pictures(Settings):
    """A set of pictures. seed: pictures 0 to count - 1 of this seed were made, or so many drawn with it.

    fingerprint: SHA-256 of shape and bytes, 16 digits.
    """

    what: str
    count: Count
    seed: int
    fingerprint: str


class Figure(Settings):
    """One number and where it comes from.

    low, high: its interval of 95%, where it has one. floor: the same figure of real pictures against other
    real pictures, as many. samples, reference, twin: the sets compared; twin took the samples' place for the
    floor. function: the one that was called, with `arguments`. each: the values, one a picture, whose mean it
    is. repeatable: whether the same settings give the same bits; seconds never do.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    better: Better
    about: str
    function: str
    arguments: Mapping[str, int | float | str] = {}
    encoder: str | None = None
    samples: Pictures | None = None
    reference: Pictures | None = None
    twin: Pictures | None = None
    each: tuple[float, ...] | None = None
    repeatable: bool = True
    seconds: float = 0.0

    def same(self, other: "Figure") -> bool:
        """Whether both are equal in all but seconds."""
        return self.model_copy(update={"seconds": 0.0}) == other.model_copy(update={"seconds": 0.0})


class LevelLoss(Settings):
    """The loss at one noise level: on held-out pictures and on as many that were trained on."""

    ratio: float
    held_out: float
    training: float


class Near(Settings):
    """A sample and the training picture nearest to it.

    sample: its number. index: the picture's, in the data set; name: its file. distance, ratio: as the measure
    has them; flipped: it was nearer as its mirror image. copied: the measure calls the sample a copy.
    """

    sample: int
    index: int
    name: str
    distance: float
    ratio: float
    flipped: bool
    copied: bool


class Options(Settings):
    """What was asked of an evaluation; nothing in it depends on the machine but device, threads and
    precision.

    count: samples. seed: of samples, choices and draws. encoders: by name. inception, dinov2, clip: the
    user's weights. reference: training, held-out or a folder. likelihood, flow: pictures whose bits per
    dimension are measured by the bound and by the probability flow, to `tolerance`. ema: lengths, None the
    one shipped.
    """

    count: Count
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    encoders: tuple[str, ...]
    inception: str | None = None
    dinov2: str | None = None
    clip: str | None = None
    reference: str
    solver: str | None = None
    steps: int | None = None
    guidance: float | None = None
    likelihood: Annotated[int, Field(ge=0)]
    flow: Annotated[int, Field(ge=0)]
    tolerance: Annotated[float, Field(gt=0)]
    ema: float | None = None
    batch: Count
    device: str
    threads: Count
    precision: str


class Evaluation(Settings):
    """A run measured. left_out: figures that were not computed, and why. answers: exact accuracies by class
    or aspect.

    solver, steps, guidance: how the samples were made, defaults filled in. labels: the samples' classes by
    index.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    phosphene: str
    torch: str
    machine: str
    run: str
    model: str
    data: str
    data_fingerprint: str
    source: str
    asked: Options
    sampling: Mapping[str, int | float | str | list[float | str]]
    samples: Pictures
    figures: tuple[Figure, ...]
    levels: tuple[LevelLoss, ...] = ()
    nearest: tuple[Near, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    seconds: float

    def figure(self, name: str) -> Figure:
        """The figure of this name. Raises ValueError, with the names there are."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise ValueError(f"figure {name!r}: there are {', '.join(figure.name for figure in self.figures)}")

    @property
    def by_encoder(self) -> Mapping[str | None, tuple[Figure, ...]]:
        """The figures on each encoder's features, and last those that need none."""
        names = dict.fromkeys(figure.encoder for figure in self.figures)
        return {
            name: tuple(figure for figure in self.figures if figure.encoder == name)
            for name in sorted(names, key=lambda name: name is None)
        }

    def differences(self, other: "Evaluation") -> list[str]:
        """In which repeatable figures two evaluations differ, a line each; none if all are the same bit for
        bit."""
        lines = []
        if self.samples != other.samples:
            lines.append(f"samples: {self.samples.fingerprint}, now {other.samples.fingerprint}")
        others = {figure.name: figure for figure in other.figures}
        for figure in self.figures:
            now = others.pop(figure.name, None)
            if now is None:
                lines.append(f"{figure.name}: {figure.value!r}, now absent")
            elif figure.repeatable and not figure.same(now):
                lines.append(f"{figure.name}: {figure.value!r}, now {now.value!r}")
        return lines + [f"{name}: was absent, now {figure.value!r}" for name, figure in others.items()]


def fingerprint(pictures: UInt8[np.ndarray, "n c h w"]) -> str:
    """16 hexadecimal digits of the SHA-256 of shape and bytes."""
    digest = hashlib.sha256(str(pictures.shape).encode())
    digest.update(np.ascontiguousarray(pictures).tobytes())
    return digest.hexdigest()[:16]


def file_of(root: Path, ema: float | None) -> Path:
    """Where a run's evaluation is, of the shipped weights or of an average of another length."""
    return root / (FILE if ema is None else f"evaluation-ema{ema}.json")


def samples_of(root: Path, ema: float | None) -> Path:
    """Where the samples are that were measured: uint8, n c h w."""
    return root / FOLDER / ("samples.npy" if ema is None else f"samples-ema{ema}.npy")


def write(root: Path, evaluation: Evaluation, samples: UInt8[np.ndarray, "n c h w"]) -> Path:
    """The samples first: who finds an evaluation finds its samples."""
    place, kept = file_of(root, evaluation.asked.ema), samples_of(root, evaluation.asked.ema)
    kept.parent.mkdir(exist_ok=True)
    file = io.BytesIO()
    np.save(file, samples, allow_pickle=False)
    files.write_atomic(kept, file.getvalue())
    files.write_atomic(place, evaluation.model_dump_json(indent=1) + "\n")
    return place


def read(path: Path) -> Evaluation:
    """An evaluation.json. Raises ValueError, naming file and field, for anything else."""
    if not path.is_file():
        raise ValueError(f"{path}: no evaluation here; make one: phosphene evaluate {path.parent}")
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path}: {first_line(error)}") from None


def read_samples(root: Path, evaluation: Evaluation) -> UInt8[np.ndarray, "n c h w"]:
    """The samples that were measured. Raises ValueError if they are not those."""
    path = samples_of(root, evaluation.asked.ema)
    if not path.is_file():
        raise ValueError(f"{path}: the samples are missing; evaluate again: phosphene evaluate {root}")
    samples = np.load(path, allow_pickle=False)
    if fingerprint(samples) != evaluation.samples.fingerprint:
        raise ValueError(f"{path}: not the samples of {file_of(root, evaluation.asked.ema).name}")
    return samples
