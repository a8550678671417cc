"""Which pictures are there more than once: the same bytes, or the same picture resized, recompressed, a
little brighter or darker, mirrored.

Every picture has a perceptual hash, real-valued: the low 8x8 coefficients of the cosine transform of its
grey thumbnail without the mean, scaled to length 1, so that brightness and contrast drop out. A k-d tree
(scipy) finds the NEAREST few within REACH of each picture and of its mirror image, whose hash is known: the
coefficients of odd horizontal frequency change their sign. So 100,000 pictures take seconds, and a set of
nearly equal ones takes no longer.

A pair so found is a candidate and no more: digits, drawings and plain pictures lie close together and are not
copies. It is verified by pixels: one thumbnail is brought to the other's brightness and contrast, both to the
detail that the smaller file can hold, and no region may differ by more than compression and resizing explain.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from scipy.fft import dctn, idctn
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from phosphene.data.doctor.survey import SIDE, Survey

LOW = 8  # frequencies of the hash, each way
REACH = 0.2  # between hashes of candidates; copies made in every way listed in the tests stay below 0.15
NEAREST = 8  # candidates a picture
PLAIN = 2.0  # grey levels of deviation below which a picture has no hash: noise would be all of it
ROWS = 4096  # a chunk of pairs

ASPECT = 0.06  # of log(width / height)
DETAIL = 0.6  # of the frequencies that a file of so many pixels could hold
GAIN = 1.6  # of a copy's contrast
SHIFT = 48.0  # grey levels between the means of copies
RESIDUE = 0.2  # what differs, root mean square, of the picture's deviation
ROUNDED = 1.2  # grey levels of it that a codec's rounding leaves however flat the picture is
DIFFERENCE = 18.0  # grey levels, in a 32nd of the picture
EDGE = 0.25  # and as much of the range of grey around it: resizing moves edges by parts of a 32nd
COLOUR = 24.0  # levels of one channel, in an eighth of the picture


class Group(NamedTuple):
    """Rows of the survey that show one picture. same: they are equal byte for byte. mirrored: which of them
    are mirror images of the first."""

    rows: tuple[int, ...]
    same: bool
    mirrored: tuple[int, ...]


class Pairs(NamedTuple):
    """Rows a < b of the survey; whether b is like the mirror image of a."""

    a: Int64[np.ndarray, " p"]
    b: Int64[np.ndarray, " p"]
    mirrored: Bool[np.ndarray, " p"]


def groups(rows: Survey, on_progress: Callable[[int, int], None] | None = None) -> tuple[Group, ...]:
    """All pictures that are there more than once, largest groups first. Every row is in one group at most."""
    say = on_progress or (lambda _done, _total: None)
    first, of = _same_bytes(rows)
    pairs = _verified(rows, _candidates(rows, first, say))
    return _joined(len(rows.number), of, pairs)


def _same_bytes(rows: Survey) -> tuple[Int64[np.ndarray, " u"], Int64[np.ndarray, " n"]]:
    """The first row of each content, ascending, and for every row the first with its content."""
    _, first, inverse = np.unique(rows.content, axis=0, return_index=True, return_inverse=True)
    return np.sort(first), first[inverse.reshape(-1)]


def hashes(grey: UInt8[np.ndarray, "n 32 32"]) -> Float32[np.ndarray, "n 63"]:
    """The perceptual hash of each picture."""
    found = np.empty((len(grey), LOW * LOW - 1), np.float32)
    for start in range(0, len(grey), ROWS):
        low = _low(grey[start : start + ROWS])
        low /= np.maximum(np.linalg.norm(low, axis=1, keepdims=True), 1e-6)
        found[start : start + ROWS] = low
    return found


def mirrored(hashes: Float32[np.ndarray, "n 63"]) -> Float32[np.ndarray, "n 63"]:
    """The hashes of the mirror images."""
    sign = np.tile((-1.0) ** np.arange(LOW), (LOW, 1)).reshape(-1)[1:]
    return hashes * sign.astype(np.float32)


def _deviations(grey: np.ndarray) -> np.ndarray:
    """In parts: the numbers take eight times the memory of the bytes."""
    parts = [grey[start : start + ROWS].std(axis=(1, 2)) for start in range(0, len(grey), ROWS)]
    return np.concatenate([*parts, np.empty(0)])


def _low(grey: np.ndarray) -> np.ndarray:
    coefficients = np.asarray(dctn(grey.astype(np.float32), axes=(1, 2), norm="ortho"))
    return coefficients[:, :LOW, :LOW].reshape(len(grey), -1)[:, 1:]


def _candidates(rows: Survey, first: np.ndarray, say: Callable[[int, int], None]) -> Pairs:
    """Pairs whose hashes are close, among one row of each content."""
    some = first[_deviations(rows.grey)[first] > PLAIN]
    if len(some) < 2:
        none = np.empty(0, np.int64)
        return Pairs(none, none, none.astype(bool))
    hash_ = hashes(rows.grey[some])
    tree = KDTree(hash_, leafsize=32, balanced_tree=False, compact_nodes=True)
    found = []
    for start in range(0, len(some), ROWS):
        part = hash_[start : start + ROWS]
        own = np.arange(start, start + len(part))
        for flipped, asked in ((False, part), (True, mirrored(part))):
            _, near = tree.query(asked, k=NEAREST + 1, distance_upper_bound=REACH, workers=-1)
            a, b = np.broadcast_to(own[:, None], near.shape).ravel(), np.asarray(near).ravel()
            keep = (b < len(some)) & (a != b)
            pair = np.sort(np.stack([some[a[keep]], some[b[keep]]]), axis=0)
            found.append(np.stack([*pair, np.full(pair.shape[1], flipped)]))
        say(min(start + ROWS, len(some)), len(some))
    a, b, flipped = np.unique(np.concatenate(found, axis=1), axis=1)
    return Pairs(a, b, flipped.astype(bool))


def _verified(rows: Survey, pairs: Pairs) -> Pairs:
    keep = np.zeros(len(pairs.a), bool)
    for start in range(0, len(keep), ROWS):
        part = Pairs(*(each[start : start + ROWS] for each in pairs))
        keep[start : start + ROWS] = copies(rows, part)
    return Pairs(*(each[keep] for each in pairs))


def copies(rows: Survey, pairs: Pairs) -> Bool[np.ndarray, " p"]:
    """Whether b shows what a shows, by shape and pixels."""
    ratio = np.log(rows.width / rows.height)
    ratio = ratio[pairs.a] - ratio[pairs.b]
    a = rows.grey[pairs.a].astype(np.float32)
    b = _turned(rows.grey[pairs.b], pairs.mirrored)
    shorter = np.minimum(rows.width, rows.height)
    least = np.minimum(shorter[pairs.a], shorter[pairs.b])
    band = np.where(shorter[pairs.a] == shorter[pairs.b], SIDE, np.clip(DETAIL * least, LOW, SIDE))
    a, b = _banded(a, band), _banded(b, band)
    level = a.mean(axis=(1, 2)), b.mean(axis=(1, 2))
    a, b = a - level[0][:, None, None], b - level[1][:, None, None]
    power = np.maximum((b * b).mean(axis=(1, 2)), 1e-6)
    gain = (a * b).mean(axis=(1, 2)) / power
    rest = a - gain[:, None, None] * b
    around = maximum_filter(a, (1, 3, 3)) - minimum_filter(a, (1, 3, 3))
    return (
        (np.abs(ratio) < ASPECT + 1 / least)
        & (np.abs(level[0] - level[1]) < SHIFT)
        & (gain > 1 / GAIN)
        & (gain < GAIN)
        & (rest.std(axis=(1, 2)) < np.hypot(RESIDUE * a.std(axis=(1, 2)), ROUNDED))
        & (np.abs(rest) < DIFFERENCE + EDGE * around).all(axis=(1, 2))
        & (_colours(rows, pairs, gain, level[0] - gain * level[1]) < COLOUR)
    )


def _turned(pictures: np.ndarray, which: np.ndarray) -> np.ndarray:
    """As floats, mirrored left to right where said."""
    which = which.reshape(-1, *[1] * (pictures.ndim - 1))
    return np.where(which, pictures[:, :, ::-1], pictures).astype(np.float32)


def _banded(pictures: np.ndarray, band: np.ndarray) -> np.ndarray:
    """The pictures without frequencies of `band` (of 32) and above: a small file has none."""
    keep = np.arange(SIDE) < band[:, None]
    spectrum = np.asarray(dctn(pictures, axes=(1, 2), norm="ortho")) * (keep[:, :, None] & keep[:, None, :])
    return np.asarray(idctn(spectrum, axes=(1, 2), norm="ortho"))


def _colours(rows: Survey, pairs: Pairs, gain: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The largest difference of a channel in a block, b brought to a's brightness and contrast."""
    b = _turned(rows.colour[pairs.b], pairs.mirrored)
    brought = gain[:, None, None, None] * b + shift[:, None, None, None]
    return np.abs(rows.colour[pairs.a] - brought).max(axis=(1, 2, 3))


def _joined(count: int, of: np.ndarray, pairs: Pairs) -> tuple[Group, ...]:
    """Groups of more than one row, from what has the same bytes and what was verified."""
    own = np.arange(count)
    a, b = np.concatenate([own, pairs.a]), np.concatenate([of, pairs.b])
    links = coo_array((np.ones(len(a), bool), (a, b)), shape=(count, count))
    _, group = connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    side = _sides(count, of, pairs)
    found = [
        Group(
            tuple(map(int, part)),
            bool((of[part] == of[part[0]]).all()),
            tuple(int(row) for row in part if side[of[row]] != side[of[part[0]]]),
        )
        for part in parts
        if len(part) > 1
    ]
    return tuple(sorted(found, key=lambda group: (-len(group.rows), group.rows)))


def _sides(count: int, of: np.ndarray, pairs: Pairs) -> np.ndarray:
    """0 or 1 for each row, equal for two of a group where they are alike as they stand: along the tree of
    its pairs, what is mirrored changes sides."""
    near: dict[int, list[tuple[int, bool]]] = {}
    for a, b, flipped in zip(*(each.tolist() for each in pairs), strict=True):
        near.setdefault(a, []).append((b, flipped))
        near.setdefault(b, []).append((a, flipped))
    side = np.zeros(count, np.int8)
    met: set[int] = set()
    for start in sorted(near):
        waiting = [] if start in met else [start]
        met.update(waiting)
        while waiting:
            row = waiting.pop()
            for other, flipped in sorted(near[row], key=lambda pair: pair[1]):
                if other not in met:
                    met.add(other)
                    side[other] = side[row] ^ flipped
                    waiting.append(other)
    return side
