"""The reader of faces is as good as its card says, and agreement counts what it should."""

import json
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from phosphene import files
from phosphene.data.made.faces.attributes import ATTRIBUTES, Face, draw
from phosphene.measures import attributes
from phosphene.measures.attributes import WEIGHTS, Reader, Readings, accuracy, agreement, read
from phosphene.measures.train_attributes import (
    TESTING,
    Examined,
    blurred,
    card,
    conditions,
    drawn,
    examine,
    labels,
    train,
    worn,
)
from phosphene.pictures.pixels import to_values

FRESH, COUNT = 987_654, 300


@pytest.fixture(scope="module")
def fresh():
    return drawn(FRESH, range(COUNT))


def test_stated_accuracy_holds_on_fresh_renders(fresh):
    pictures, faces = fresh
    readings = read(pictures)
    found = agreement(readings, [face._asdict() for face in faces])
    stated = accuracy()
    assert found.claims == 10 * COUNT
    for name, share in found.by_attribute.items():
        assert share >= stated[name] - 4 * np.sqrt(stated[name] * (1 - stated[name]) / COUNT) - 1 / COUNT, (
            name
        )
    assert found.share >= 0.99
    assert np.mean([*stated.values()]) >= 0.99


def test_the_card_is_of_these_weights():
    card = WEIGHTS.with_suffix(".md").read_text("utf-8")
    assert files.sha256(WEIGHTS) in card
    assert attributes.name() == f"face-reader-{files.sha256(WEIGHTS)[:8]}"
    assert WEIGHTS.stat().st_size < 1.1e6
    for name in conditions():
        assert set(accuracy(name)) == set(ATTRIBUTES)
        for value in accuracy(name).values():
            assert f"{100 * value:.2f}" in card


def test_the_card_is_written_from_its_figures():
    facts = json.loads(WEIGHTS.with_suffix(".json").read_text("utf-8"))
    examined = {name: Examined(each, Counter()) for name, each in facts.pop("accuracy").items()}
    written = WEIGHTS.with_suffix(".md").read_text("utf-8")
    assert card(facts, examined).split("What was misread")[0] == written.split("What was misread")[0]


@pytest.mark.slow
def test_the_card_can_be_made_again():
    for name, (size, wear) in conditions().items():
        again = examine(attributes.load(), size, wear).accuracy
        assert np.mean([*again.values()]) == pytest.approx(np.mean([*accuracy(name).values()]), abs=0.002)


class Stubborn(Reader):
    """Reads the first value of every attribute in whatever it is shown."""

    def forward(self, values):
        first = [torch.eye(1, len(each)) for each in ATTRIBUTES.values()]
        return torch.cat(first, dim=1).expand(len(values), -1)


def test_examining_counts_every_render_once():
    count = 270  # more than are drawn at a time
    faces = [draw(np.random.default_rng([TESTING, number])) for number in range(count)]
    found = examine(Stubborn(), 16, lambda values: values, count)
    for name, values in ATTRIBUTES.items():
        drawn_ = Counter(getattr(face, name) for face in faces)
        assert found.accuracy[name] == drawn_[values[0]] / count
        misread = {value: found.misread[f"{name} {value} as {values[0]}"] for value in values[1:]}
        assert misread == {value: drawn_[value] for value in values[1:]}
        assert f"{name} {values[0]} as {values[0]}" not in found.misread


def test_pictures_that_are_not_square_are_brought_to_its_square(fresh):
    wide = fresh[0][:4, :, 8:40]
    resized = interpolate(to_values(wide), (64, 64), mode="bilinear", antialias=True)
    network = attributes.load()
    with torch.inference_mode():
        expected = attributes.by_attribute(network(resized))
    for name, chances in read(wide).probabilities.items():
        torch.testing.assert_close(chances, expected[name].softmax(1))


@pytest.mark.parametrize("size", [32, 48, 96])
def test_other_sizes_are_read_too(size):
    pictures, faces = drawn(FRESH, range(60), size)
    found = agreement(read(pictures), [face._asdict() for face in faces])
    assert found.share > (0.93 if size == 32 else 0.97)


def test_readings(fresh):
    pictures, _ = fresh
    whole, parts = read(pictures[:20]), read(pictures[:20], batch=7)
    for name, values in ATTRIBUTES.items():
        chances = whole.probabilities[name]
        assert chances.shape == (20, len(values))
        assert torch.allclose(chances.sum(1), torch.ones(20))
        assert torch.allclose(chances, parts.probabilities[name], atol=1e-5)
    assert whole.faces()[3] == Face(*(whole.values(name)[3] for name in ATTRIBUTES))
    assert read(pictures[:0]).faces() == []


def readings_of(faces: list[Face]) -> Readings:
    """Readings that are sure."""
    return Readings(
        {
            name: torch.nn.functional.one_hot(each, len(ATTRIBUTES[name])).float()
            for name, each in labels(faces).items()
        }
    )


def test_agreement_counts_claims(fresh):
    faces = fresh[1][:4]
    readings = readings_of(faces)
    assert readings.faces() == faces
    wrong = next(value for value in ATTRIBUTES["hair"] if value != faces[1].hair)
    claims: list[Mapping[str, str]] = [
        {"hair": faces[0].hair, "skin": faces[0].skin},
        {"hair": wrong, "skin": faces[1].skin},
        {"skin": faces[2].skin},
        {},
    ]
    found = agreement(readings, claims)
    assert found.claims == 5
    assert found.share == 4 / 5
    assert found.by_attribute == {"hair": 1 / 2, "skin": 1.0}
    assert found.whole == 2 / 3


def test_errors_name_what_is_accepted(fresh):
    readings = readings_of(fresh[1][:1])
    with pytest.raises(ValueError, match="claim hat='red'"):
        agreement(readings, [{"hat": "red"}])
    with pytest.raises(ValueError, match="claim hair='green'"):
        agreement(readings, [{"hair": "green"}])
    with pytest.raises(ValueError, match="claims: none"):
        agreement(readings, [{}])
    with pytest.raises(ValueError, match="at least 16"):
        read(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_training_is_a_function_of_its_seed():
    one, two = train(1, say=False).state_dict(), train(1, say=False).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_blur_keeps_flat_pictures_and_means_and_spreads_a_point():
    flat = torch.full((1, 3, 9, 9), 0.25)
    assert torch.allclose(blurred(flat, 0.8), flat)
    point = torch.zeros(1, 3, 9, 9)
    point[..., 4, 4] = 1
    spread = blurred(point, 0.8)
    assert torch.allclose(spread.sum((2, 3)), torch.ones(1, 3))
    # Along a row through the point a Gaussian falls by exp(-1 / (2 sigma^2)) a pixel away.
    assert torch.allclose(spread[..., 4, 5] / spread[..., 4, 4], torch.tensor(np.exp(-1 / 1.28)).float())


def test_wear_keeps_shape_and_range_and_moves_little(fresh):
    values = fresh[0][:8].float() / 127.5 - 1
    one, again = (worn(values, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, again)
    assert one.shape == values.shape
    assert one.abs().max() <= 1
    assert 0.02 < (one - values).abs().mean() < 0.4
