"""What the gathered sets share: where their files lie, which pictures are held out, and in which order they
come.

Pictures come in an order that the seed shuffles, so that a small count is a fair sample; a larger count adds
pictures and changes none.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from phosphene.data.made.folder import Sources
from phosphene.data.made.gathered import credits
from phosphene.data.made.gathered.debian import Package, fetch


class Found(NamedTuple):
    """A file, the folder in which it was found, and the package that it is from; None if a user's."""

    path: Path
    root: Path
    package: Package | None

    @property
    def name(self) -> str:
        """The path inside that folder."""
        return self.path.relative_to(self.root).as_posix()


class Origin(NamedTuple):
    """Where the files of a set come from: Debian's packages, or folders of the user's."""

    packages: tuple[Package, ...]
    folders: tuple[Path, ...]

    def files(self, *suffixes: str) -> Iterator[Found]:
        """Regular files with one of these suffixes, sorted by name in each place; links are copies."""
        places = [(package.root, package) for package in self.packages]
        for root, package in places or [(folder, None) for folder in self.folders]:
            for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).as_posix()):
                if path.suffix.lower() in suffixes and not path.is_symlink() and path.is_file():
                    yield Found(path, root, package)

    @property
    def named(self) -> str:
        """For messages."""
        return ", ".join([package.name for package in self.packages] or map(str, self.folders))

    @property
    def settings(self) -> dict[str, Any]:
        """What made.json holds: packages with version and SHA-256 of the .deb, or folders."""
        if not self.packages:
            return {"from": [str(folder) for folder in self.folders]}
        return {
            "packages": [{"name": p.name, "version": p.version, "sha256": p.sha256} for p in self.packages]
        }

    @property
    def words(self) -> str:
        """The same for README.md."""
        if not self.packages:
            return f"The files are from {self.named}: their licences hold for these pictures.\n"
        lines = (f"- {p.name} {p.version} (sha256 of the .deb {p.sha256})" for p in self.packages)
        return "From Debian's packages:\n\n" + "\n".join(lines) + "\n"


def gather(sources: Sources, packages: Sequence[str]) -> Origin:
    """The user's folders if there are any, else Debian's packages. Raises ValueError as `fetch` does."""
    return Origin((), sources.folders) if sources.folders else Origin(fetch(packages, sources.say), ())


def credited(found: Found) -> credits.Credit | None:
    """Whose work a file is: what stands beside it, else what its package says."""
    beside = credits.own_credit(found.path)
    if beside is not None or found.package is None:
        return beside
    return credits.credit(credits.parse(found.package.copyright), PurePosixPath(found.name))


def shuffled(count: int, seed: int, stream: int) -> list[int]:
    """0..count-1 in an order that depends on the seed; streams keep the orders of sets apart."""
    return np.random.default_rng([seed, stream]).permutation(count).tolist()


def hashed(key: str) -> int:
    """A number of 64 bits that the key alone decides."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


def held_out_groups(sizes: Mapping[str, int], share: float) -> frozenset[str]:
    """Whole groups that hold about a share of all pictures, at least one group if any is to be held out and
    another is left. sizes: pictures by group.

    Groups are taken in the order of their hashes, each if it brings the number of pictures nearer to the
    share; first those of at most a third of it, so that where there are such, several are held out. The
    choice depends on neither seed nor count.
    """
    wanted, taken, groups = share * sum(sizes.values()), 0, set()
    ranked = sorted(sizes, key=lambda group: (3 * sizes[group] > wanted, hashed(group)))
    for group in ranked:
        if len(groups) + 1 < len(ranked) and abs(taken + sizes[group] - wanted) < abs(taken - wanted):
            groups.add(group)
            taken += sizes[group]
    if wanted and not groups and len(ranked) > 1:
        groups.add(min(ranked, key=lambda group: sizes[group]))
    return frozenset(groups)
