"""Compiling on first use: once, whole, and never in the way of a user who has no compiler."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from phosphene.kernels import library as module
from phosphene.kernels.library import built, compiled, library

needs = pytest.mark.skipif(library() is None, reason="no C++ compiler here")


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """As in a new process with an empty cache."""
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "cache"))
    built.cache_clear()
    yield tmp_path
    built.cache_clear()


def test_without_a_compiler_it_is_said_once(fresh, monkeypatch, caplog):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(fresh))
    with caplog.at_level(logging.WARNING):
        assert library() is None
        assert library() is None
    assert caplog.messages == [
        "no C++ operators (no C++ compiler: install g++ or clang++); everything works, some of it slower"
    ]


def test_a_compiler_that_refuses_is_named(fresh, monkeypatch, caplog):
    wrong = fresh / "wrong"
    wrong.write_text('#!/bin/sh\necho "x.cpp:1: error: no such flag" >&2; exit 1\n')
    wrong.chmod(0o755)
    monkeypatch.setenv("CXX", str(wrong))
    with caplog.at_level(logging.WARNING):
        assert library() is None
    assert "error: no such flag" in caplog.messages[0]
    assert not list((fresh / "cache" / "kernels").iterdir())


def test_off_by_the_environment(fresh, monkeypatch):
    monkeypatch.setenv("PHOSPHENE_KERNELS", "off")
    assert library() is None
    assert built().words == "off by PHOSPHENE_KERNELS"


@needs
def test_compiled_once_for_a_source_and_flags(fresh, monkeypatch):
    path = compiled()
    stamp = path.stat().st_mtime_ns
    assert compiled() == path
    assert path.stat().st_mtime_ns == stamp
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    monkeypatch.setattr(module, "FLAGS", (*module.FLAGS, "-DOTHER"))
    assert compiled() != path


def test_another_compiler_compiles_anew(fresh, monkeypatch):
    """One that was replaced under the same name, as an update does. The same one starts no process again."""
    makes = fresh / "makes"
    monkeypatch.setenv("CXX", str(makes))

    def made(words: str) -> Path:
        makes.write_text(f'#!/bin/sh\n# {words}\nfor last; do :; done; echo {words} > "$last"\n')
        makes.chmod(0o755)
        return compiled()

    one, another = made("one"), made("another")
    assert one != another
    assert another.read_text() == "another\n"
    with monkeypatch.context() as without:
        without.setattr(subprocess, "run", None)
        assert compiled() == another


@needs
def test_one_pool_of_threads():
    """Two OpenMP libraries in a process would fight for the cores. Other packages bring theirs: a process of
    its own has torch's alone."""
    code = """
from pathlib import Path
import torch
from phosphene.kernels.library import library
assert library()
maps = Path("/proc/self/maps").read_text().splitlines()
pools = {line.split()[-1] for line in maps if "libgomp" in line or "libomp" in line}
assert len(pools) == 1, pools
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs
def test_denormals_stay():
    """A library built with -ffast-math would switch them off for the whole process."""
    code = (
        "import torch; from phosphene.kernels.library import library; assert library();"
        "x = torch.tensor([1e-40]); assert (x * 1).item() != 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_compiler_that_does_not_end(fresh, monkeypatch, caplog):
    def run(command, **how):
        raise subprocess.TimeoutExpired(command, 300)

    monkeypatch.setattr(subprocess, "run", run)
    with caplog.at_level(logging.WARNING):
        assert library() is None
    assert "timed out after 300 seconds" in caplog.messages[0]
