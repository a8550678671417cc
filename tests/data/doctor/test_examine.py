"""Counted by hand: what the doctor says of small sets."""

import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from phosphene.data.cache import prepare
from phosphene.data.doctor.enough import enough, middle
from phosphene.data.doctor.examine import examine
from phosphene.data.doctor.result import Diagnosis, Finding, from_json, spread
from phosphene.data.sources import find
from phosphene.recipes.presets import FLOW
from phosphene.recipes.settings import changed
from tests.cli.test_photographs import folder as folder  # the fixture
from tests.data.doctor.planted import fields, png, source

SMALL = changed(FLOW, {"data.size": 16})


def kinds(about: Diagnosis) -> dict[str, tuple[str, int]]:
    return {finding.kind: (finding.severity, finding.count) for finding in about.findings}


def test_an_album_in_every_state(folder):
    about = examine(find(folder), SMALL)
    assert kinds(about) == {
        "memorisation": ("warning", 40),
        "unreadable": ("warning", 3),
        "copies": ("warning", 1),
        "near-copies": ("warning", 3),
        "label-conflict": ("warning", 2),
        "missing-captions": ("warning", 43),
        "grey-and-colour": ("warning", 2),
        "transparency": ("warning", 1),
    }
    data = prepare(find(folder), 16)
    assert (about.found, about.used) == (data.report.found, data.report.used)
    assert [(one.name, one.reason) for one in about.unreadable] == [*data.report.unreadable]
    assert about.colours.training == {1: "L", 3: "RGB", 4: "RGBA"}[data.channels]
    assert {cluster.names: cluster.kind for cluster in about.clusters} == {
        ("home/01.jpg", "home/again.jpg"): "same bytes",
        ("holiday/04.jpg", "holiday/web.webp"): "near",
        ("holiday/06.jpg", "holiday/palette.gif"): "near",
        ("holiday/press.jpg", "home/05.jpg"): "near",
    }
    assert about.code == 1
    assert not about.healthy
    assert examine(find(folder), FLOW).size == prepare(find(folder)).size


def test_labels_captions_colours_and_crops_by_hand():
    images = fields(0, 12)
    files = {f"{i:02}.png": png(image) for i, image in enumerate(images)}
    files["10.png"] = png(images[10].convert("L"))
    files["11.png"] = png(images[11].convert("L").convert("RGB").resize((96, 48)))
    captions = (("one",), ("two words",), ("one",), (), (), *[("three",)] * 5, (), ())
    about = examine(
        source(
            files,
            labels=(0,) * 10 + (1, -1),
            classes=("a", "b"),
            captions=captions,
            blank=("03.png",),
        ),
        SMALL,
    )
    assert about.labels is not None
    assert about.labels.counts == {"a": 10, "b": 1}
    assert (about.labels.unlabelled, about.labels.imbalance) == (1, 10.0)
    share = np.array([10, 1]) / 11
    assert about.labels.effective == pytest.approx(math.exp(-(share * np.log(share)).sum()))
    told = about.captions
    assert told is not None
    assert (told.count, told.missing, told.empty, told.distinct, told.repeated) == (8, 3, 1, 3, 7)
    assert told.frequent == (("three", 5), ("one", 2))
    assert told.characters == spread(np.array([3, 9, 3, 5, 5, 5, 5, 5]))
    colours = about.colours
    assert (colours.modes, colours.grey, colours.grey_in_colour) == ({"L": 1, "RGB": 11}, 2, 1)
    cut = about.cropping
    assert (cut.cropped, cut.heavily, cut.enlarged, cut.mean) == (1, 1, 0, 0.5 / 12)
    assert [(one.name, one.width, one.height, one.lost) for one in cut.worst] == [("11.png", 96, 48, 0.5)]
    assert about.sizes.common == ((48, 48, 11), (96, 48, 1))
    assert about.sizes.bytes == sum(map(len, files.values()))
    assert kinds(about) == {
        "memorisation": ("warning", 12),
        "unlabelled": ("warning", 1),
        "missing-captions": ("warning", 3),
        "empty-captions": ("warning", 1),
        "grey-and-colour": ("warning", 2),
    }


def test_padding_loses_nothing_and_small_pictures_are_enlarged():
    files = {f"{i}.png": png(image.resize((64, 20))) for i, image in enumerate(fields(0, 9))}
    pad = changed(FLOW, {"data.size": 32, "data.fit": "pad"})
    cut = examine(source(files), pad).cropping
    assert (cut.mean, cut.cropped, cut.enlarged, cut.worst) == (0, 0, 0, ())
    about = examine(source(files), changed(FLOW, {"data.size": 32}))
    assert (about.cropping.mean, about.cropping.enlarged) == (1 - 20 / 64, 9)
    assert {kind for kind, (severity, _) in kinds(about).items() if severity == "warning"} == {
        "memorisation",
        "cropping",
        "enlarged",
    }


def test_what_cannot_be_trained_on():
    one = png(fields(0, 1)[0])
    about = examine(source({"a.png": one, "b.png": one}), SMALL)
    assert about.findings[0].severity == "error"
    assert about.code == 2
    with pytest.raises(
        ValueError, match=r"^none of the 2 pictures of memory can be read: a.png: .*not a pic"
    ):
        examine(source({"a.png": b"", "b.png": b""}), SMALL)


def test_a_large_enough_set_is_healthy(monkeypatch):
    files = {f"{i}.png": png(image) for i, image in enumerate(fields(0, 40))}
    about = examine(source(files), SMALL, wanted=4000)
    assert (about.findings, about.healthy, about.code) == ((), True, 0)


@pytest.mark.parametrize(
    ("distinct", "wanted", "verdict"),
    [(10, 1000, "enough"), (10, 1001, "borderline"), (10, 10_000, "borderline"), (10, 10_001, "too few")],
)
def test_when_copying_begins_is_proportional_to_the_set(distinct, wanted, verdict):
    found = enough(distinct, wanted)
    assert (found.low, found.high, found.verdict) == (100 * distinct, 1000 * distinct, verdict)
    assert enough(2 * distinct, wanted).low == 2 * found.low
    assert enough(found.needed, wanted).verdict == "enough"
    assert enough(found.needed - 1, wanted).verdict != "enough"
    assert middle(found) == round(math.sqrt(found.low * found.high))


def test_json_comes_back_and_has_the_documented_fields(folder):
    about = examine(find(folder), SMALL)
    values = json.loads(about.to_json())
    assert values.pop("code") == about.code
    assert set(values) == {field.name for field in dataclasses.fields(Diagnosis)}
    schema = TypeAdapter(Diagnosis).json_schema()
    assert set(schema["required"]) == set(values) - {"proposal"}
    assert from_json(about.to_json()) == about
    values["used"] = "many"
    with pytest.raises(ValueError, match="used"):
        from_json(json.dumps(values))


def test_names_that_are_no_utf8_survive_json():
    image = png(fields(0, 1)[0])
    about = examine(source({"a\udcff.png": image, "b.png": image, "c.png": b""}), SMALL)
    assert about.clusters[0].names == ("a\udcff.png", "b.png")
    text = about.to_json()
    assert text.isascii()
    assert from_json(text) == about


def test_all_findings_are_frozen_plain_data(folder):
    about = examine(find(folder), SMALL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        about.used = 3  # type: ignore[misc]
    assert all(isinstance(finding, Finding) for finding in about.findings)
    assert Image.MAX_IMAGE_PIXELS  # opening left Pillow's own limit alone
