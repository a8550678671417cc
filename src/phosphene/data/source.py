"""What every kind of data set comes down to: pictures that are read by number, and what is said of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phosphene.data.annotations import Said
from phosphene.diffusion.condition import NO_LABEL

ALONE = -1
"""Where a picture was made from none."""


@dataclass(frozen=True)
class Source:
    """Pictures that are named but not yet opened, with what is known about them.

    names: unique, in an order that depends on the data alone. read: the content of picture i, a file or its
    bytes; threads may call it at once. labels: indices into classes, -1 where there is none; None if no
    picture has one. captions: of each picture, none or several; None if no picture has one. ignored: other
    files that were met, by suffix. problems: one line each. blank: pictures whose caption is written down
    and empty. before: of each picture the number of the one that it was made from, or ALONE; None unless
    pairs are asked for.
    """

    name: str
    names: tuple[str, ...]
    read: Callable[[int], Path | bytes]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...] | None
    ignored: Mapping[str, int]
    problems: tuple[str, ...]
    blank: tuple[str, ...] = ()
    before: tuple[int, ...] | None = None


def annotated(
    name: str,
    names: Sequence[str],
    read: Callable[[int], Path | bytes],
    said: Sequence[Said],
    *,
    ignored: Mapping[str, int] | None = None,
    problems: Sequence[str] = (),
    pairs: bool = False,
) -> Source:
    """A source from what is said of each picture. Where pairs are asked for, those that were made from no
    other have no caption: what they show is not what was done."""
    classes = tuple(sorted({each.label for each in said if each.label is not None}, key=natural))
    number: dict[str | None, int] = {word: index for index, word in enumerate(classes)}
    captions = tuple(each.captions or () for each in said)
    before = None
    if pairs:
        place = {each: index for index, each in enumerate(names)}
        before = tuple(place.get(each.made_from or "", ALONE) for each in said)
        lost = [each.made_from for each in said if each.made_from and each.made_from not in place]
        if lost:
            problems = [
                *problems,
                f"{len(lost)} pictures were made from one that is not here, the first {lost[0]}",
            ]
        captions = tuple(said if one != ALONE else () for said, one in zip(captions, before, strict=True))
    return Source(
        name=name,
        names=tuple(names),
        read=read,
        labels=tuple(number.get(each.label, NO_LABEL) for each in said) if classes else None,
        classes=classes,
        captions=captions if any(captions) else None,
        ignored=dict(sorted((ignored or {}).items())),
        problems=tuple(problems),
        blank=tuple(name for name, each in zip(names, said, strict=True) if each.captions == ()),
        before=before,
    )


def natural(name: str) -> tuple[list[str | int], str]:
    """Sorts names as people do: class2 before class10."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if odd % 2 else part for odd, part in enumerate(parts)], name
