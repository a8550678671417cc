"""What an editing network is shown, and how often training hides it."""

import pytest
import torch

from phosphene.data.loader import Rows
from phosphene.diffusion import noise
from phosphene.diffusion.condition import NO_LABEL
from phosphene.diffusion.noise import keys
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown
from phosphene.tasks.sights import Editing
from phosphene.tasks.task import Task

MANY = 4000
EDITS = Task(("one", "two"), 0.05, sight=Editing(), hides=True)


def rows(count: int) -> Rows:
    before = torch.arange(1.0, count + 1)[:, None, None, None].expand(-1, 3, 2, 2) / count
    places = torch.arange(count)
    return Rows(torch.zeros(count, 3, 2, 2), places % 2, places, places, before)


def test_training_hides_words_picture_and_both_equally_often():
    batch, key = rows(MANY), keys(7, range(MANY))
    condition = EDITS.training(batch, batch.values, key, 3)
    assert condition.label is not None
    assert condition.picture is not None
    assert batch.before is not None
    silent = condition.label == NO_LABEL
    unseen = (condition.picture == 0).flatten(1).all(1)
    # Who is not hidden sees the picture before, behind a channel that says that there is one.
    shown = torch.cat([torch.ones(MANY, 1, 2, 2), batch.before], dim=1)
    assert torch.equal(condition.picture[~unseen], shown[~unseen])
    lot = noise.uniform(key, 3, stream=noise.DROP)
    assert torch.equal(silent, lot < 0.1)
    assert torch.equal(unseen, (lot >= 0.05) & (lot < 0.15))
    for hidden in (silent & ~unseen, unseen & ~silent, silent & unseen):
        assert float(hidden.float().mean()) == pytest.approx(0.05, abs=0.012)


def test_without_a_share_nothing_is_hidden():
    batch = rows(50)
    never = Task(("one", "two"), 0.0, sight=Editing(), hides=True)
    condition = never.training(batch, batch.values, keys(7, range(50)), 3)
    assert condition.label is not None
    assert condition.picture is not None
    assert (condition.label >= 0).all()
    assert (condition.picture[:, 0] == 1).all()


def test_a_request_is_shown_as_a_training_picture_is():
    batch = rows(3)
    assert batch.before is not None
    key = keys(0, range(3))
    known = EDITS.known(batch, key)
    requests = [Request(i % 2, shown=Shown(one)) for i, one in enumerate(batch.before)]
    asked = EDITS.asked(requests, key)
    assert known.picture is not None
    assert asked.picture is not None
    assert torch.equal(known.picture, asked.picture)
    wishes = EDITS.wishes(batch.values, key, batch.before)
    assert all(
        wish is not None and torch.equal(wish.picture, one)
        for wish, one in zip(wishes, batch.before, strict=True)
    )


def test_pictures_without_a_first_one_are_no_edits():
    with pytest.raises(ValueError, match=r"give data of pairs, with task\.kind editing \(data\.pairs\)"):
        EDITS.wishes(torch.zeros(2, 3, 2, 2), keys(0, range(2)))


def test_pairs_and_editing_belong_together():
    with pytest.raises(
        ValueError, match=r"data\.pairs True, task\.kind 'none': pairs are what editing learns"
    ):
        changed(RECIPES["flow"], {"data.pairs": True})
    with pytest.raises(ValueError, match=r"data\.pairs False, task\.kind 'editing'"):
        changed(RECIPES["edit"], {"data.pairs": False})
