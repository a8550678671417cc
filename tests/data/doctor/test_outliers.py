import numpy as np
import pytest
from PIL import Image

from phosphene.data.doctor.outliers import FAR, _isolation, outliers, robust
from phosphene.data.doctor.survey import survey
from tests.data.doctor.planted import fields, png, source

REST = {f"{i:03}.png": png(image) for i, image in enumerate(fields(0, 300))}


def found(files, size=32):
    surveyed = survey(source(files))
    return {one.name: one.kind for one in outliers(surveyed.rows, tuple(sorted(files)), size)}


def test_robust_scores_by_hand():
    # Median 3, deviations 2 1 0 1 97, their median 1.
    scores = robust(np.array([1.0, 2, 3, 4, 100]), floor=0.1)
    assert scores == pytest.approx(np.array([-2, -1, 0, 1, 97]) / 1.4826)
    assert robust(np.array([5.0, 5, 5, 6]), floor=2.0).tolist() == [0, 0, 0, 0.5]


def test_a_healthy_set_has_none():
    assert found(REST) == {}


def test_planted_ones_are_named_with_their_kind_and_nothing_else_is():
    random = np.random.default_rng(7)
    soft = Image.fromarray(random.integers(0, 20, (6, 6, 3), np.uint8)).resize((48, 48))
    blue = np.asarray(fields(8, 1)[0]) * np.array([0.7, 0.7, 1.0]) + np.array([0, 0, 80])
    checks = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((12, 12))) * 255
    planted = {
        "blank.png": png(Image.new("RGB", (48, 48), (200, 30, 30))),
        "tiny.png": png(fields(5, 1, 16)[0]),
        "long.png": png(fields(6, 1)[0].resize((240, 48))),
        "dark.png": png(soft),
        "bright.png": png(Image.fromarray(255 - np.asarray(soft))),
        "blue.png": png(Image.fromarray(blue.clip(0, 255).astype(np.uint8))),
        "checks.png": png(Image.fromarray(checks.astype(np.uint8)).convert("RGB")),
    }
    assert found(REST | planted) == {
        "blank.png": "blank",
        "tiny.png": "tiny",
        "long.png": "shape",
        "dark.png": "dark",
        "bright.png": "bright",
        "blue.png": "colour",
        "checks.png": "isolated",
    }


def test_two_kinds_of_pictures_are_not_outliers_of_each_other():
    dark = {
        f"dark-{i}.png": png(Image.fromarray(np.asarray(image) // 4))
        for i, image in enumerate(fields(1, 100))
    }
    assert found(REST | dark) == {}


def test_five_of_a_kind_are_isolated_and_six_are_not():
    checks = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((12, 12))) * 255
    odd = png(Image.fromarray(checks.astype(np.uint8)).convert("RGB"))
    for count, isolated in ((5, True), (6, False)):
        files = REST | {f"x{i}.png": odd for i in range(count)}
        scores = _isolation(survey(source(files)).rows)[-count:]
        assert (scores > FAR).all() == isolated
        assert len(set(scores)) == 1


def test_in_small_sets_only_plain_limits_speak():
    few = dict(list(REST.items())[:8]) | {"dark.png": png(Image.new("L", (48, 48), 3))}
    assert found(few) == {"dark.png": "blank"}
    assert found({"a.png": REST["000.png"], "b.png": png(fields(3, 1)[0].resize((6, 5)))}, 12) == {
        "b.png": "tiny"
    }
