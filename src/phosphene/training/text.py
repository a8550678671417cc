"""Whether a run learns from captions, with which encoder; and their states, encoded before it begins."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from phosphene.data import captions, states
from phosphene.data.dataset import Dataset
from phosphene.recipes.settings import AUTO, Recipe, changed
from phosphene.store import text_encoder
from phosphene.store.text_encoder import MINILM, TextEncoder
from phosphene.tasks.text import Captioned

MOST = 0.5  # of the pictures must have a caption for captions to be what a data set is about

Progress = Callable[[int, int], None]


class Settled(NamedTuple):
    """A recipe that says which encoder, and what is to be said of the choice."""

    recipe: Recipe
    notes: tuple[str, ...] = ()


class Learned(NamedTuple):
    """The encoder of captions, or None, and what is to be said of the choice."""

    name: str | None
    words: str | None = None


def learned(asked: str | None, given: int, different: int, pictures: int, labelled: bool) -> Learned:
    """What data.text means for a set of so many pictures, of which so many have a caption, so many different.

    auto takes captions where most pictures have one, they differ, and no picture has a label: whoever wrote
    captions and sorted nothing into classes wants to ask in words.
    """
    if asked != AUTO or not given:
        return Learned(None if asked == AUTO else asked)
    some = f"captions of {given:,} of {pictures:,} pictures"
    learn = f"--set data.text={MINILM} learns them"
    if labelled:
        return Learned(None, f"{some} are left aside, as there are labels; {learn} too")
    if different < 2:
        return Learned(None, f"{some} say all the same and are left aside; {learn}")
    if given <= MOST * pictures:
        return Learned(None, f"{some} are too few to ask by and are left aside; {learn}")
    if not text_encoder.installed():
        return Learned(None, f"{some} are left aside without a text encoder: {text_encoder.INSTALL}")
    words = f"{some} are learned with the text encoder {MINILM}; --set data.text=none leaves them aside"
    return Learned(MINILM, words)


def settled(recipe: Recipe, data: Dataset) -> Settled:
    """data.text as a name, a folder or None."""
    asked = recipe.data.text
    given = [said for said in data.captions or () if said]
    name, words = learned(asked, len(given), len(set(given)), len(data.pictures), data.labels is not None)
    place = str(Path(name).resolve()) if name is not None and Path(name).is_dir() else name
    same = recipe if place == asked else changed(recipe, {"data.text": place})
    return Settled(same, () if words is None else (words,))


def encoder(recipe: Recipe, device: torch.device) -> TextEncoder | None:
    """The encoder of a settled recipe."""
    assert recipe.data.text != AUTO
    return None if recipe.data.text is None else text_encoder.find(recipe.data.text, device)


def captioned(
    recipe: Recipe, data: Dataset, device: torch.device, on_progress: Progress | None = None
) -> Captioned | None:
    """The captions of a data set and their states, encoded now or taken from the cache; None without text.

    Raises ValueError where no picture has a caption, unless a model decided that there is text: what it is
    shown then is of no words.
    """
    reads = encoder(recipe, device)
    if reads is None:
        return None
    found = captions.collect(data.captions or ())
    if not found.texts and recipe.base.model is None:
        raise ValueError(
            f"data.text {recipe.data.text}: no picture of {recipe.data.source} has a caption (.txt beside "
            "it, or text in metadata.jsonl); leave it out"
        )
    said = states.prepare(reads, found.texts, on_progress)
    full = np.flatnonzero(said.stop - said.start == reads.limit)
    cut = sum(len(tokens) > reads.limit for tokens in reads.tokens([found.texts[i] for i in full]))
    reads.release()  # a large one would take the memory that training needs
    return Captioned(found, said, cut)


def of_cut(found: Captioned | None, recipe: Recipe) -> tuple[str, ...]:
    """What is to be said of captions that are missing, or whose ends are not learned."""
    if found is not None and not found.captions.texts:
        return ("no picture has a caption: they are learned as what is made when nothing is asked for",)
    if found is None or not found.cut:
        return ()
    words = (
        f"{found.cut:,} of {len(found.captions.texts):,} captions are longer than {recipe.data.text} reads"
    )
    return (f"{words}; their ends are cut off",)
