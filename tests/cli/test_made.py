"""`phosphene data` and phosphene.make_data: lists, makes, says what went wrong, stops clean."""

import json
import os
import signal

import pytest

import phosphene
from phosphene.cli import making
from phosphene.data.made.sets import MADE


def test_without_a_name_sets_are_listed(cli):
    said = cli("data")
    assert said.code == 0
    assert all(name in said.out for name in MADE)
    assert "10,000" in said.out


def test_a_set_is_made_and_the_next_command_named(cli, tmp_path):
    out = tmp_path / "made"
    said = cli("data", "shapes", "--out", out, "--count", 12, "--size", 32, "--seed", 1, "--held-out", 0.25)
    counts = json.loads((out / "made.json").read_text())["sides"]
    assert said.code == 0
    assert said.out.splitlines() == [
        *(f"wrote {out / side}: {count} pictures" for side, count in counts.items()),
        f"next: phosphene train {out / 'train'}",
    ]
    assert sum(counts.values()) == 12 + 3
    assert len(list((out / "train").glob("*.png"))) == counts["train"]


def test_python_makes_the_same(cli, tmp_path):
    cli("data", "shapes", "--out", tmp_path / "one", "--count", 8, "--size", 32, "--edits", "--quiet")
    folder = phosphene.make_data("shapes", out=tmp_path / "two", count=8, size=32, edits=True, progress=False)
    assert folder == tmp_path / "two"
    one, two = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*")}
        for root in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("shape",), "phosphene: data 'shape': sets that can be made are shapes"),
        (("shapes", "--count", 0), "phosphene: count 0: give at least 1 picture"),
        (("shapes", "--size", 16), "phosphene: size 16 of shapes: give 32 to 512 pixels"),
        (("shapes", "--held-out", 2), "phosphene: held_out 2.0: give a share of at least 0 and below 1"),
    ],
)
def test_errors_are_one_line(cli, tmp_path, words, error):
    said = cli("data", *words, "--out", tmp_path / "x")
    assert said.code == 2
    assert said.err.startswith(error)
    assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_left_alone(cli, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    said = cli("data", "shapes", "--out", tmp_path)
    assert (said.code, said.err) == (
        2,
        f"phosphene: out {tmp_path}: something is there already; choose another folder\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(cli, tmp_path, monkeypatch, number):
    made = making.make_set

    def signalled(name, *, on_progress, **how):
        def at_the_fifth(done: int, total: int) -> None:
            if done == 5:
                os.kill(os.getpid(), number)
            on_progress(done, total)

        return made(name, on_progress=at_the_fifth, **how)

    monkeypatch.setattr(making, "make_set", signalled)
    said = cli("data", "shapes", "--out", tmp_path / "x", "--count", 50, "--size", 32)
    assert (said.code, said.out) == (130, "")
    assert said.err.endswith("stopped; nothing was written\n")
    assert list(tmp_path.iterdir()) == []
