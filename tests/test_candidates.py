"""The bench of text to image: what is counted of several candidates, of which one shows what was asked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.quality import text
from torch import Tensor

from phosphene.data.made.sets import make_set
from phosphene.families.clip import Clip
from phosphene.families.generator import Generator
from phosphene.pictures.pixels import to_values

COUNT, RIGHT = 10, 2  # prompts; the candidate that shows them


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set("shapes", out=tmp_path_factory.mktemp("d") / "set", count=60, size=64, held_out=0.3)


def generator(made: Path) -> Generator:
    """Grey pictures, and as candidate RIGHT the real ones."""
    real = {kind: values for kind, _, values in text.asked(made, COUNT, 64)}["held-out"]

    def sample(count: int, prompt: list[str], seed: int, first: int, **how: Any) -> SimpleNamespace:
        values = to_values(torch.from_numpy(real))
        return SimpleNamespace(values=values if first == RIGHT * count else torch.zeros_like(values))

    return cast(Generator, SimpleNamespace(size=64, sample=sample))


def ranker(sign: float) -> Clip:
    """Likes what is least (1) or most (-1) grey."""

    def score(values: Tensor, texts: list[str]) -> np.ndarray:
        return sign * values.abs().mean((1, 2, 3)).numpy()

    return cast(Clip, SimpleNamespace(score=score))


def measured(made: Path, candidates: int, by: Clip | None = None) -> text.Measured:
    return next(text.measure(generator(made), made, COUNT, candidates=candidates, ranker=by))


def test_the_ranked_candidate_is_counted_and_at_least_one(made: Path):
    good, bad = measured(made, 4, ranker(1)), measured(made, 4, ranker(-1))
    assert good.kind == "held-out"
    assert good.of == COUNT
    assert good.right.value == bad.right.value == 0.0  # of candidate 0 alone
    assert good.real.value == 1.0
    assert (good.ranked and good.ranked.value, bad.ranked and bad.ranked.value) == (1.0, 0.0)
    assert (good.any_right and good.any_right.value, bad.any_right and bad.any_right.value) == (1.0, 1.0)


def test_of_too_few_candidates_none_is_right(made: Path):
    few = measured(made, RIGHT, ranker(1))
    assert (few.ranked and few.ranked.value, few.any_right and few.any_right.value) == (0.0, 0.0)


def test_without_candidates_or_a_ranker_nothing_is_said_of_them(made: Path):
    assert measured(made, 1, ranker(1)).any_right is None
    assert measured(made, 1).ranked is None
    assert measured(made, 3).ranked is None
