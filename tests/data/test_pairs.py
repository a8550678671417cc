"""Pairs: pictures that are told which other they were made from, from a folder to batches."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from phosphene.data import load, loader
from phosphene.data.annotations import Columns, Said, read_metadata
from phosphene.data.cache import prepare
from phosphene.data.made.sets import make_set
from phosphene.data.source import ALONE
from phosphene.data.sources import find
from phosphene.pictures.pixels import to_values
from phosphene.recipes.settings import DataSettings

PAIRS = Columns(pairs=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "cache"))


def folder(root, rows, pictures="abcd"):
    """Pictures a.png, b.png, ... in plain greys 10, 20, ..., and what is said of them."""
    root.mkdir()
    for number, name in enumerate(pictures, 1):
        Image.new("L", (8, 8), 10 * number).save(root / f"{name}.png")
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def test_a_row_names_the_picture_before(tmp_path):
    rows = [
        {"file_name": "a.png", "text": "a picture"},
        {"file_name": "b.png", "source": "a.png", "instruction": "brighten it", "text": "brighter"},
        {"file_name": "d.png", "source": "c.png", "instruction": "brighten it"},
    ]
    found = find(folder(tmp_path / "set", rows), PAIRS)
    assert found.before == (ALONE, 0, ALONE, 2)
    # A picture that was made from none is shown to nobody: its caption says what it shows, not what to do.
    assert found.captions == ((), ("brighten it",), (), ("brighten it",))
    plain = find(tmp_path / "set")
    assert plain.before is None
    assert plain.captions == (("a picture",), ("brighter",), (), ())


@pytest.mark.parametrize("field", ["source", "before", "edit_of", "input_image"])
@pytest.mark.parametrize("words", ["instruction", "edit_prompt", "text"])
@pytest.mark.parametrize("after", ["file_name", "edited_image"])
def test_fields_that_are_in_use(field, words, after):
    line = json.dumps({after: "x/b.png", field: "../a.png", words: "do it", "caption": "nothing"})
    (row,) = read_metadata("in/metadata.jsonl", line.encode(), PAIRS)
    assert row == ("in/x/b.png", Said(("do it",), None, "a.png"))


def test_fields_that_are_named():
    columns = Columns(text="wish", pairs=True, before="from")
    line = b'{"file_name": "b.png", "from": "a.png", "source": "a web site", "wish": "do it", "text": "no"}'
    assert read_metadata("metadata.jsonl", line, columns)[0] == ("b.png", Said(("do it",), None, "a.png"))
    # Without pairs the same field is anything: it is not read.
    assert read_metadata("metadata.jsonl", line)[0].said.made_from is None


def test_tables_name_them_too():
    table = b"edited_image,input_image,edit_prompt\nb.png,a.png,do it\nc.png,,nothing\n"
    rows = read_metadata("metadata.csv", table, PAIRS)
    assert rows == [("b.png", Said(("do it",), None, "a.png")), ("c.png", Said(("nothing",)))]
    with pytest.raises(ValueError, match="line 1: no column file_name"):
        read_metadata("metadata.csv", table)


def test_what_is_wrong_is_said(tmp_path):
    rows = [
        {"file_name": "b.png", "source": "a.png"},
        {"file_name": "c.png", "source": "z.png"},
        {"file_name": "d.png", "source": "y.png"},
    ]
    found = find(folder(tmp_path / "set", rows), PAIRS)
    assert found.before == (ALONE, 0, ALONE, ALONE)
    assert found.problems == ("2 pictures were made from one that is not here, the first z.png",)
    with pytest.raises(ValueError, match=r"data\.pairs: no picture of .* says which other it was made from"):
        find(folder(tmp_path / "none", [{"file_name": "a.png", "text": "a"}]), PAIRS)
    with pytest.raises(ValueError, match=r"metadata\.jsonl line 1: source 3 is not the name of a picture"):
        read_metadata("metadata.jsonl", b'{"file_name": "a.png", "source": 3}', PAIRS)


def test_a_pair_without_its_first_picture_is_not_learned(tmp_path):
    rows = [{"file_name": "b.png", "source": "a.png"}, {"file_name": "d.png", "source": "c.png"}]
    root = folder(tmp_path / "set", rows)
    (root / "a.png").write_bytes(b"no picture")
    data = prepare(find(root, PAIRS), 8)
    assert data.names == ("b.png", "c.png", "d.png")
    assert data.before is not None
    assert data.before.tolist() == [ALONE, ALONE, 1]
    assert data.learned.tolist() == [2]


def test_both_are_decoded_once(tmp_path):
    rows = [{"file_name": "b.png", "source": "a.png"}]
    root = folder(tmp_path / "set", rows)
    both = [prepare(find(root, columns), 8) for columns in (PAIRS, Columns())]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert both[0].fingerprint != both[1].fingerprint
    assert both[1].before is None
    assert both[1].learned.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("resident", [0, loader.RESIDENT])
def test_a_batch_has_each_with_its_own_first(tmp_path, resident):
    make_set("shapes", out=tmp_path / "made", count=12, size=32, edits=True, held_out=0.0)
    settings = DataSettings(source=str(tmp_path / "made" / "train"), size=32, pairs=True)
    data = load.load(settings)
    training, held_out = data.split(0.2)
    assert sorted([*training, *held_out]) == data.learned.tolist()
    assert all(data.names[number].endswith("target.png") for number in data.learned)
    batches = loader.Loader(data, training, 4, 0, "cpu", resident=resident)
    rows = batches.batch(3)
    batches.close()
    assert rows.before is not None
    for row, number in enumerate(rows.numbers.tolist()):
        first = data.names[number].replace("target", "source")
        pixels = np.asarray(Image.open(tmp_path / "made" / "train" / first)).transpose(2, 0, 1)
        assert torch.equal(rows.before[row], to_values(torch.tensor(pixels)))
    again = loader.rows_of(data, rows.numbers.numpy(), torch.device("cpu"))
    assert again.before is not None
    assert torch.equal(again.before, rows.before)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"flip": True}, "flip True: not with pairs"),
        ({"augment": 0.1}, "augment 0.1: not with pairs"),
    ],
)
def test_pairs_stay_as_they_are(more, words):
    with pytest.raises(ValueError, match=words):
        DataSettings(pairs=True, **more)
