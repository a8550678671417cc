"""States of captions, encoded once: what a frozen language model says of a text never changes.

    $PHOSPHENE_CACHE/text/<fingerprint of the encoder>/<hash>/
        states.npy   float16, (tokens of all texts below each other, width), memory-mapped
        texts.npy    16 bytes of the hash of each text
        starts.npy   where each text's tokens start, and where the last ones end

A text is looked up by its hash in all packs of its encoder. Those that are missing are encoded and written as
a new pack every so many, whole or not at all: what stops the work costs what was not yet written, and a data
set that grows, or shares captions with another, encodes what is new.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float16, Int64
from torch import Tensor

from phosphene import files
from phosphene.store.text_encoder import TextEncoder

PACK = 2048  # texts
TOGETHER = 256  # encoded between two reports
DIVISIBLE = 16  # lengths that rows are padded to are multiples of this: graphs are compiled for few

Progress = Callable[[int, int], None]


class Tokens(NamedTuple):
    """Rows of states, padded; mask: the tokens that count."""

    states: Float16[Tensor, "n t d"]
    mask: Bool[Tensor, "n t"]


def padded(rows: Sequence[Float16[np.ndarray, "_ d"] | None], width: int, longest: int = 1) -> Tokens:
    """Rows below each other, each with at least `longest` places, rounded up; None is a row of no token."""
    longest = max([longest, *(len(row) for row in rows if row is not None)])
    longest = -(-longest // DIVISIBLE) * DIVISIBLE
    states = np.zeros((len(rows), longest, width), np.float16)
    mask = np.zeros((len(rows), longest), bool)
    for place, row in enumerate(rows):
        if row is not None:
            states[place, : len(row)] = row
            mask[place, : len(row)] = True
    return Tokens(torch.from_numpy(states), torch.from_numpy(mask))


class States(NamedTuple):
    """The states of some texts, by their number. longest: tokens of the longest text.

    packs: the mapped arrays. pack, start, stop: where each text's rows lie.
    """

    packs: tuple[np.ndarray, ...]
    pack: Int64[np.ndarray, " n"]
    start: Int64[np.ndarray, " n"]
    stop: Int64[np.ndarray, " n"]
    width: int
    longest: int

    def take(self, numbers: Int64[np.ndarray, " b"]) -> Tokens:
        """The states of these texts; a negative number has none. All batches are of one length."""
        return padded([self.row(number) for number in numbers.tolist()], self.width, self.longest)

    def row(self, number: int) -> Float16[np.ndarray, "t d"] | None:
        """The states of one text; None for a negative number."""
        if number < 0:
            return None
        return self.packs[self.pack[number]][self.start[number] : self.stop[number]]


def prepare(encoder: TextEncoder, texts: Sequence[str], on_progress: Progress | None = None) -> States:
    """The states of unique texts, encoded now or taken from the cache.

    on_progress(done, total) is called while encoding. OSError (a full disk) passes through.
    """
    root = files.cache() / "text" / encoder.fingerprint
    root.mkdir(parents=True, exist_ok=True)
    hashes = [_hash(text) for text in texts]
    packs, places = _known(root)
    missing = [i for i, key in enumerate(hashes) if key not in places]
    for begin in range(0, len(missing), PACK):
        some = missing[begin : begin + PACK]
        rows: list[np.ndarray] = []
        for first in range(0, len(some), TOGETHER):
            rows += encoded(encoder, [texts[i] for i in some[first : first + TOGETHER]])
            if on_progress is not None:
                on_progress(begin + len(rows), len(missing))
        _write(root, [hashes[i] for i in some], rows)
    if missing:
        packs, places = _known(root)
    found = np.array([places[key] for key in hashes], np.int64).reshape(-1, 3)
    pack, start, stop = (np.ascontiguousarray(column) for column in found.T)
    return States(packs, pack, start, stop, encoder.width, int((stop - start).max(initial=1)))


def encoded(encoder: TextEncoder, texts: Sequence[str]) -> list[Float16[np.ndarray, "_ d"]]:
    """The states of texts as they are kept, and as a network hears them."""
    states, mask = encoder.encode(texts)
    return [row[: int(count)].half().numpy() for row, count in zip(states, mask.sum(1), strict=True)]


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _known(root: Path) -> tuple[tuple[np.ndarray, ...], dict[bytes, tuple[int, int, int]]]:
    """The packs of an encoder, and for the hash of each text its pack and rows."""
    packs, places = [], {}
    for folder in sorted(path for path in root.iterdir() if not path.name.startswith(files.WRITING)):
        hashes = np.load(folder / "texts.npy", allow_pickle=False)
        starts = np.load(folder / "starts.npy", allow_pickle=False).tolist()
        number = len(packs)
        packs.append(np.load(folder / "states.npy", mmap_mode="r", allow_pickle=False))
        for i, row in enumerate(hashes):
            places[row.tobytes()] = (number, starts[i], starts[i + 1])
    return tuple(packs), places


def _write(root: Path, hashes: Sequence[bytes], rows: Sequence[Float16[np.ndarray, "_ d"]]) -> None:
    name = hashlib.sha256(b"".join(hashes)).hexdigest()[:32]
    with files.replace_folder(root / name) as folder:
        np.save(folder / "texts.npy", np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 16))
        np.save(folder / "starts.npy", np.cumsum([0, *map(len, rows)], dtype=np.int64))
        np.save(folder / "states.npy", np.concatenate(rows))
