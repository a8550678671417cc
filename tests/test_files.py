"""What is written is whole or absent: after errors, after kills, on a full disk."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phosphene.files import replace_folder, sha256, standing, sweep, write_atomic


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fail(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, turn: int = 1) -> None:
    """Makes the `turn`-th call of a function run out of space; the others are real."""
    real, calls = getattr(owner, name), []

    def full(*args, **named):
        calls.append(args)
        if len(calls) == turn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **named)

    monkeypatch.setattr(owner, name, full)


def record(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The flushes and renames, in their order, each with the name it was for."""
    events: list[tuple[str, str]] = []
    fsync, replace, rename = os.fsync, Path.replace, Path.rename

    def noted(handle: int) -> None:
        events.append(("flush", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    def moved(how):
        def move(self: Path, target: Path) -> Path:
            events.append(("rename", Path(target).name))
            return how(self, target)

        return move

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", moved(replace))
    monkeypatch.setattr(Path, "rename", moved(rename))
    return events


@pytest.mark.parametrize(
    ("data", "stored"), [(b"\x00\xff\r\n", b"\x00\xff\r\n"), ("ü\n\r\n", b"\xc3\xbc\n\r\n"), ("", b"")]
)
def test_written_as_given(tmp_path: Path, data: bytes | str, stored: bytes):
    (tmp_path / "a").write_bytes(b"old and longer")
    write_atomic(tmp_path / "a", data)
    assert tree(tmp_path) == {"a": stored}


def test_others_may_read(tmp_path: Path):
    mask = os.umask(0o022)
    try:
        write_atomic(tmp_path / "file", b"")
        with replace_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_flushed_before_and_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    events = record(monkeypatch)
    write_atomic(tmp_path / "a", b"new")
    (what, hidden), *rest = events
    assert (what, hidden[:10]) == ("flush", ".writing-a")
    assert rest == [("rename", "a"), ("flush", tmp_path.name)]


def test_folder_is_flushed_whole_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    events = record(monkeypatch)
    with replace_folder(tmp_path / "a") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "x").write_text("x")
        (folder / "y").write_text("y")
        hidden = folder.name
    before = events.index(("rename", "a"))
    assert set(events[:before]) == {("flush", name) for name in ("inner", "x", "y", hidden)}
    assert events[before + 1 :] == [("flush", tmp_path.name)]


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace"), (Path, "open")])
def test_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
):
    path = tmp_path / "a.json"
    path.write_text("old")
    with monkeypatch.context() as patch:
        fail(patch, owner, name)
        with pytest.raises(OSError, match="No space left") as caught:
            write_atomic(path, "new")
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value) == f"[Errno 28] cannot write: No space left on device: '{path}'"
    assert tree(tmp_path) == {"a.json": b"old"}


def test_the_folder_that_stands(tmp_path: Path):
    """There, or aside if a kill came between the renames; behind the second one, the new one."""
    place, former = tmp_path / "a", tmp_path / "a.old"
    assert standing(place) == place
    former.mkdir()
    assert standing(place) == former
    place.mkdir()
    assert standing(place) == place


def test_missing_folder_and_folder_in_the_way_are_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(tmp_path / "no" / "a", b"")
    assert (
        str(caught.value) == f"[Errno 2] cannot write: No such file or directory: '{tmp_path / 'no' / 'a'}'"
    )
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="cannot write: Is a directory"):
        write_atomic(tmp_path / "folder", b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


@pytest.mark.parametrize("stale", [False, True])
def test_folder_replaced(tmp_path: Path, stale: bool):
    for content in ("first", "second"):
        if stale:
            (tmp_path / "a.old").mkdir()
            (tmp_path / "a.old" / "x").write_text("of an earlier kill")
        with replace_folder(tmp_path / "a") as folder:
            assert list(folder.iterdir()) == []
            (folder / content).write_text(content)
            if content == "second":
                assert tree(tmp_path / "a") == {"first": b"first"}
        assert tree(tmp_path) == {f"a/{content}": content.encode()}


@pytest.mark.parametrize(
    ("owner", "name", "turn"),
    [(os, "fsync", 1), (os, "fsync", 2), (Path, "mkdir", 1), (Path, "rename", 1), (Path, "rename", 2)],
)
def test_full_disk_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, turn: int
):
    path = tmp_path / "model"
    path.mkdir()
    (path / "x").write_text("old")
    with monkeypatch.context() as patch:
        fail(patch, owner, name, turn)
        with pytest.raises(OSError, match="No space left") as caught, replace_folder(path) as folder:
            (folder / "x").write_text("new")
    assert str(caught.value) == f"[Errno 28] cannot write: No space left on device: '{path}'"
    assert tree(tmp_path) == {"model/x": b"old"}
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_pass_as_they_are(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as caught, replace_folder(tmp_path / "a"):
        (tmp_path / "source").read_text()
    assert caught.value.filename == str(tmp_path / "source")
    assert "cannot write" not in str(caught.value)
    with pytest.raises(KeyboardInterrupt), replace_folder(tmp_path / "a"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_error_inside_the_hidden_folder_names_the_place(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as caught, replace_folder(tmp_path / "a") as folder:
        (folder / "no" / "x").write_text("x")
    assert str(caught.value).endswith(f"cannot write: No such file or directory: '{tmp_path / 'a'}'")


def test_two_writers_of_one_place_do_not_meet(tmp_path: Path):
    with replace_folder(tmp_path / "a") as one, replace_folder(tmp_path / "a") as two:
        (one / "x").write_text("one")
        (two / "x").write_text("two")
    assert tree(tmp_path) == {"a/x": b"one"}


def test_swept(tmp_path: Path):
    for name in (".writing-b-0", ".other"):
        (tmp_path / name / "inner").mkdir(parents=True)
    (tmp_path / ".writing-c-0").write_text("")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / ".other"]


def test_sha256(tmp_path: Path):
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    assert sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    (tmp_path / "a").write_bytes(b"abc")  # the example of FIPS 180-2
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def script(text: str, *arguments: str | Path) -> str:
    """Runs Python text on its own, on this source; what it prints."""
    source = str(Path(sys.modules["phosphene.files"].__file__ or "").parents[1])
    done = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LIMITED = """
import resource, sys
from pathlib import Path
from phosphene.files import write_atomic

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomic(Path(sys.argv[1]), bytes(5000))
except OSError as error:
    print(error)
"""


def test_real_limit_on_the_size_of_a_file(tmp_path: Path):
    path = tmp_path / "a"
    path.write_text("old")
    assert script(LIMITED, path) == f"[Errno 27] cannot write: File too large: '{path}'\n"
    assert tree(tmp_path) == {"a": b"old"}


KILLED = """
import json, os, shutil, sys
from pathlib import Path
from phosphene.files import replace_folder, write_atomic

here = Path(sys.argv[1])

def work():
    write_atomic(here / "file", "new")
    with replace_folder(here / "folder") as folder:
        (folder / "x").write_text("new")
        (folder / "y").write_text("new")

def survives(k):
    child = os.fork()
    if child == 0:
        count = 0
        def die(event, _):
            nonlocal count
            count += event in {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.scandir"}
            if count > k:
                os._exit(9)
        sys.addaudithook(die)
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0

def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}

seen, k, alive = set(), 0, False
while not alive:
    shutil.rmtree(here, ignore_errors=True)
    (here / "folder").mkdir(parents=True)
    (here / "file").write_text("old")
    (here / "folder" / "x").write_text("old")
    alive = survives(k)
    file = (here / "file").read_text()
    assert file in {"old", "new"}, k
    folder = here / "folder" if (here / "folder").exists() else here / "folder.old"
    assert texts(folder) in ({"x": "old"}, {"x": "new", "y": "new"}), k
    seen.add((file, folder.name, texts(folder)["x"]))
    k += 1
print(json.dumps([k, sorted(seen)]))
"""


def test_killed_before_every_operation_on_files(tmp_path: Path):
    """Each child process dies before its k-th operation; whatever is then on disk is old or new, whole."""
    operations, seen = json.loads(script(KILLED, tmp_path / "here"))
    assert operations > 12
    assert seen == [
        ["new", "folder", "new"],
        ["new", "folder", "old"],
        ["new", "folder.old", "old"],
        ["old", "folder", "old"],
    ]
