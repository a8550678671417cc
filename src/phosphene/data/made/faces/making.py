"""The set of faces: draws, renders and describes them, and keeps some combinations from training."""

from collections.abc import Iterator

import numpy as np

from phosphene.data.made.faces.attributes import ATTRIBUTES, WITHHELD, draw, held_out, withheld
from phosphene.data.made.faces.caption import caption, paraphrase
from phosphene.data.made.faces.layers import render
from phosphene.data.made.faces.words import ASKED, SPOKEN, Lexicon
from phosphene.data.made.folder import HELD_OUT, TRAIN, Making, Order, Picture

STREAM = 0xFACE  # keeps these draws apart from other sets'


def faces(order: Order) -> Making:
    """Cartoon faces with ten exact attributes, captions, and paraphrases of what is held out."""
    settings = {
        "attributes": {name: list(values) for name, values in ATTRIBUTES.items()},
        "withheld": [
            {name: one, other: two} for (name, other), pairs in WITHHELD.items() for one, two in pairs
        ],
    }
    return Making(order.count, _pictures(order), _words(), settings)


def _pictures(order: Order) -> Iterator[Picture]:
    for number in range(order.count):
        random = np.random.default_rng([STREAM, order.seed, number])
        face = draw(random)
        text, said = caption(face, random)
        fields = {"text": text, "claims": list(said), **face._asdict()}
        side = TRAIN
        if held_out(face, order.held_out):
            side = HELD_OUT
            other, asked = paraphrase(face, random)
            fields |= {"paraphrase": other, "paraphrase_claims": list(asked), "withheld": withheld(face)}
        yield Picture(render(face, order.size), fields, side)


def _words() -> str:
    """README.md of the set."""
    attributes = "\n".join(f"- `{name}`: {', '.join(values)}" for name, values in ATTRIBUTES.items())
    pairs = "\n".join(
        f"- `{name}` {one} with `{other}` {two}"
        for (name, other), pairs in WITHHELD.items()
        for one, two in pairs
    )
    return f"""\
Cartoon faces of persons. Ten attributes say all there is to see; each is drawn uniformly and independently of
the others, but for `eyes`, which are `hidden` behind sunglasses. Beards have the colour of the hair.

## Fields

{attributes}

- `text`: a caption, which says some of the attributes. `claims`: which.
- `paraphrase`, `paraphrase_claims` (held-out only): another one, in words that no caption in train/ has.
- `withheld` (held-out only): which of the pairs below the face has.

`phosphene.measures.attributes.read` reads the attributes back from pixels.

## Held out

No combination of ten values is on both sides: which are held out depends on the combination alone, so it is
the same for every seed and count. Further, no training picture has one of these pairs, so that a generator
that draws them has combined what it saw apart:

{pairs}

## Licence

Art: Avataaars by Pablo Stanley (https://avataaars.com), free for personal and commercial use. It comes from
python-avatars (MIT, (c) 2021 Ibon), of which only parts of Avataaars are used, and is rasterised by resvg
(Apache-2.0 or MIT). phosphene ships none of the art. Do not redistribute it as art: pass on the command below
rather than the pictures.

## Words

In train/ ({{c}} is a colour):

{_table(SPOKEN)}

In paraphrases only:

{_table(ASKED)}
"""


def _table(lexicon: Lexicon) -> str:
    lines = [
        f"- {name} {value}: {'; '.join((*words.with_, *words.before, *words.wearing))}"
        for name, entries in lexicon.words.items()
        for value, words in entries.items()
    ]
    lines += [
        f"- {name} {value}: {', '.join(words)}"
        for name, entries in lexicon.colours.items()
        for value, words in entries.items()
    ]
    return "\n".join(lines)
