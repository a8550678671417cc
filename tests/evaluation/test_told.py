"""Captions judged against pictures whose scenes and faces are known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from phosphene.data.made.shapes import caption, claims
from phosphene.data.made.shapes.drawing import scene
from phosphene.data.made.shapes.render import render
from phosphene.evaluation.answers import read_by
from phosphene.evaluation.subject import Subject
from phosphene.evaluation.told import ALL, faces_told, rgb, shapes_told
from phosphene.measures import attributes


@pytest.fixture(scope="module")
def scenes() -> tuple[np.ndarray, list[str]]:
    rngs = [np.random.default_rng(seed) for seed in range(24)]
    drawn = [scene(rng) for rng in rngs]
    said = [caption.say(claims.claim(one, rng), rng) for one, rng in zip(drawn, rngs, strict=True)]
    return np.stack([render(one, 64).transpose(2, 0, 1) for one in drawn]), said


def test_shapes_show_what_is_said_of_them(scenes):
    pictures, said = scenes
    judged = shapes_told(pictures, said)
    assert set(judged) == {ALL, *claims.ASPECTS}
    assert all(right == [True] * 24 for right in judged.values())
    moved = shapes_told(pictures, [*said[1:], said[0]])
    assert sum(moved[ALL]) <= 1
    # All is right where every aspect is.
    by_aspect = np.array([moved[aspect] for aspect in claims.ASPECTS])
    assert by_aspect.all(0).tolist() == moved[ALL]


def test_what_nobody_can_judge_is_left_out(scenes):
    pictures, said = scenes
    judged = shapes_told(pictures[:3], [said[0], None, "what a day"])
    assert judged[ALL] == [True]
    grey = np.zeros((2, 1, 8, 8), np.uint8)
    assert rgb(grey).shape == (2, 3, 8, 8)


def test_faces_show_what_is_said_of_them():
    from phosphene.data.made.faces import attributes, layers
    from phosphene.data.made.faces import caption as words

    rngs = [np.random.default_rng(seed) for seed in range(6)]
    faces = [attributes.draw(rng) for rng in rngs]
    said = [words.caption(face, rng) for face, rng in zip(faces, rngs, strict=True)]
    pictures = np.stack([np.asarray(layers.render(face, 64)).transpose(2, 0, 1) for face in faces])
    texts = [text for text, _ in said]
    judged = faces_told(pictures, texts)
    assert judged[ALL] == [True] * 6
    counts = {name: sum(name in claimed for _, claimed in said) for name in attributes.ATTRIBUTES}
    assert {name: len(right) for name, right in judged.items() if name != ALL} == {
        name: count for name, count in counts.items() if count
    }
    assert not all(faces_told(pictures, [*texts[1:], texts[0]])[ALL])


@pytest.mark.parametrize(("made", "reads"), [("faces", True), ("shapes", False), (None, False)])
def test_figures_of_faces_bear_the_network_that_read_them(tmp_path, made, reads):
    """Balance and clarity too, not only what is as told."""
    if made is not None:
        (tmp_path / "made.json").write_text(json.dumps({"set": made}))
    subject = object.__new__(Subject)
    object.__setattr__(subject, "data", SimpleNamespace(where=str(tmp_path)))
    assert read_by(subject) == (attributes.name() if reads else None)
