"""The sets of pictures that an evaluation compares, all of one count.

    samples     made by the model, with the labels of the reference, one by one
    reference   real pictures
    twin        other real pictures, which take the samples' place for the floor: real against real

Reference and twin have no picture in common. Copies of one picture may lie in both, as in the data itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from phosphene.data.cache import Channels, prepare
from phosphene.data.dataset import Dataset
from phosphene.data.load import load
from phosphene.data.sources import find, there
from phosphene.evaluation.record import Pictures, fingerprint
from phosphene.recipes.settings import Recipe

ENOUGH = 1000  # held-out pictures from which they are the reference unless another is asked for
LEAST = 20  # pictures of a set below which no figure says anything


class Real(NamedTuple):
    """The data of a run: all pictures, and which were trained on. where: the folder or set they were read
    from."""

    dataset: Dataset
    training: Int64[np.ndarray, " n"]
    held_out: Int64[np.ndarray, " m"]
    where: str


class Chosen(NamedTuple):
    """Real pictures, their labels and captions (None if the data has none), and what is said of them.

    numbers: theirs in the data. before: the pictures that they were made from, of data of pairs.
    """

    pictures: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"] | None
    record: Pictures
    numbers: Int64[np.ndarray, " n"]
    captions: tuple[tuple[str, ...], ...] | None = None
    before: UInt8[np.ndarray, "n c h w"] | None = None


class Sets(NamedTuple):
    """Reference and twin, of one count."""

    reference: Chosen
    twin: Chosen


def real(recipe: Recipe, data: str | Path | None) -> Real:
    """The pictures that a run was trained on, and those it held out; data: where they are now, if they have
    moved.

    Raises ValueError if they are not there.
    """
    settings = recipe.data
    source = str(data or settings.source)
    if not there(source):
        raise ValueError(f"data {source}: no such folder; where the run's pictures are now: --data FOLDER")
    dataset = load(settings.model_copy(update={"source": source}))
    training, held_out = dataset.split(settings.held_out)
    return Real(dataset, training, held_out, source)


def which_reference(asked: str | None, data: Real) -> str:
    """held-out where that is enough pictures, else training; or what was asked for."""
    if asked is None:
        return "held-out" if len(data.held_out) >= ENOUGH else "training"
    if asked not in ("training", "held-out") and not Path(asked).is_dir():
        raise ValueError(f"reference {asked!r}: accepted are training, held-out or a folder of pictures")
    return asked


def most(reference: str, data: Real, recipe: Recipe) -> int:
    """The largest count for which there are a reference and a twin that do not touch."""
    if reference == "training":
        return (len(data.training) + len(data.held_out)) // 2
    if reference == "held-out":
        return min(len(data.held_out), len(data.training))
    return min(len(_other(reference, data, recipe).pictures), len(data.dataset.pictures))


def choose(reference: str, count: int, seed: int, data: Real, recipe: Recipe) -> Sets:
    """So many pictures of the reference, and as many others, drawn with the seed.

    The twin of training pictures begins with those held out, and goes on with further training pictures; that
    of held-out pictures, or of another folder, is training pictures.
    """
    rng = np.random.default_rng([seed, 0])
    training, held_out = rng.permutation(data.training), rng.permutation(data.held_out)
    if reference == "training":
        first = training[:count]
        second = np.concatenate([held_out, training[count:]])[:count]
        words = ("training", "held-out and further training" if len(held_out) < count else "held-out")
        return Sets(chosen(data.dataset, first, words[0], seed), chosen(data.dataset, second, words[1], seed))
    twin = chosen(data.dataset, training[:count], "training", seed)
    if reference == "held-out":
        return Sets(chosen(data.dataset, held_out[:count], "held-out", seed), twin)
    other = _other(reference, data, recipe)
    places = rng.permutation(len(other.pictures))[:count]
    picked = chosen(other, places, f"folder {Path(reference).name}", seed)
    # Labels of another folder are numbered otherwise than the model's.
    return Sets(picked._replace(labels=_renumbered(picked.labels, other, data.dataset)), twin)


def chosen(dataset: Dataset, numbers: Int64[np.ndarray, " n"], what: str, seed: int) -> Chosen:
    """Some pictures of a data set, in the order of their numbers."""
    numbers = np.sort(numbers)
    pictures, first, numbers = dataset.at(numbers, among=numbers)
    record = Pictures(what=what, count=len(pictures), seed=seed, fingerprint=fingerprint(pictures))
    labels = None if dataset.labels is None else dataset.labels[numbers]
    captions = dataset.captions and tuple(dataset.captions[i] for i in numbers.tolist())
    return Chosen(pictures, labels, record, numbers, captions, first)


def _other(folder: str, data: Real, recipe: Recipe) -> Dataset:
    """A folder's pictures brought to the size and channels of the data. Raises ValueError if they have
    others."""
    modes: Mapping[int, Channels] = {1: "L", 3: "RGB", 4: "RGBA"}
    channels = modes[data.dataset.channels]
    return prepare(find(folder), data.dataset.size, recipe.data.fit, channels)


def _renumbered(
    labels: Int64[np.ndarray, " n"] | None, other: Dataset, dataset: Dataset
) -> Int64[np.ndarray, " n"] | None:
    if labels is None or dataset.labels is None or other.classes != dataset.classes:
        return None
    return labels
