"""Two small runs on the digits, evaluated once for all tests of this folder."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import phosphene
from phosphene.evaluation.record import Evaluation, read
from tests.conftest import trained

QUICK: dict[str, Any] = {"count": 60, "steps": 4, "likelihood": 4, "flow": 2, "tolerance": 0.1, "threads": 1}
"""Options of an evaluation that takes seconds."""


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "one", 640)


@pytest.fixture(scope="session")
def evaluated(run: Path) -> Path:
    """The run's folder, with evaluation.json."""
    phosphene.evaluate(run, progress=False, **QUICK)
    return run


@pytest.fixture(scope="session")
def evaluation(evaluated: Path) -> Evaluation:
    return read(evaluated / "evaluation.json")


@pytest.fixture(scope="session")
def other(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run on the same data, of another seed, evaluated in the same way."""
    place = trained(tmp_path_factory.mktemp("runs") / "two", 1280, "training.seed=1")
    phosphene.evaluate(place, progress=False, **QUICK)
    return place


@pytest.fixture
def copy(evaluated: Path, tmp_path: Path) -> Path:
    """A copy of the evaluated run that a test may change."""
    return Path(shutil.copytree(evaluated, tmp_path / "copy"))
