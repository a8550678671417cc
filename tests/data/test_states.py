"""States of captions: encoded once for an encoder and a text, whole, and alike however asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from phosphene import files
from phosphene.data import states
from phosphene.data.captions import NONE, collect
from phosphene.store.text_encoder import States, TextEncoder, find
from tests import encoders

TEXTS = ("a red circle", "a blue star and a big green square", "circle", "the small star")


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TextEncoder:
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "cache"))
    encoders.bert(tmp_path / "bert")
    return find(str(tmp_path / "bert"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were really encoded."""
    texts: list[str] = []
    encode = TextEncoder.encode

    def counted(self: TextEncoder, some) -> States:
        texts.extend(some)
        return encode(self, some)

    monkeypatch.setattr(TextEncoder, "encode", counted)
    return texts


def test_states_are_the_encoders_in_half_precision(encoder: TextEncoder):
    kept = states.prepare(encoder, TEXTS)
    said, mask = encoder.encode(TEXTS)
    taken = kept.take(np.array([1, NONE, 3, 1]))
    assert taken.states.shape == (4, 16, encoders.WIDTH)
    assert taken.mask.sum(1).tolist() == [10, 0, 5, 10]
    for place, number in ((0, 1), (2, 3), (3, 1)):
        torch.testing.assert_close(taken.states[place][taken.mask[place]], said[number][mask[number]].half())
    assert not taken.states[~taken.mask].any()
    # All batches are of one length, whichever texts they hold.
    assert kept.take(np.array([2])).states.shape == (1, 16, encoders.WIDTH)


def test_a_text_is_encoded_once(encoder: TextEncoder, asked: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(states, "PACK", 2)
    told: list[tuple[int, int]] = []
    first = states.prepare(encoder, TEXTS[:3], lambda done, total: told.append((done, total)))
    assert asked == list(TEXTS[:3])
    assert told == [(2, 3), (3, 3)]
    again = states.prepare(encoder, TEXTS[:3])
    more = states.prepare(encoder, TEXTS[::-1])
    assert asked == list(TEXTS)
    for number in range(3):
        for other, place in ((again, number), (more, 3 - number)):
            np.testing.assert_array_equal(first.row(number), other.row(place))


def test_another_encoder_has_its_own(encoder: TextEncoder, asked: list[str], tmp_path: Path):
    states.prepare(encoder, TEXTS)
    encoders.bert(tmp_path / "other", seed=9)
    states.prepare(find(str(tmp_path / "other")), TEXTS)
    assert asked == [*TEXTS, *TEXTS]


def test_what_stops_the_work_loses_only_what_was_not_written(
    encoder: TextEncoder, asked: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(states, "PACK", 2)

    def stop(done: int, total: int) -> None:
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        states.prepare(encoder, TEXTS, stop)
    root = files.cache() / "text" / encoder.fingerprint
    (root / f"{files.WRITING}half").mkdir()  # a killed writer's
    states.prepare(encoder, TEXTS)
    assert asked == [*TEXTS, *TEXTS[2:]]
    assert len([path for path in root.iterdir() if not path.name.startswith(".")]) == 2


def test_captions_are_unique_texts():
    found = collect([("a cat",), (), ("a dog", "a cat", "home"), (), ("a cat",)])
    assert found.texts == ("a cat", "a dog", "home")
    assert found.starts.tolist() == [0, 1, 1, 4, 4, 5]
    assert found.numbers.tolist() == [0, 1, 0, 2, 0]
    pictures, share = np.array([0, 1, 2, 2, 2, 4]), np.array([0.99, 0.5, 0.0, 0.34, 0.99, 0.1])
    assert found.choose(pictures, share).tolist() == [0, NONE, 1, 0, 2, 0]
    nothing = collect([(), ()])
    assert nothing.choose(np.array([1, 0]), np.zeros(2)).tolist() == [NONE, NONE]
