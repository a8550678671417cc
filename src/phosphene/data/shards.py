"""WebDataset shards: pictures and what is said of them as members of tar files, read where they lie.

Members of one shard whose names agree up to the first dot of the file name belong together: 0007.jpg,
0007.txt, 0007.json, 0007.cls; and of pairs 0007.before.jpg (or another of the fields that name the picture
before: 0007.source.jpg, 0007.input_image.jpg), which 0007.jpg or 0007.after.jpg was made from.

A shard's headers are read once, for an index of (offset, size); a picture is then one read at its offset. So
nothing is unpacked and any order is as good as another. Names of members are words, never paths. Of a damaged
shard, whatever can be read is used.
"""

import io
import os
import posixpath
import re
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phosphene.data.annotations import BESIDE, NOTHING, Columns, Said, read_beside
from phosphene.data.source import Source, annotated
from phosphene.pictures.opening import SUFFIXES

MOST = 100_000  # shards of a pattern
LARGEST = 2**28  # bytes of a picture
LONGEST = 2**20  # bytes of what is said of it
SAID = 10  # problems of a shard
BLOCK = tarfile.BLOCKSIZE
GROUP = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")


class Member(NamedTuple):
    """A regular file inside a shard: its bytes are at offset, `size` of them."""

    name: str
    offset: int
    size: int


def are_shards(source: str) -> bool:
    """Whether this names shards: a tar file, or a pattern of tar files."""
    return source.lower().endswith(".tar")


def expanded(pattern: str) -> list[str]:
    """The names that a pattern stands for, as in a shell: {a,b} is either, {000..031} a number between.

    Raises ValueError for more than MOST.
    """
    parts: list[list[str]] = []
    place, count = 0, 1
    for group in GROUP.finditer(pattern):
        if (choices := _choices(group[1])) is None:
            continue
        count *= len(choices)
        if count > MOST:
            raise ValueError(f"{pattern}: names more than {MOST:,} files")
        parts += [[pattern[place : group.start()]], list(map(str, choices))]
        place = group.end()
    return ["".join(words) for words in product(*parts, [pattern[place:]])]


def _choices(inside: str) -> Sequence[object] | None:
    """What stands between braces; None where they are mere braces."""
    if (match := RANGE.fullmatch(inside)) is not None:
        first, last = int(match[1]), int(match[2])
        padded = any(len(word) > 1 and word.startswith("0") for word in match.groups())
        width = max(map(len, match.groups())) if padded else 0
        numbers = range(first, last + 1) if first <= last else range(first, last - 1, -1)
        return numbers if not width or len(numbers) > MOST else [f"{number:0{width}}" for number in numbers]
    return inside.split(",") if "," in inside else None


def shards(name: str, paths: Sequence[str], columns: Columns, problems: Sequence[str] = ()) -> Source:
    """The pictures of these tar files, called SHARD/MEMBER. Raises ValueError for missing files, or if there
    is no picture in any."""
    paths = list(dict.fromkeys(paths))
    if missing := [path for path in paths if not Path(path).is_file()]:
        raise ValueError(f"{name}: {len(missing)} of {len(paths)} shards are missing, the first {missing[0]}")
    common = os.path.commonpath([Path(path).absolute().parent for path in paths])
    index = _Index(list(problems), columns)
    for number, path in enumerate(paths):
        index.add(number, Path(path), Path(path).absolute().relative_to(common).as_posix())
    if not index.names:
        said = f": {index.problems[0]}" if index.problems else ""
        raise ValueError(f"{name} holds no picture{said}")
    where = np.frombuffer(index.places, np.int64).reshape(-1, 3)

    def read(picture: int) -> bytes:
        shard, offset, size = where[picture].tolist()
        return _bytes(Path(paths[shard]), offset, size)

    return annotated(
        name,
        index.names,
        read,
        index.said,
        ignored=index.ignored,
        problems=index.problems,
        pairs=columns.pairs,
    )


def _bytes(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)


class _Index:
    """What was found in the shards so far. places: shard, offset, size of each picture, end to end."""

    def __init__(self, problems: list[str], columns: Columns) -> None:
        self.problems, self.columns = problems, columns
        self.names: list[str] = []
        self.places = array("q")
        self.said: list[Said] = []
        self.ignored = Counter[str]()

    def add(self, number: int, path: Path, shard: str) -> None:
        """Adds a shard, with the first SAID of its problems."""
        before = len(self.problems)
        self.read(number, path, shard)
        if (more := len(self.problems) - before - SAID) > 0:
            self.problems[before + SAID :] = [f"{shard}: {more:,} further problems"]

    def read(self, number: int, path: Path, shard: str) -> None:
        pictures: dict[str, Member] = {}
        befores: dict[str, Member] = {}
        said: dict[str, dict[str, Said]] = {}
        several = 0
        for member in members(path, shard, self.problems):
            folder, file = posixpath.split(member.name)
            stem, _, suffix = file.partition(".")
            key, last = posixpath.join(folder, stem), f".{suffix.rpartition('.')[2]}".lower()
            if not stem:
                continue  # hidden
            if last[1:] in BESIDE:
                if (one := self._said(path, shard, member)) is not None:
                    said.setdefault(key, {})[last[1:]] = one
            elif not SUFFIXES.fullmatch(last):
                self.ignored[last if suffix else "no suffix"] += 1
            elif member.size > LARGEST:
                self.problems.append(f"{shard}/{plain(member.name)}: {member.size:,} bytes, over {LARGEST:,}")
            else:
                first = suffix.rpartition(".")[0] in self.columns.befores
                here = befores if first else pictures
                several += key in here
                here.setdefault(key, member)
        if several:
            self.problems.append(f"{shard}: {several} pictures have the key of one before; left out")
        if lost := said.keys() - pictures.keys():
            self.problems.append(f"{shard}: {len(lost)} keys have no picture, the first {plain(min(lost))}")
        if lost := befores.keys() - pictures.keys():
            self.problems.append(
                f"{shard}: {len(lost)} pairs lack what came after, the first {plain(min(lost))}"
            )
        for key, member in pictures.items():
            mine = said.get(key, {})
            inside = (mine[suffix] for suffix in BESIDE if suffix in mine)
            told = reduce(Said.before, inside, NOTHING)
            if (first := befores.get(key)) is not None:
                told = told._replace(made_from=self.picture(number, shard, first, NOTHING))
            self.picture(number, shard, member, told)

    def picture(self, number: int, shard: str, member: Member, said: Said) -> str:
        """Adds a picture; returns its name."""
        name = f"{shard}/{plain(member.name)}"
        self.names.append(name)
        self.places.extend((number, member.offset, member.size))
        self.said.append(said)
        return name

    def _said(self, path: Path, shard: str, member: Member) -> Said | None:
        name = f"{shard}/{plain(member.name)}"
        try:
            if member.size > LONGEST:
                raise ValueError(f"{name}: {member.size:,} bytes of text, over {LONGEST:,}")
            return read_beside(name, _bytes(path, member.offset, member.size), self.columns)
        except ValueError as error:
            self.problems.append(str(error))
            return None


def plain(name: str) -> str:
    """A member's name as one line of print, different names differently."""
    return "".join(
        letter if letter.isprintable() and letter != "\\" else letter.encode("unicode_escape").decode()
        for letter in name
    )


class _Headers(io.FileIO):
    """A file of which only headers are read, and those not without bounds, whatever they claim."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= LONGEST:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def members(path: Path, shard: str, problems: list[str]) -> Iterator[Member]:
    """The regular files of a tar file that lie in it whole. Adds to the problems what is damaged or cut off.

    After a damaged header the next good one is looked for.
    """
    length = path.stat().st_size
    end = 0  # of what was understood
    try:
        with _Headers(path) as file, tarfile.open(fileobj=file, mode="r:", ignore_zeros=True) as tar:
            while (member := tar.next()) is not None:
                vars(tar)["members"].clear()  # a kilobyte each
                if member.offset < end or member.size < 0:
                    raise tarfile.ReadError("a header of negative size")
                if _rubbish(path, end, member.offset):
                    problems.append(f"{shard}: damaged from byte {end:,} to {member.offset:,}")
                end = tar.offset
                if member.isreg() and not member.issparse():
                    if member.offset_data + member.size > length:
                        problems.append(f"{shard}/{plain(member.name)}: cut off, as the shard is")
                        return
                    yield Member(member.name, member.offset_data, member.size)
                elif not member.isdir():
                    problems.append(f"{shard}/{plain(member.name)}: no regular file, left out")
        if _rubbish(path, end, length):
            problems.append(f"{shard}: damaged from byte {end:,} to its end")
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())
        problems.append(f"{shard}: no tar file, or damaged from byte {end:,} on ({words})")


def _rubbish(path: Path, start: int, end: int) -> bool:
    """Whether anything but zeros lies there; of what is long, the first megabyte is looked at."""
    return any(_bytes(path, start, min(end - start, 2**20))) if end > start else False
