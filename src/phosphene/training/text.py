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


def settled(recipe: Recipe, data: Dataset) -> Settled:
    """data.text as a name, a folder or None.

    auto takes captions where most pictures have one, they differ, and no picture has a label: whoever wrote
    captions and sorted nothing into classes wants to ask in words.
    """
    asked = recipe.data.text
    if asked is None:
        return Settled(recipe)
    if asked != AUTO:
        place = str(Path(asked).resolve()) if Path(asked).is_dir() else asked
        return Settled(changed(recipe, {"data.text": place}))
    none = changed(recipe, {"data.text": None})
    given = [said for said in data.captions or () if said]
    if not given:
        return Settled(none)
    some = f"captions of {len(given):,} of {len(data.pictures):,} pictures"
    learn = f"--set data.text={MINILM} learns them"
    if data.labels is not None:
        return Settled(none, (f"{some} are left aside, as there are labels; {learn} too",))
    if len(set(given)) < 2:
        return Settled(none, (f"{some} say all the same and are left aside; {learn}",))
    if len(given) <= MOST * len(data.pictures):
        return Settled(none, (f"{some} are too few to ask by and are left aside; {learn}",))
    if not text_encoder.installed():
        return Settled(none, (f"{some} are left aside without a text encoder: {text_encoder.INSTALL}",))
    words = f"{some} are learned with the text encoder {MINILM}; --set data.text=none leaves them aside"
    return Settled(changed(recipe, {"data.text": MINILM}), (words,))


def encoder(recipe: Recipe, device: torch.device) -> TextEncoder | None:
    """The encoder of a settled recipe."""
    assert recipe.data.text != AUTO
    return None if recipe.data.text is None else text_encoder.find(recipe.data.text, device)


def captioned(
    recipe: Recipe, data: Dataset, device: torch.device, on_progress: Progress | None = None
) -> Captioned | None:
    """The captions of a data set and their states, encoded now or taken from the cache; None without text.

    Raises ValueError where no picture has a caption.
    """
    reads = encoder(recipe, device)
    if reads is None:
        return None
    found = captions.collect(data.captions or ())
    if not found.texts:
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
    """What is to be said of captions whose ends are not learned."""
    if found is None or not found.cut:
        return ()
    words = (
        f"{found.cut:,} of {len(found.captions.texts):,} captions are longer than {recipe.data.text} reads"
    )
    return (f"{words}; their ends are cut off",)
