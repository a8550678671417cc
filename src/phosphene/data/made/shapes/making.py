"""The set "shapes" and its edit triples, as folders of pictures.

Sides: `train` and `held-out` share no scene (same things at same places), whatever the seed, and hold no
WITHHELD pair of colour and shape; every scene of `withheld` has one, which tells whether a model joins what
it learned apart.
"""

from collections.abc import Iterator

import numpy as np

from phosphene.data.made.folder import HELD_OUT, TRAIN, Making, Order, Picture, is_held_out
from phosphene.data.made.shapes import drawing, edit
from phosphene.data.made.shapes.caption import say
from phosphene.data.made.shapes.claims import claim
from phosphene.data.made.shapes.render import render
from phosphene.data.made.shapes.scene import WITHHELD, Scene, to_fields
from phosphene.data.made.shapes.words import OTHER, PLAIN, VARIED

UNSEEN = "withheld"
PAIRS = sorted(" ".join(pair) for pair in WITHHELD)
SCENES, WITHHELD_SCENES, EDITS, WITHHELD_EDITS = range(4)  # streams of random numbers


def shapes(order: Order) -> Making:
    """`order.count` pictures in train and held-out, and as many again in withheld as its share asks for."""
    unseen = round(order.count * order.held_out)
    return Making(order.count + unseen, _pictures(order, unseen), _ABOUT, {"withheld": PAIRS})


def edits(order: Order) -> Making:
    """`order.count` triples in train and held-out, and further ones in withheld; two pictures each."""
    unseen = round(order.count * order.held_out)
    words = f"{_ABOUT}\n{_EDITS}"
    total = 2 * (order.count + unseen)
    return Making(total, _triples(order, unseen), words, {"edits": True, "withheld": PAIRS})


def _pictures(order: Order, unseen: int) -> Iterator[Picture]:
    for number in range(order.count):
        rng = np.random.default_rng([order.seed, SCENES, number])
        scene = drawing.scene(rng)
        side = HELD_OUT if is_held_out(scene.key, order.held_out) else TRAIN
        yield _picture(scene, order.size, side, f"{number:06}", rng)
    for number in range(unseen):
        rng = np.random.default_rng([order.seed, WITHHELD_SCENES, number])
        yield _picture(drawing.scene(rng, withheld=True), order.size, UNSEEN, f"{number:06}", rng)


def _triples(order: Order, unseen: int) -> Iterator[Picture]:
    for number in range(order.count):
        rng = np.random.default_rng([order.seed, EDITS, number])
        while True:
            before = drawing.scene(rng)
            change, after = edit.draw(before, rng)
            out = is_held_out(before.key, order.held_out)
            if out or not is_held_out(after.key, order.held_out):
                break
        yield from _triple(before, change, after, order.size, HELD_OUT if out else TRAIN, f"{number:06}", rng)
    for number in range(unseen):
        rng = np.random.default_rng([order.seed, WITHHELD_EDITS, number])
        before = drawing.scene(rng, withheld=True)
        change, after = edit.draw(before, rng, withheld=True)
        yield from _triple(before, change, after, order.size, UNSEEN, f"{number:06}", rng)


def _picture(scene: Scene, size: int, side: str, name: str, rng: np.random.Generator) -> Picture:
    told = claim(scene, rng)
    if side == TRAIN:
        said = {"text": say(told, rng, VARIED if rng.random() < 0.5 else PLAIN)}
    else:
        said = {"text": say(told, rng, PLAIN), "paraphrase": say(told, rng, OTHER)}
    return Picture(render(scene, size), {**said, **to_fields(scene)}, side, name)


def _triple(
    before: Scene, change: edit.Edit, after: Scene, size: int, side: str, name: str, rng: np.random.Generator
) -> Iterator[Picture]:
    instruction = edit.instruct(change, rng)
    source, target = (f"{name}-{role}" for role in ("source", "target"))
    yield _picture(before, size, side, source, rng)
    picture = _picture(after, size, side, target, rng)
    triple = {
        "source": f"{source}.png",
        "instruction": instruction,
        "target": f"{target}.png",
        "edit": change.kind,
    }
    yield picture._replace(fields={**picture.fields, **triple})


_ABOUT = f"""
Scenes of one to four coloured shapes, each near one of the nine places of a 3x3 grid, with captions. Whether
a picture shows what a caption says can be read from its pixels exactly:
`phosphene.data.made.shapes.oracle.accepts(caption, pixels)`.

- `text`: a caption that says part of what is true, in varied wording, and in train in more varied words.
- `paraphrase`: the same in words that no training caption uses (held-out and withheld only).
- `background`: white, grey or black.
- `things`: `colour`, `shape`, `size`, `place`, and the centre `x`, `y` in shares of the side.

No scene of held-out (the same things at the same places) is in train, whatever the seed. These pairs of
colour and shape are in withheld alone, one in each of its pictures:
{", ".join(PAIRS)}.

Drawn by phosphene from nothing; no rights are reserved on the pictures (CC0 1.0).
"""

_EDITS = """
## Edits

Pictures come in pairs, NAME-source.png and NAME-target.png. The line of a target has three further fields and
the kind of edit: `source` and `target` (files beside it), `instruction`, and `edit` (recolour, resize, move,
remove or add). An instruction names the thing by whatever tells it from the others: its colour and shape, one
of them, its place, or "it". `phosphene.data.made.shapes.edit.obeyed(instruction, before, after)` says whether
a picture is what was asked for. What a held-out triple begins with is not in train; what it ends with may be.
A withheld one begins with a withheld pair, which the edit may take away.
"""
