"""Checkpoints while they are written: kills at any moment and full disks leave a good one."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phosphene.training.checkpoint import save
from tests.training.checkpoints import check, names, put


def test_facts_that_json_cannot_hold_write_nothing(tmp_path: Path):
    put(tmp_path, 1)
    with pytest.raises(TypeError, match="not JSON serializable"):
        save(tmp_path, 2, {}, {"path": tmp_path})
    assert names(tmp_path) == ["step-00000001"]


@pytest.mark.parametrize(
    ("owner", "name"), [(os, "fsync"), (Path, "write_text"), (Path, "rename"), (Path, "mkdir")]
)
def test_full_disk_leaves_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
):
    put(tmp_path, 1, 2)

    def full(*_, **named):
        if "exist_ok" not in named:  # the run's own folder is there already
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(OSError, match="No space left") as caught:
            put(tmp_path, 3)
    place = tmp_path / "step-00000003"
    assert str(caught.value) == f"[Errno 28] cannot write: No space left on device: '{place}'"
    assert names(tmp_path) == ["step-00000001", "step-00000002"]
    assert check(tmp_path, 2) == ()


PREAMBLE = """
import json, os, random, resource, shutil, signal, sys, time
from pathlib import Path
import torch
from phosphene.training.checkpoint import load, save

torch.set_num_threads(1)  # a fork keeps one thread
here = Path(sys.argv[1])

def content(step):
    return {"x": torch.full((20_000,), float(step)), "y": torch.tensor(step)}, {"seen": 8 * step}

def exact():
    found = load(here)
    assert found.facts == {"seen": 8 * found.step}
    assert found.tensors["x"].eq(found.step).all() and found.tensors["y"] == found.step
    return found
"""

LIMITED = """
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
save(here, 1, {"x": torch.zeros(100)}, {})
for tensors, facts in ((content(2)[0] | {"z": torch.zeros(20_000)}, {}), ({}, {"long": "x" * 200_000})):
    try:
        save(here, 2, tensors, facts)
    except OSError as error:
        print(error)
print(sorted(os.listdir(here)), load(here).step)
"""

EACH = """
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
        save(here, again, *content(again))
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0

result = {}
for again in (4, 3):  # a new step; the newest step once more
    seen, k, alive = [], 0, False
    while not alive:
        shutil.rmtree(here, ignore_errors=True)
        for step in (2, 3):
            save(here, step, *content(step))
        alive = survives(k)
        found = exact()
        assert found.damaged == (), found.damaged
        seen.append(found.step)
        save(here, 5, *content(5))
        assert len(os.listdir(here)) == 2 and exact().step == 5
        k += 1
    result[again] = seen
print(json.dumps(result))
"""

ANYWHERE = """
started, rounds, last, writing = time.monotonic(), 0, 0, 0
save(here, 0, *content(0))
while time.monotonic() - started < 4 or rounds < 20:
    child = os.fork()
    if child == 0:
        for step in range(last + 1, last + 1000):
            save(here, step, *content(step))
    time.sleep(random.uniform(0, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    writing += any(name.startswith(".writing") for name in os.listdir(here))
    found = exact()
    assert found.damaged == () and found.step >= last, (found.damaged, found.step, last)
    last, rounds = found.step, rounds + 1
print(json.dumps([rounds, last, writing]))
"""


def script(text: str, *arguments: str | Path) -> str:
    """Runs Python text on its own, on this source; what it prints."""
    source = str(Path(sys.modules["phosphene.files"].__file__ or "").parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + text, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_real_limit_on_the_size_of_a_file(tmp_path: Path):
    line = f"[Errno 27] cannot write: File too large: '{tmp_path / 'step-00000002'}'\n"
    assert script(LIMITED, tmp_path) == 2 * line + "['step-00000001'] 1\n"


def test_killed_before_every_operation_on_files(tmp_path: Path):
    new, same = json.loads(script(EACH, tmp_path / "state")).values()
    first = new.index(4)
    assert new == [3] * first + [4] * (len(new) - first)  # the step before, until the new one is there
    assert 5 < first < len(new) - 5
    assert set(same) == {3}
    assert len(same) > 20


def test_killed_at_random_moments(tmp_path: Path):
    rounds, last, writing = json.loads(script(ANYWHERE, tmp_path / "state"))
    assert rounds >= 20
    assert last > 0
    assert writing > 0  # some were in the middle of it
