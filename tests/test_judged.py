"""The judges of edits: what is rendered as an answer is right, and what was left alone or overdone is not."""

import numpy as np
import pytest
from bench.quality.editing import faces, shapes, triples

from phosphene.data.made.sets import make_set


@pytest.mark.parametrize("name", ["shapes", "faces"])
def test_edits_are_judged_exactly(name, tmp_path):
    judge = {"shapes": shapes, "faces": faces}[name]
    kinds = []
    made = make_set(name, out=tmp_path / "set", count=60, size=64, edits=True, held_out=0.2)
    for asked in triples(made, 12, 64):
        kinds.append(asked.kind)
        right, alone = judge(asked.after, asked), judge(asked.before, asked)
        assert sum(right.both) >= len(right.both) - (name == "faces")  # its reader errs now and then
        assert not any(alone.changed)
        assert sum(alone.kept) >= len(alone.kept) - (name == "faces")
        other = judge(np.roll(asked.after, 1, axis=0), asked)
        assert sum(other.both) == 0
    assert kinds == ["held-out", "withheld"] if name == "shapes" else ["held-out", "paraphrased"]


def test_what_came_beside_was_not_kept(tmp_path):
    made = make_set("shapes", out=tmp_path / "set", count=60, size=64, edits=True, held_out=0.2)
    asked = next(triples(made, 12, 64))
    flipped = np.ascontiguousarray(asked.after[..., ::-1])  # all is there, elsewhere
    assert not any(shapes(flipped, asked).both[i] for i in range(12) if _lopsided(asked.after[i]))


def _lopsided(picture: np.ndarray) -> bool:
    return bool((np.abs(picture.astype(int) - picture[..., ::-1].astype(int)) > 60).any())
