"""Files of named Debian packages, without root and without installing them.

`apt-get download` fetches a package and checks it against the archive's signed index; `dpkg-deb` unpacks it
into the cache, where it stays:

    <cache>/debian/<name>/package.json   name, version, sha256 (of the .deb)
    <cache>/debian/<name>/root/usr/...

This is the only place of the package that fetches anything, and only for a set that was asked for by name.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from phosphene import files

# What apt says where the system's index of packages is missing (a container), or older than the archive.
NO_INDEX = re.compile(
    r"Unable to locate package|Can't find a source|no installation candidate|404 +Not Found"
)
DAY = 24 * 3600.0
NETWORK = ("-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30")


class Package(NamedTuple):
    """An unpacked package; sha256 is that of its .deb."""

    name: str
    version: str
    sha256: str
    root: Path

    @property
    def copyright(self) -> str:
        """Debian's own account of whose work is inside; empty if there is none."""
        path = self.root / "usr/share/doc" / self.name / "copyright"
        return path.read_text("utf-8", "replace") if path.is_file() else ""


def fetch(names: Sequence[str], say: Callable[[str], None]) -> tuple[Package, ...]:
    """The packages, from the cache or else from Debian; `say` gets a line for each that is fetched.

    "a|b" is a, or b where there is no a. Raises ValueError with one line if apt is missing or a package
    cannot be had.
    """
    place = files.cache() / "debian"
    place.mkdir(parents=True, exist_ok=True)
    return tuple(_one(place, name.split("|"), say) for name in names)


def _one(place: Path, names: Sequence[str], say: Callable[[str], None]) -> Package:
    for name in names:
        if (place / name / "package.json").is_file():
            return _kept(place / name)
    for name in names[:-1]:
        try:
            return _fetched(place / name, say)
        except ValueError:
            continue
    return _fetched(place / names[-1], say)


def _kept(folder: Path) -> Package:
    about = json.loads((folder / "package.json").read_text("utf-8"))
    return Package(about["name"], about["version"], about["sha256"], folder / "root")


def _fetched(place: Path, say: Callable[[str], None]) -> Package:
    name = place.name
    with files.replace_folder(place) as folder:
        say(f"fetching Debian's package {name}")
        _download(name, folder)
        deb = next(folder.glob("*.deb"))
        inside, version = _run("dpkg-deb", "--show", "--showformat=${Package} ${Version}", str(deb)).split(
            " "
        )
        if inside != name:
            raise ValueError(f"package {name}: what came is {inside}")
        about = {"name": name, "version": version, "sha256": files.sha256(deb)}
        _run("dpkg-deb", "--extract", str(deb), str(folder / "root"))
        deb.unlink()
        # Links lead to copies, or to places of an installed system.
        for path in [path for path in folder.rglob("*") if path.is_symlink()]:
            path.unlink()
        (folder / "package.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    say(f"{name} {version} is in {place}")
    return _kept(place)


def _download(name: str, folder: Path) -> None:
    """Puts NAME_VERSION_ARCH.deb into the folder. Where the system's index of packages does not do, one is
    fetched into the cache, which needs no root."""
    try:
        _run("apt-get", *NETWORK, "download", name, folder=folder)
    except ValueError as error:
        if not NO_INDEX.search(str(error)):
            raise
        own = folder.parent / ".index"
        (own / "lists/partial").mkdir(parents=True, exist_ok=True)
        (own / "archives/partial").mkdir(parents=True, exist_ok=True)
        here = ("-o", f"Dir::State::lists={own}/lists", "-o", f"Dir::Cache={own}")
        updated = own / "updated"
        if not updated.exists() or time.time() - updated.stat().st_mtime > DAY:
            _run("apt-get", *NETWORK, *here, "update", folder=folder)
            updated.touch()
        _run("apt-get", *NETWORK, *here, "download", name, folder=folder)


def _run(*command: str, folder: Path | None = None) -> str:
    """What a command of Debian's prints. Raises ValueError with its own first complaint."""
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ValueError(
            f"no {command[0]} here, so no packages of Debian's: name a folder that has the files with --from"
        ) from None
    if ended.returncode in (-signal.SIGINT, -signal.SIGTERM):  # Ctrl-C reaches the whole group of processes
        raise KeyboardInterrupt
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.strip()]
        reason = next(
            (line for line in said if line.startswith("E:")), said[0] if said else "no reason given"
        )
        raise ValueError(
            f"package {command[-1]} cannot be had ({reason.removeprefix('E:').strip()}): "
            "name a folder that has the files with --from"
        )
    return ended.stdout
