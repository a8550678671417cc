"""A caption claims what it says it claims, in grammatical and varied words."""

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.made.faces.attributes import ATTRIBUTES, HIDDEN, Face, draw
from phosphene.data.made.faces.caption import ABSENT, SAID, caption, claims, finished, listed, paraphrase
from phosphene.data.made.faces.words import ASKED, SPOKEN, everything

COUNT = 1500


@cache
def described(write) -> list[tuple[Face, str, dict[str, str]]]:
    rows = []
    for number in range(COUNT):
        random = np.random.default_rng([3, number])
        face = draw(random)
        rows.append((face, *write(face, random)))
    return rows


@pytest.fixture(scope="module", params=[caption, paraphrase], ids=["caption", "paraphrase"])
def rows(request):
    return described(request.param)


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text.lower()))


def test_a_caption_claims_exactly_what_it_says_and_that_is_true(rows):
    for face, text, said in rows:
        assert claims(text) == said, text
        assert said, text
        assert said.items() <= face._asdict().items()


def test_grammar(rows):
    for _, text, _ in rows:
        assert text[0].isupper(), text
        assert text.endswith("."), text
        assert "person" in text.lower(), text
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]|  |, ,|,\.|\.\.|\{| ,|\band and\b", text), text
        assert text.count("person") <= 3


def test_how_often_an_attribute_is_said(rows):
    """Three quarters of the time on average; three tenths of that for what is absent; hidden eyes never."""
    for name, values in ATTRIBUTES.items():
        for value in values:
            those = [said for face, _, said in rows if getattr(face, name) == value]
            share = sum(name in said for said in those) / len(those)
            if value == HIDDEN:
                assert share == 0
                continue
            expected = np.mean(SAID) * (ABSENT if value == "none" else 1)
            # A caption that would say nothing says one thing: less than one in a hundred.
            assert abs(share - expected) < 4 * (expected * (1 - expected) / len(those)) ** 0.5 + 0.005


def test_orders_and_forms_vary(rows):
    texts = Counter(text for _, text, _ in rows)
    assert len(texts) > 0.95 * COUNT
    openings = Counter(" ".join(text.split()[:3]) for _, text, _ in rows)
    assert len(openings) >= 2


def test_every_plain_phrase_is_used():
    seen = {text.lower() for _, text, _ in described(caption)}
    joined = " | ".join(seen)
    without_colours = [phrase.text for name in ("skin", "accessory", "beard", "mouth", "eyes")
                       for phrase in everything(SPOKEN) if name in phrase.claims]  # fmt: skip
    assert len(without_colours) > 50
    missing = [text for text in without_colours if re.sub("^an? ", "", text) not in joined]
    assert not missing


def test_no_paraphrase_can_be_said_in_words_of_training():
    plain = set().union(*(words(text) for _, text, _ in described(caption)))
    plain |= set().union(*(words(phrase.text) for phrase in everything(SPOKEN)))
    for phrase in everything(ASKED):
        assert words(phrase.text) - plain, phrase
    for values in ASKED.colours.values():
        for colours in values.values():
            assert not any(words(colour) & plain for colour in colours)
    for _, text, _ in described(paraphrase):
        assert words(text) - plain


def test_every_value_has_words_in_both_manners():
    for lexicon in (SPOKEN, ASKED):
        said = {(name, value) for phrase in everything(lexicon) for name, value in phrase.claims.items()}
        assert said == {
            (name, value) for name, values in ATTRIBUTES.items() for value in values if value != HIDDEN
        }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A dog on a skateboard.", {}),
        ("an afro", {"hair": "afro"}),
        ("a person with a ginger afro", {"hair": "afro", "hair_colour": "red"}),
        ("a person with pink hair", {"hair_colour": "pink"}),
        ("A smiling person in a gray hoodie",
         {"mouth": "smile", "clothes": "hoodie", "clothes_colour": "gray"}),
        ("person, white sunglasses", {"accessory": "white sunglasses"}),
        ("person, sunglasses, white background", {"accessory": "sunglasses"}),
        ("A WINKING  person, no beard", {"eyes": "wink", "beard": "none"}),
        ("long wavy brown hair under a sky-coloured backdrop",
         {"hair": "wavy", "hair_colour": "brown", "background": "blue"}),
        ("a non-smiling person", {}),
        ("closed eyes, then wide eyes", {"eyes": "wide"}),
        ("a blazer over a shirt", {"clothes": "blazer"}),
        ("a blazer over a white shirt", {"clothes": "blazer", "clothes_colour": "white"}),
    ],
)  # fmt: skip
def test_claims_of_captions_by_hand(text, expected):
    assert claims(text) == expected


@given(st.text())
def test_any_text_can_be_read(text):
    for name, value in claims(text).items():
        assert value in ATTRIBUTES[name]


def test_finish():
    assert (
        finished("a afro. the person has a red bob and a eye")
        == "An afro. The person has a red bob and an eye."
    )
    assert [listed(list(text)) for text in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
