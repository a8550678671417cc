"""A run that is measured, made once for all who look at it."""

from pathlib import Path

import pytest

from phosphene.training.train import start
from tests.training.measured import recipe


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A run of digits that was measured as often as could be."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    outcome = start(recipe(), out)
    assert outcome.finished
    assert outcome.measured is not None
    assert outcome.measured.count > 1
    return out
