"""What a run leaves behind when it does not end by itself: the terminal as it was, and how to go on."""

import os
import pty
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

import phosphene
from phosphene import demo
from phosphene.cli import display
from phosphene.families.diffusion import Diffusion
from phosphene.recipes.settings import parse_assignment
from phosphene.training import checkpoint
from phosphene.training.trainer import Trainer
from tests.conftest import SMALL, small

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
WORDS = ("--images", "640", "--batch", "32", *small())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bytes]]:
    """Displays write to a pseudo-terminal; the function gives what has arrived there."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    file = os.fdopen(theirs, "w")
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=file, highlight=False)
    assert console.is_terminal
    monkeypatch.setattr(display, "Console", lambda **_: console)

    def arrived() -> bytes:
        file.flush()
        said = b""
        while True:
            try:
                said += os.read(ours, 65536)
            except BlockingIOError:
                return said

    yield arrived
    file.close()
    os.close(ours)


def assert_cursor_is_back(said: bytes) -> None:
    assert HIDE in said
    assert said.rfind(SHOW) > said.rfind(HIDE)


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], object]) -> None:
    """Does something after the update of a step."""
    update = Trainer.update

    def changed(self: Trainer) -> tuple[float, float]:
        done = update(self)
        if self.step == step:
            action()
        return done

    monkeypatch.setattr(Trainer, "update", changed)
    monkeypatch.setattr("phosphene.training.train.REPORT_EVERY", 0.0)


def test_pictures_that_cannot_be_read(cli, terminal, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no picture")
    assert cli("train", tmp_path / "bad", "--out", tmp_path / "r").code == 2
    assert_cursor_is_back(terminal())


def test_divergence(cli, terminal, tmp_path, monkeypatch):
    loss = Diffusion.loss

    def broken(self, player, batch):
        return loss(self, player, batch) * (1 if batch.step < 3 else float("nan"))

    monkeypatch.setattr(Diffusion, "loss", broken)
    monkeypatch.setattr("phosphene.training.train.REPORT_EVERY", 0.0)
    said = cli("train", "digits", "--out", tmp_path / "r", *WORDS)
    assert said.code == 2
    assert "the loss is nan" in said.err
    assert_cursor_is_back(terminal())


def test_a_full_disk(cli, terminal, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "cannot write: No space left on device", "state")

    at_step(monkeypatch, 3, lambda: monkeypatch.setattr(checkpoint, "save", full))
    assert cli("train", "digits", "--out", tmp_path / "r", *WORDS).code == 2
    assert_cursor_is_back(terminal())


def test_a_second_ctrl_c(cli, terminal, tmp_path, monkeypatch):
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, 3, twice)
    assert cli("train", "digits", "--out", tmp_path / "r", *WORDS).code != 0
    assert_cursor_is_back(terminal())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_demonstration(cli, tmp_path, monkeypatch, number):
    """It is not sampled from: that may take longer than the training, and nobody asked for it any more."""
    at_step(monkeypatch, 3, lambda: signal.raise_signal(number))
    monkeypatch.setattr(demo, "look", lambda _: pytest.fail("went on"))
    said = cli("demo", "--out", tmp_path / "r", "--budget", "1h")
    assert said.code == 130
    assert "stopped and saved after 3 steps" in said.err
    assert f"to go on: phosphene train --resume {tmp_path / 'r'}" in said.out
    assert checkpoint.load(tmp_path / "r" / "state").step == 3


@pytest.mark.parametrize("progress", [True, False])
def test_python_says_how_to_go_on(tmp_path: Path, monkeypatch, capsys, progress):
    at_step(monkeypatch, 3, lambda: signal.raise_signal(signal.SIGINT))
    settings = dict(map(parse_assignment, SMALL))
    out = tmp_path / "r"
    made = phosphene.train("digits", out=out, images=640, batch=32, settings=settings, progress=progress)
    said = capsys.readouterr().out
    assert (f"to go on: phosphene train --resume {out}" in said) == progress
    assert made.model.header.provenance is not None
    assert made.model.header.provenance.step == 3
    phosphene.train(resume=out, progress=progress)
    assert "to go on" not in capsys.readouterr().out
