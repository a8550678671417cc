"""Edits of faces: what is said is what is done, and nothing else."""

import json

import numpy as np
import pytest
from PIL import Image

from phosphene.data.made.faces.attributes import ATTRIBUTES, HIDDEN, Face, draw, held_out, withheld
from phosphene.data.made.faces.edit import Edit, apply, instruct, parse, wordings
from phosphene.data.made.faces.edit import draw as draw_edit
from phosphene.data.made.faces.layers import render
from phosphene.data.made.faces.words import ASKED, SPOKEN
from phosphene.data.made.sets import make_set

FACE = Face("bob", "black", "tan", "none", "none", "smile", "open", "hoodie", "blue", "gray")


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("make the hair red", {"hair_colour": "red"}),
        ("dye the hair ginger", {"hair_colour": "red"}),
        ("add round glasses", {"accessory": "round glasses"}),
        ("add glasses", {"accessory": "round glasses"}),
        ("give the person a beard", {"beard": "short beard"}),
        ("put sunglasses on the person", {"accessory": "sunglasses", "eyes": HIDDEN}),
        ("give the person a moustache", {"beard": "moustache"}),
        ("Give the person an afro", {"hair": "afro"}),
        ("make the person screaming", {"mouth": "scream"}),
        ("change the clothes to a t-shirt", {"clothes": "t-shirt"}),
        ("make the clothes pink", {"clothes_colour": "pink"}),
        ("change the background to pale green", {"background": "green"}),
        ("change the clothes to dungarees", {"clothes": "overalls"}),
    ],
)
def test_what_is_asked_is_done(text, changes):
    assert apply(parse(text), FACE) == FACE._replace(**changes)


def test_what_was_added_is_removed():
    bearded = FACE._replace(accessory="round glasses", beard="long beard")
    assert apply(parse("take off the glasses"), bearded) == bearded._replace(accessory="none")
    assert apply(parse("shave off the beard"), bearded) == bearded._replace(beard="none")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit("hair", "bob"), "hair bob: so it is already"),
        (Edit("eyes", HIDDEN), "eyes hidden: sunglasses hide them"),
    ],
)
def test_what_cannot_be_done(edit, words):
    with pytest.raises(ValueError, match=words):
        apply(edit, FACE)


@pytest.mark.parametrize("edit", [Edit("eyes", "wink"), Edit("accessory", "none")])
def test_hidden_eyes_are_not_made_up(edit):
    with pytest.raises(ValueError, match="nobody knows the eyes behind the sunglasses"):
        apply(edit, apply(Edit("accessory", "sunglasses"), FACE))
    dark = apply(Edit("accessory", "sunglasses"), FACE)
    assert apply(Edit("accessory", "white sunglasses"), dark) == dark._replace(accessory="white sunglasses")


def test_every_wording_is_read_back_and_paraphrases_are_new():
    every = [Edit(name, to) for name, values in ATTRIBUTES.items() for to in values if to != HIDDEN]
    plain = {text for edit in every for text in wordings(edit, SPOKEN)}
    for edit in every:
        for lexicon in (SPOKEN, ASKED):
            assert wordings(edit, lexicon)
            assert all(parse(text) == edit for text in wordings(edit, lexicon))
        assert not plain & set(wordings(edit, ASKED))
    with pytest.raises(ValueError, match="instruction 'make it nice': not of a form"):
        parse("make it nice")


def test_drawn_edits_change_one_attribute():
    random = np.random.default_rng(0)
    for _ in range(300):
        before = draw(random)
        edit, after = draw_edit(before, random)
        changed = {name for name in ATTRIBUTES if getattr(before, name) != getattr(after, name)}
        assert changed - {"eyes"} == {edit.name} - {"eyes"}
        assert parse(instruct(edit, random)) == edit


def test_triples_are_exact(tmp_path):
    made = make_set("faces", out=tmp_path / "faces", count=60, size=32, edits=True, seed=2)
    sides = {}
    for side in ("train", "held-out"):
        lines = (made / side / "metadata.jsonl").read_text("utf-8").splitlines()
        rows = {row["file_name"]: row for row in map(json.loads, lines)}
        targets = [row for row in rows.values() if "instruction" in row]
        assert len(rows) == 2 * len(targets)
        sides[side] = set()
        for row in targets:
            before, after = (Face(*(one[name] for name in ATTRIBUTES)) for one in (rows[row["source"]], row))
            assert apply(parse(row["instruction"]), before) == after
            assert row["edit"] == parse(row["instruction"]).name
            if side == "held-out":
                assert apply(parse(row["paraphrased_instruction"]), before) == after
            else:
                assert not withheld(after)
                assert not held_out(after, 0.1)
            assert held_out(before, 0.1) == (side == "held-out")
            for one in (rows[row["source"]], row):
                with Image.open(made / side / one["file_name"]) as image:
                    face = Face(*(one[name] for name in ATTRIBUTES))
                    assert (np.asarray(image) == np.asarray(render(face, 32))).all()
            sides[side].add(before.key)
    assert not sides["train"] & sides["held-out"]
    assert len(sides["train"]) + len(sides["held-out"]) == 60
    assert len(sides["held-out"]) > 2
