"""Minutes long: what the demonstration promises. Part of `make test-all` only."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phosphene import demo
from phosphene.training.train import Watcher


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "least"), [("flow", 0.97), ("ddpm", 0.95)])
def test_the_demonstration_makes_digits_that_can_be_read(recipe: str, least: float, tmp_path: Path):
    """ddpm's are 200 digits, whose share has a standard deviation of 1% at the 98% that were measured."""
    made = demo.look(demo.train(recipe, tmp_path / "r", None, 0, 2, Watcher()).folder)
    assert made.on_real > 0.98
    assert made.accuracy >= least
    assert min(made.by_class.values()) >= 0.8
    for path in made.paths:
        with Image.open(path) as image:
            assert min(image.size) >= 340
            assert np.asarray(image.convert("L")).std() > 40


@pytest.mark.slow
def test_guidance_does_not_make_one_digit_of_each_class(tmp_path: Path):
    """Within a class, new digits differ from each other at least three quarters as much as real ones do."""
    from phosphene.data.cache import prepare
    from phosphene.data.sources import find
    from phosphene.families.generator import load
    from phosphene.pictures.pixels import to_bytes

    demo.train("flow", tmp_path / "r", None, 0, 2, Watcher())
    new = load(tmp_path / "r").sample(400, label=[i % 10 for i in range(400)])
    data = prepare(find("digits"))
    assert data.labels is not None
    ours, real = [], []
    for label in range(10):
        made = to_bytes(new.values[label::10]).numpy().astype(float)
        ours.append(made.std(0).mean())
        real.append(data.pictures[data.labels == label].astype(float).std(0).mean())
    assert np.mean(ours) > 0.75 * np.mean(real)
