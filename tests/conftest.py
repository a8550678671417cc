"""What all tests share: a cache of their own, one thread a worker, nothing from the network."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import settings

pytest.register_assert_rewrite("tests.browser")

from tests.browser import browser as browser  # noqa: E402

# Time limits of single examples say more about the machine than about the code.
settings.register_profile("phosphene", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("phosphene")

SMALL = (
    "network.width=8",
    "network.multipliers=[1, 2]",
    "network.blocks=1",
    "network.attention=[4]",
    "network.head_width=8",
)
"""A network that trains a step in milliseconds, for --set."""


@pytest.fixture(scope="session", autouse=True)
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOSPHENE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        torch.set_num_threads(1)
        yield


class Said(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The command line in this process: cli("info", "solvers")."""
    from phosphene.cli.main import main

    def run(*words: str | Path) -> Said:
        monkeypatch.setattr("sys.argv", ["phosphene", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


class Clock:
    """Seconds that pass only when something says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def small(*more: str) -> list[str]:
    """--set options of the small network, and more."""
    return [word for assignment in (*SMALL, *more) for word in ("--set", assignment)]


def trained(out: Path, images: int, *more: str) -> Path:
    """A run of the small network on the digits, made through Python."""
    import phosphene
    from phosphene.recipes.settings import parse_assignment

    settings = dict(map(parse_assignment, (*SMALL, *more)))
    phosphene.train("digits", out=out, images=images, batch=64, settings=settings, progress=False)
    return out
