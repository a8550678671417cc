"""Files that are whole or absent: a reader never meets half of one, whenever the writer was stopped.

What is new is written under a hidden name beside its place, flushed to the disk (fsync) and renamed, which a
file system does at once or not at all. Then the folder is flushed too, so that the rename outlives the power.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

WRITING = ".writing-"
MANY = 256  # files, for which one flush of everything is quicker than one of each (4 ms)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Puts a file in place, text as UTF-8. The folder must be there.

    Raises one OSError that names `path` when it cannot (a full disk, no permission, no folder); a file that
    was there before is then untouched, and nothing is left beside it.
    """
    temporary = _hidden(path)
    with _naming(path, temporary):
        try:
            with temporary.open("xb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(path.parent)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Puts a folder in place: what the caller writes in the empty folder it is given becomes `path`.

        with replace_folder(run / "model") as folder:
            (folder / "config.json").write_text(...)

    If the block raises, or the disk is full, a folder that was there before is untouched and nothing is left
    beside it; an OSError from writing names `path`. No file system swaps two folders by a portable call: a
    kill between the two renames leaves the former one, whole, as `NAME.old` (see `standing`). Otherwise it
    is removed.
    """
    temporary, former = _hidden(path), _former(path)
    with _naming(path, temporary):
        try:
            temporary.mkdir()
            yield temporary
            inside = list(temporary.rglob("*"))
            if len(inside) > MANY and hasattr(os, "sync"):
                os.sync()
            else:
                for inner in inside:
                    _sync(inner)
            _sync(temporary)
            _swap(temporary, path, former)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _sync(path.parent)
    if former.exists():
        shutil.rmtree(former)


def standing(path: Path) -> Path:
    """Where the folder that `replace_folder` put at `path` stands: there, or as `NAME.old` if a kill came
    between its two renames."""
    former = _former(path)
    return former if former.is_dir() and not path.exists() else path


def sweep(folder: Path) -> None:
    """Removes what killed writers left in a folder. Nobody may be writing there now."""
    for stale in folder.glob(WRITING + "*"):
        if stale.is_dir():
            shutil.rmtree(stale)
        else:
            stale.unlink()


def cache() -> Path:
    """Where what can be made again is kept: $PHOSPHENE_CACHE or ~/.cache/phosphene."""
    given = os.environ.get("PHOSPHENE_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "phosphene"


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hidden(path: Path) -> Path:
    """A name beside `path` that nobody else uses. Not tempfile's: others could not read the file."""
    return path.with_name(f"{WRITING}{path.name}-{token_hex(4)}")


def _former(path: Path) -> Path:
    """Where a folder stands while another takes its place."""
    return path.with_name(path.name + ".old")


def _swap(new: Path, path: Path, former: Path) -> None:
    if not path.exists():
        new.rename(path)
        return
    if former.exists():
        shutil.rmtree(former)
    path.rename(former)
    try:
        new.rename(path)
    except OSError:
        former.rename(path)
        raise


def _sync(path: Path) -> None:
    """Flushes a file, or a folder's list of names, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders; it writes the names itself
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """An error from writing the temporary file says where it was to go; others pass as they are."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(temporary)):
            raise
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error


def fresh(path: Path) -> Path:
    """The path, or the first of NAME-2, NAME-3, ... beside it that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
