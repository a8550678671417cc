"""phosphene data faces: the folder, its fields, its splits."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from phosphene.data.made.faces.attributes import ATTRIBUTES, Face, held_out, withheld
from phosphene.data.made.faces.caption import claims
from phosphene.data.made.faces.layers import render
from phosphene.data.made.folder import read_made
from phosphene.data.made.sets import make_set


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_set("faces", out=tmp_path_factory.mktemp("made") / "faces", count=120, size=32, seed=4)


def rows(side):
    return [json.loads(line) for line in (side / "metadata.jsonl").read_text("utf-8").splitlines()]


def face_of(row):
    return Face(*(row[name] for name in ATTRIBUTES))


def test_metadata_is_exact(made):
    for side in ("train", "held-out"):
        for row in rows(made / side):
            face = face_of(row)
            with Image.open(made / side / row["file_name"]) as image:
                assert (np.asarray(image) == np.asarray(render(face, 32))).all()
            assert claims(row["text"]) == {name: row[name] for name in row["claims"]}
            assert held_out(face, 0.1) == (side == "held-out")
            assert ("paraphrase" in row) == (side == "held-out")
            if side == "held-out":
                said = {name: row[name] for name in row["paraphrase_claims"]}
                assert claims(row["paraphrase"]) == said
                assert row["withheld"] == withheld(face)
            else:
                assert not withheld(face)


def test_splits_share_no_combination(made):
    sides = [{face_of(row).key for row in rows(made / side)} for side in ("train", "held-out")]
    assert not sides[0] & sides[1]
    assert sum(map(len, sides)) == 120
    assert len(sides[1]) > 5


def test_what_the_folder_says_of_itself(made):
    settings = read_made(made / "train")
    assert settings is not None
    assert settings["set"] == "faces"
    assert settings["attributes"] == {name: list(values) for name, values in ATTRIBUTES.items()}
    assert {"hair": "afro", "hair_colour": "pink"} in settings["withheld"]
    words = (made / "README.md").read_text("utf-8")
    for said in ("Pablo Stanley", "free for personal and commercial use", "`withheld`", "topknot"):
        assert said in words


def test_the_same_again_and_more(made, tmp_path):
    again = make_set("faces", out=tmp_path / "again", count=120, size=32, seed=4)
    more = make_set("faces", out=tmp_path / "more", count=140, size=32, seed=4)
    other = make_set("faces", out=tmp_path / "other", count=8, size=32, seed=5)

    def contents(folder):
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}

    first = contents(made)
    assert contents(again) == first
    assert (again / "train/metadata.jsonl").read_bytes() == (made / "train/metadata.jsonl").read_bytes()
    assert contents(more).items() >= first.items()
    assert not set(contents(other).values()) & set(first.values())


def test_without_the_extra_a_line_says_what_to_install(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("phosphene.data.made.faces.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "python_avatars", None)
    with pytest.raises(ValueError, match=r"needs python_avatars.*pip install 'phosphene\[faces\]'"):
        make_set("faces", out=tmp_path / "faces", count=2)
    assert not (tmp_path / "faces").exists()
