"""The judges of edits: what is rendered as an answer is right, and what was left alone or overdone is not."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bench.quality import sdedit
from bench.quality.editing import faces, shapes, triples

from phosphene.data.made.faces import caption
from phosphene.data.made.sets import make_set
from phosphene.pictures.pixels import to_values


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


def test_sdedit_is_asked_what_its_captions_say(tmp_path):
    """Each picture that becomes another by so much, told the caption of what it should become."""
    made = make_set("faces", out=tmp_path / "set", count=60, size=64, edits=True, held_out=0.2)
    everything = next(triples(made, 12, 64))
    asked = sdedit.told(everything)
    claimed = [caption.claims(after["text"]) for _, after in everything.rows]
    says = [
        claims.get(after["edit"]) == after[after["edit"]]
        for claims, (_, after) in zip(claimed, everything.rows, strict=True)
    ]
    assert 0 < sum(says) < len(says)
    assert asked.instructions == [
        after["text"] for (_, after), one in zip(everything.rows, says, strict=True) if one
    ]
    assert np.array_equal(asked.after, everything.after[says])
    assert np.array_equal(asked.before, everything.before[says])
    seen: list[Any] = []

    def edit(image, *, prompt, strength, seed, first):
        seen.append((prompt, strength, seed, first))
        answer = asked.after[first] if strength > 0.6 else np.asarray(image).transpose(2, 0, 1)
        return SimpleNamespace(values=to_values(torch.tensor(answer[None])))

    generator: Any = SimpleNamespace(size=64, hears=True, edits=False, edit=edit)
    low, high = sdedit.measure(generator, made, 12, (0.5, 0.7))
    assert (low.way, high.way) == ("strength 0.5", "strength 0.7")
    assert low.of == high.of == sum(says)
    many = len(asked.instructions)
    assert seen == [(words, s, 1, i) for s in (0.5, 0.7) for i, words in enumerate(asked.instructions)]
    assert low.changed.value == low.both.value == 0
    assert low.kept.value >= (many - 1) / many  # the reader errs now and then
    assert high.both.value >= (many - 1) / many
    told: list[Any] = []

    def make(requests, seed):
        told.extend(request.prompt for request in requests)
        return SimpleNamespace(values=to_values(torch.from_numpy(asked.after)))

    trained: Any = SimpleNamespace(make=make)
    (beside,) = sdedit.measure(generator, made, 12, (), trained)
    assert told == [after["instruction"] for _, after in asked.rows]
    assert (beside.way, beside.both) == ("trained for it", high.both)
    generator.edits = True
    with pytest.raises(ValueError, match="give one of text to image"):
        next(sdedit.measure(generator, made, 12))
    with pytest.raises(ValueError, match="not a set of faces' triples"):
        next(sdedit.measure(generator, tmp_path, 12))


def _lopsided(picture: np.ndarray) -> bool:
    return bool((np.abs(picture.astype(int) - picture[..., ::-1].astype(int)) > 60).any())
