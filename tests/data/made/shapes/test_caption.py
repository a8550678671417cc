"""Captions: read back exactly, in both vocabularies, which share function words only."""

from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.made.shapes import drawing
from phosphene.data.made.shapes.caption import parse, say
from phosphene.data.made.shapes.claims import Claims, Group, claim, judge
from phosphene.data.made.shapes.scene import BACKGROUNDS, COLOURS, PLACES, RELATIONS, SHAPES, SIZES
from phosphene.data.made.shapes.words import FUNCTION, OTHER, PLAIN, VARIED, VOICES, Words

KINDS = {
    "colour": st.sampled_from(list(COLOURS)),
    "shape": st.sampled_from(SHAPES),
    "size": st.sampled_from([None, *SIZES]),
}
ONE = st.fixed_dictionaries({"count": st.just(1), **KINDS})
PLACED = st.fixed_dictionaries({"count": st.just(1), "place": st.sampled_from([None, *PLACES]), **KINDS})
SEVERAL = st.fixed_dictionaries({"count": st.integers(2, 4), **KINDS})
ANY = st.one_of(PLACED, SEVERAL)
SAID = st.one_of(
    st.tuples(st.tuples(ANY), st.none()),
    st.tuples(st.tuples(ANY, ANY), st.none()),
    st.tuples(st.tuples(ONE, ONE), st.sampled_from(RELATIONS)),
)


@given(
    SAID,
    st.sampled_from([None, *BACKGROUNDS]),
    st.integers(0, 2**32),
    st.sampled_from([PLAIN, VARIED, OTHER]),
)
def test_what_is_said_is_what_is_read(said, ground, seed, words):
    groups, relation = said
    claims = Claims(tuple(Group(**group) for group in groups), relation, ground)
    assert parse(say(claims, np.random.default_rng(seed), words)) == claims


@given(st.integers(0, 2**32), st.booleans())
def test_captions_are_true_of_their_scene(seed, withheld):
    rng = np.random.default_rng(seed)
    scene = drawing.scene(rng, withheld)
    for words in (PLAIN, VARIED, OTHER):
        assert judge(parse(say(claim(scene, rng), rng, words)), scene.background, scene.things).accepted


def test_sentences():
    assert parse("a small red circle in the top left corner on a white background") == Claims(
        (Group(1, "red", "circle", "small", "top left"),), None, "white"
    )
    assert parse("Three big blue stars") == Claims((Group(3, "blue", "star", "large"),))
    assert parse("a pink ring to the left of a green heart") == Claims(
        (Group(1, "pink", "ring"), Group(1, "green", "heart")), "left of"
    )
    assert parse("a green heart with a pink ring to its left") == parse("a pink ring left of a green heart")
    assert parse("on grey, in the center, there is an orange cross") == Claims(
        (Group(1, "orange", "cross", None, "center"),), None, "grey"
    )
    assert parse("a quartet of tiny navy plus signs before a dark wall") == Claims(
        (Group(4, "blue", "cross", "small"),), None, "black"
    )
    assert parse("two red circles and a small blue square at the top right") == Claims(
        (Group(2, "red", "circle"), Group(1, "blue", "square", "small", "top right"))
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a red elephant", "text 'a red elephant': cannot read 'elephant'"),
        ("a redcircle", "text 'a redcircle': cannot read 'redcircle'"),
        ("red circle", "caption 'red circle': not of the form"),
        ("a circle", "caption 'a circle': not of the form"),
        ("two red circle", "caption 'two red circle': not of the form"),
        ("a red circles", "caption 'a red circles': not of the form"),
        ("", "caption '': not of the form"),
        ("a red circle above two blue squares", "not of the form"),
        ("a red circle a blue square", "not of the form"),
    ],
)
def test_what_cannot_be_read_is_named(text, words):
    with pytest.raises(ValueError, match=r"^(caption|text) ") as error:
        parse(text)
    assert words in str(error.value)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with suppress(ValueError):
        assert isinstance(parse(text), Claims)


def vocabulary(words: Words) -> set[str]:
    phrases = [
        *(
            phrase
            for table in (
                words.colours,
                words.sizes,
                words.counts,
                words.places,
                words.relations,
                words.beside,
                words.grounds,
            )
            for said in table.values()
            for phrase in said
        ),
        *(form for forms in words.shapes.values() for pair in forms for form in pair),
        *words.openings,
        *words.there,
    ]
    return {word for phrase in phrases for word in phrase.split()}


def test_the_other_words_are_never_used_in_training():
    assert (vocabulary(PLAIN) | vocabulary(VARIED)) & vocabulary(OTHER) <= FUNCTION
    said: dict[str, set[str]] = {"plain": set(), "varied": set(), "other": set()}
    texts = set()
    for number in range(600):
        rng = np.random.default_rng([5, number])
        told = claim(drawing.scene(rng), rng)
        for name, words in VOICES.items():
            text = say(told, rng, words)
            said[name] |= set(text.replace(",", "").split())
            if name == "plain":
                texts.add(text)
    assert (said["plain"] | said["varied"]) & said["other"] <= FUNCTION
    assert len(texts) > 540  # varied


def test_articles():
    rng = np.random.default_rng(0)
    texts = [
        say(Claims((Group(1, colour, "ring"),), None, "black"), rng, words)
        for colour in COLOURS
        for words in VOICES.values()
        for _ in range(40)
    ]
    for text in texts:
        words = text.split()
        for article, after in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (after[0] in "aeiou"), text
