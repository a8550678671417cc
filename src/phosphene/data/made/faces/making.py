"""The set of faces: draws, renders and describes them, and keeps some combinations from training."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from phosphene.data.made.faces import edit
from phosphene.data.made.faces.attributes import ATTRIBUTES, WITHHELD, Face, draw, held_out, withheld
from phosphene.data.made.faces.caption import caption, paraphrase
from phosphene.data.made.faces.layers import render
from phosphene.data.made.faces.words import ASKED, SPOKEN, Lexicon
from phosphene.data.made.folder import HELD_OUT, TRAIN, Making, Order, Picture

STREAM, EDITS = 0xFACE, 0xFACE + 1  # keep these draws apart from other sets' and each other


def faces(order: Order) -> Making:
    """Cartoon faces with ten exact attributes, captions, and paraphrases of what is held out."""
    return Making(order.count, _pictures(order), _words(), _settings())


def edits(order: Order) -> Making:
    """`order.count` triples of face, instruction and changed face; two pictures each."""
    return Making(2 * order.count, _triples(order), _words() + _EDITS, {"edits": True, **_settings()})


def _settings() -> dict[str, Any]:
    return {
        "attributes": {name: list(values) for name, values in ATTRIBUTES.items()},
        "withheld": [
            {name: one, other: two} for (name, other), pairs in WITHHELD.items() for one, two in pairs
        ],
    }


def _pictures(order: Order) -> Iterator[Picture]:
    for number in range(order.count):
        random = np.random.default_rng([STREAM, order.seed, number])
        face = draw(random)
        yield _picture(face, order, HELD_OUT if held_out(face, order.held_out) else TRAIN, random)


def _picture(
    face: Face, order: Order, side: str, random: np.random.Generator, name: str | None = None
) -> Picture:
    text, said = caption(face, random)
    fields = {"text": text, "claims": list(said), **face._asdict()}
    if side == HELD_OUT:
        other, asked = paraphrase(face, random)
        fields |= {"paraphrase": other, "paraphrase_claims": list(asked), "withheld": withheld(face)}
    return Picture(render(face, order.size), fields, side, name)


def _triples(order: Order) -> Iterator[Picture]:
    for number in range(order.count):
        random = np.random.default_rng([EDITS, order.seed, number])
        while True:
            before = draw(random)
            change, after = edit.draw(before, random)
            out = held_out(before, order.held_out)
            if out or not held_out(after, order.held_out):
                break
        side = HELD_OUT if out else TRAIN
        source, target = (f"{number:06}-{role}" for role in ("source", "target"))
        triple = {
            "source": f"{source}.png",
            "instruction": edit.instruct(change, random),
            "target": f"{target}.png",
            "edit": change.name,
        }
        if out:
            triple["paraphrased_instruction"] = edit.instruct(change, random, ASKED)
        yield _picture(before, order, side, random, source)
        picture = _picture(after, order, side, random, target)
        yield picture._replace(fields={**picture.fields, **triple})


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


_EDITS = """
## Edits

Pictures come in pairs, NAME-source.png and NAME-target.png, which differ in one attribute (and in eyes, where
sunglasses hide them). The line of a target has further fields: `source` and `target` (files beside it),
`instruction`, `edit` (the attribute) and, in held-out, `paraphrased_instruction`, in words that no
instruction in train/ has. What a held-out triple begins with is not in train; what it ends with may be.
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
