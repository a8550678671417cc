"""A data set: pictures of one size as bytes, with labels, captions and a report of what was met."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from phosphene.data.source import ALONE, Source
from phosphene.data.streamed import Streamed, Taken


@dataclass(frozen=True)
class Report:
    """What was found and what became of it.

    found = used + len(unreadable). unreadable: (name, reason). duplicates: files whose bytes another file
    before them has too; they are kept. ignored: files that are no pictures, by suffix. notes: how many
    pictures were cropped, turned, reduced, ... problems: lines about labels and captions.
    """

    found: int
    used: int
    unreadable: tuple[tuple[str, str], ...]
    duplicates: int
    ignored: Mapping[str, int]
    notes: Mapping[str, int]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Pictures and what is known of them; picture i has labels[i], captions[i] and names[i].

    pictures: decoded once, or when they are asked for. labels are indices into classes, -1 where a picture
    has none. captions: none or several of each picture; None if no picture has one. fingerprint: a hash of
    everything here, pixels, labels and captions, that says whether two runs saw the same data. before: of
    each picture the one that it was made from, or ALONE; None but for data of pairs, of which only pictures
    that were made from another are learned.
    """

    pictures: UInt8[np.ndarray, "n c h w"] | Streamed
    labels: Int64[np.ndarray, " n"] | None
    classes: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...] | None
    names: tuple[str, ...]
    fingerprint: str
    report: Report
    before: Int64[np.ndarray, " n"] | None = None

    @property
    def learned(self) -> Int64[np.ndarray, " m"]:
        """The pictures that are learned and measured: all, or the second ones of pairs."""
        everything = np.arange(len(self.pictures), dtype=np.int64)
        return everything if self.before is None else everything[self.before != ALONE]

    def at(self, numbers: Int64[np.ndarray, " b"], among: Int64[np.ndarray, " m"] | None = None) -> Taken:
        """These of the pictures that are learned, and those that they were made from. In place of a streamed
        one that cannot be read stands the next, as itself: `order` has the numbers of those that stand there.

        among: those of which one may stand in, ascending, where it matters on which side of a split they are;
        all that are learned by default. Raises ValueError if none of them can be read.
        """
        if isinstance(self.pictures, Streamed):
            among = self.learned if among is None else among
            taken = self.pictures.take(among, np.searchsorted(among, numbers), self.before)
            return taken._replace(order=among[taken.order])
        first = None if self.before is None else self.pictures[self.before[numbers]]
        return Taken(self.pictures[numbers], first, numbers)

    @property
    def size(self) -> int:
        return self.pictures.shape[-1]

    @property
    def channels(self) -> int:
        return self.pictures.shape[1]

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Names and reasons; of streamed pictures, those that were met so far."""
        met = self.pictures.unreadable if isinstance(self.pictures, Streamed) else {}
        return (*self.report.unreadable, *((self.names[number], why) for number, why in sorted(met.items())))

    def of_classes(self, classes: tuple[str, ...]) -> "Dataset":
        """The same pictures with labels of these classes, in this order. Without any, labels are left aside.

        Raises ValueError for a class of the data that is none of them.
        """
        if not classes:
            return replace(self, labels=None, classes=())
        none = np.full(len(self.pictures), -1, np.int64)
        if self.labels is None:
            return replace(self, labels=none, classes=classes)
        for name in self.classes:
            if name not in classes:
                raise ValueError(
                    f"data.classes: {name!r} is none of the model's, which are {', '.join(classes)}; "
                    "name folders as these, or put all pictures into one"
                )
        renamed = np.array([*(classes.index(name) for name in self.classes), -1], np.int64)
        return replace(self, labels=renamed[self.labels], classes=classes)

    def split(
        self, held_out: float, seed: int = 0
    ) -> tuple[Int64[np.ndarray, " a"], Int64[np.ndarray, " b"]]:
        """Indices for training and held-out indices, each ascending.

        A picture's side follows from a hash of its pixels: equal pictures are on the same side, and no
        picture changes sides when others join. Streamed pictures are not looked at: their names stand for
        them, so copies under two names may be on two sides. About a share `held_out` in [0, 1) is held out;
        where that is none and held_out > 0, one picture is. Runs hold out the same pictures whatever their
        own seed, so that they can be compared; seed: of another split. Raises ValueError for another share
        or if nothing is left to train on.
        """
        if not 0 <= held_out < 1:
            raise ValueError(f"held_out {held_out}: give a share of at least 0 and below 1")
        everything = self.learned
        if held_out == 0:
            return everything, everything[:0]
        if seed not in self._places:  # millions of pictures take a while, and several parts of a run ask
            self._places[seed] = np.array([_place(content, seed) for content in self._contents()])
        places = self._places[seed]
        out = places < max(held_out, np.nextafter(places.min(), 1))
        if out.all():
            raise ValueError(
                f"held_out {held_out} of {len(out)} pictures leaves none to train on: "
                "give a smaller share or more pictures that differ"
            )
        return everything[~out], everything[out]

    @cached_property
    def _places(self) -> dict[int, Float64[np.ndarray, " m"]]:
        """By seed, those of the pictures that are learned."""
        return {}

    def _contents(self) -> Iterator[bytes]:
        """What stands for each of the pictures that are learned."""
        for number in self.learned:
            if isinstance(self.pictures, Streamed):
                yield self.names[number].encode("utf-8", "surrogateescape")
            else:
                yield self.pictures[number].tobytes()


def _place(content: bytes, seed: int) -> float:
    """A number in [0, 1) from the content and the seed."""
    digest = hashlib.blake2b(content, digest_size=8, salt=seed.to_bytes(16, "little"))
    return int.from_bytes(digest.digest(), "little") / 2**64


def fingerprint(pixels: str, source: Source) -> str:
    """A hash of what stands for the pixels, and of what the source says of them."""
    # One caption is written as it is: runs that began when there was never more than one go on.
    captions = source.captions and [said if said[1:] else next(iter(said), None) for said in source.captions]
    written = json.dumps([source.classes, source.labels, captions, *filter(None, [source.before])])
    return hashlib.sha256(f"{pixels} {written}".encode()).hexdigest()


def paired(source: Source, used: Sequence[int]) -> Int64[np.ndarray, " n"] | None:
    """`Dataset.before` of those pictures of a source that could be read."""
    if source.before is None:
        return None
    place = {ALONE: ALONE, **{number: index for index, number in enumerate(used)}}
    return np.array([place.get(source.before[number], ALONE) for number in used], np.int64)
