"""What a caption says of a scene, and whether a scene does justice to it, aspect by aspect."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from phosphene.data.made.shapes.drawing import one_of
from phosphene.data.made.shapes.scene import RELATIONS, Kind, Scene, Thing, related

ASPECTS = ("objects", "colours", "shapes", "sizes", "count", "places", "relation", "background")
"""objects: which colour goes with which shape. A picture with a blue circle and a red square has the colours
and the shapes of "a red circle and a blue square", and not its objects."""


@dataclass(frozen=True)
class Group:
    """So many things alike; size and place are None where nothing is said of them."""

    count: int
    colour: str
    shape: str
    size: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Claims:
    """These things and no others. relation: how the first group's thing stands to the second's."""

    groups: tuple[Group, ...]
    relation: str | None = None
    background: str | None = None

    @property
    def things(self) -> tuple[Group, ...]:
        """Each claimed thing by itself."""
        return tuple(group for group in self.groups for _ in range(group.count))


@dataclass(frozen=True)
class Verdict:
    """Which aspects are wrong; none of them: accepted."""

    failed: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        return not self.failed


def everything(scene: Scene) -> Claims:
    """All that can be said of a scene."""
    return Claims(
        tuple(Group(1, thing.colour, thing.shape, thing.size, thing.place) for thing in scene.things),
        background=scene.background,
    )


def claim(scene: Scene, rng: np.random.Generator) -> Claims:
    """Some of what can be said: always number, colours and shapes, the rest now and then.

    Things alike are one group; two groups at most. Of two different things the places, a relation or neither
    is told, and the sizes if nothing else tells them apart.
    """
    background = scene.background if rng.random() < 0.6 else None
    counts = Counter(thing.kind for thing in scene.things)
    if len(counts) == 1:
        place = scene.things[0].place if len(scene.things) == 1 and rng.random() < 0.7 else None
        return Claims((_group(scene.things[0].kind, len(scene.things), place, rng),), None, background)
    one, two = counts
    alike = one[:2] == two[:2]
    first, second = (0, 1) if rng.random() < 0.5 else (1, 0)
    if len(scene.things) > 2:
        kinds = ((one, two)[first], (one, two)[second])
        several = tuple(_group(kind, counts[kind], None, rng, alike) for kind in kinds)
        return Claims(several, None, background)
    pair = (scene.things[first], scene.things[second])
    drawn = rng.random()
    true = [relation for relation in RELATIONS if related(pair[0], relation, pair[1])]
    relation = one_of(true, rng) if drawn < 0.5 else None
    groups = (_group(thing.kind, 1, thing.place if drawn >= 0.8 else None, rng, alike) for thing in pair)
    return Claims(tuple(groups), relation, background)


def judge(claims: Claims, background: str | None, seen: Sequence[Thing]) -> Verdict:
    """Compares claims with a background and things, as drawn or as an oracle read them.

    Colours, shapes, objects and count are compared as multisets. Sizes, places and the relation are judged
    under the pairing of claimed with seen things that fits best; what is not seen at all fails them.
    """
    wanted = claims.things
    failed = set()
    if Counter(one.colour for one in wanted) != Counter(one.colour for one in seen):
        failed.add("colours")
    if Counter(one.shape for one in wanted) != Counter(one.shape for one in seen):
        failed.add("shapes")
    if Counter((one.colour, one.shape) for one in wanted) != Counter((one.colour, one.shape) for one in seen):
        failed.add("objects")
    if len(wanted) != len(seen):
        failed.add("count")
    if claims.background is not None and claims.background != background:
        failed.add("background")
    padded = [*seen[:MOST], *[None] * max(0, len(wanted) - len(seen))]
    failed |= min(
        (_misfits(claims, pairing) for pairing in permutations(padded, len(wanted))),
        key=lambda misfit: misfit[0],
    )[1]
    return Verdict(tuple(aspect for aspect in ASPECTS if aspect in failed))


MOST = 9  # things that are tried as partners


def _misfits(claims: Claims, pairing: Sequence[Thing | None]) -> tuple[tuple[int, int], set[str]]:
    """How badly a pairing fits, and which of sizes, places and relation it fails."""
    strange = wrong = 0
    failed = set()
    for group, thing in zip(claims.things, pairing, strict=True):
        strange += 2 if thing is None else (group.colour != thing.colour) + (group.shape != thing.shape)
        for aspect, said, is_so in (
            ("sizes", group.size, thing and thing.size),
            ("places", group.place, thing and thing.place),
        ):
            if said is not None and said != is_so:
                wrong += 1
                failed.add(aspect)
    if claims.relation is not None:
        first, second = pairing[0], pairing[1]
        if first is None or second is None or not related(first, claims.relation, second):
            wrong += 1
            failed.add("relation")
    return (strange, wrong), failed


def _group(kind: Kind, count: int, place: str | None, rng: np.random.Generator, sized: bool = False) -> Group:
    size = kind.size if sized or rng.random() < 0.6 else None
    return Group(count, kind.colour, kind.shape, size, place)
