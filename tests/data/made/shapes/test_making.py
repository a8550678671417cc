"""The set: sides that share no scene, rows that tell the truth, the same bytes for the same seed."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phosphene.data.made.folder import Order, is_held_out
from phosphene.data.made.sets import make_set
from phosphene.data.made.shapes.caption import parse
from phosphene.data.made.shapes.edit import apply
from phosphene.data.made.shapes.edit import parse as parse_instruction
from phosphene.data.made.shapes.making import edits, shapes
from phosphene.data.made.shapes.oracle import accepts
from phosphene.data.made.shapes.render import render
from phosphene.data.made.shapes.scene import WITHHELD, from_fields
from phosphene.data.made.shapes.words import FUNCTION, PLAIN, VARIED
from tests.data.made.shapes.test_caption import vocabulary

SIDES = ("train", "held-out", "withheld")


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text("utf-8").splitlines()]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def withheld(row: dict) -> bool:
    return any((thing["colour"], thing["shape"]) in WITHHELD for thing in row["things"])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_set("shapes", out=tmp_path_factory.mktemp("made") / "shapes", count=60, size=32, held_out=0.3)


def test_rows_tell_what_the_pictures_show(made):
    for side in SIDES:
        for row in rows(made / side):
            picture = pixels(made / side / row["file_name"])
            scene = from_fields(row)
            assert (picture == render(scene, 32)).all()
            assert accepts(row["text"], picture).accepted
            assert withheld(row) == (side == "withheld")
            assert ("paraphrase" in row) == (side != "train")
            if side != "train":
                assert parse(row["paraphrase"]) == parse(row["text"])
            assert [thing["place"] for thing in row["things"]] == [thing.place for thing in scene.things]


def test_half_of_trainings_captions_are_in_varied_words_and_no_others():
    """Words that only VARIED has: in train alone, and there in fewer than half, as some of its captions have
    none of them."""
    varied = vocabulary(VARIED) - vocabulary(PLAIN) - FUNCTION
    said = Counter[str]()
    for picture in shapes(Order(400, 32, 0, 0.3)).pictures:
        said[picture.side] += 1
        said[f"varied {picture.side}"] += bool(
            varied & {*str(picture.fields["text"]).replace(",", "").split()}
        )
    assert 0.35 < said["varied train"] / said["train"] < 0.55
    assert said["varied held-out"] == said["varied withheld"] == 0


def test_counts_and_settings(made):
    settings = json.loads((made / "made.json").read_text())
    assert settings["sides"] == {side: len(rows(made / side)) for side in settings["sides"]}
    assert settings["sides"]["train"] + settings["sides"]["held-out"] == 60
    assert settings["sides"]["withheld"] == 18
    assert 8 <= settings["sides"]["held-out"] <= 28
    assert settings["withheld"] == sorted(" ".join(pair) for pair in WITHHELD)
    assert {path.name for path in made.iterdir()} == {*SIDES, "README.md", "made.json"}


def test_no_scene_is_on_two_sides_whatever_the_seed():
    keys: dict[str, set[str]] = {}
    for seed in (0, 1):
        for picture in shapes(Order(300, 32, seed, 0.3)).pictures:
            keys.setdefault(picture.side, set()).add(from_fields(picture.fields).key)
    assert not keys["train"] & keys["held-out"]
    assert not keys["train"] & keys["withheld"]
    assert len(keys["train"]) > 300


def test_the_same_seed_makes_the_same_bytes_and_more_adds(made, tmp_path):
    names = {path.relative_to(made) for path in made.rglob("*.*")}
    again = make_set("shapes", out=tmp_path / "again", count=60, size=32, held_out=0.3)
    assert names == {path.relative_to(again) for path in again.rglob("*.*")}
    for name in names:
        assert (made / name).read_bytes() == (again / name).read_bytes()
    fewer = make_set("shapes", out=tmp_path / "fewer", count=20, size=32, held_out=0.3)
    for path in fewer.rglob("*.png"):
        assert path.read_bytes() == (made / path.relative_to(fewer)).read_bytes()
    other = make_set("shapes", out=tmp_path / "other", count=20, size=32, seed=1)
    assert rows(other / "train")[0] != rows(made / "train")[0]


def test_another_size_shows_the_same_scenes(made):
    larger = [picture.fields for picture in shapes(Order(60, 40, 0, 0.3)).pictures if picture.side == "train"]
    assert [
        {"file_name": row["file_name"], **fields}
        for row, fields in zip(rows(made / "train"), larger, strict=True)
    ] == rows(made / "train")


def test_nothing_is_withheld_where_nothing_is_held_out():
    assert {picture.side for picture in shapes(Order(30, 32, 0, 0.0)).pictures} == {"train"}
    assert {picture.side for picture in edits(Order(30, 32, 0, 0.0)).pictures} == {"train"}


def test_triples(tmp_path):
    folder = make_set("shapes", out=tmp_path / "edits", count=80, size=32, held_out=0.2, edits=True)
    seen: dict[str, set[str]] = {}
    triples = 0
    for side in SIDES:
        named = {row["file_name"]: row for row in rows(folder / side)}
        assert {path.name for path in (folder / side).glob("*.png")} == set(named)
        for row in named.values():
            assert withheld(row) or side != "withheld" or row["file_name"].endswith("target.png")
            assert not withheld(row) or side == "withheld"
            assert accepts(row["text"], pixels(folder / side / row["file_name"])).accepted
            assert side != "train" or not is_held_out(from_fields(row).key, 0.2)
            seen.setdefault(side, set()).add(from_fields(row).key)
        for row in (row for row in named.values() if "instruction" in row):
            triples += 1
            assert row["file_name"] == row["target"] == row["source"].replace("source", "target")
            edit = parse_instruction(row["instruction"])
            assert edit.kind == row["edit"]
            before, after = from_fields(named[row["source"]]), from_fields(row)
            target = apply(edit, before)
            assert target.key == after.key
            assert target.background == after.background
            if side == "held-out":
                assert before.key not in seen["train"]
    assert triples == 80 + 16
    assert json.loads((folder / "made.json").read_text())["edits"] is True
    assert "--edits" in (folder / "README.md").read_text()


def test_smaller_pictures_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^size 31 of shapes: give 32 to 512 pixels$"):
        make_set("shapes", out=tmp_path / "x", size=31)
