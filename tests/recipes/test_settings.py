"""Recipes: they round-trip, and refuse what they do not know in one line."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.diffusion.grid import GRIDS
from phosphene.diffusion.prediction import PREDICTIONS
from phosphene.diffusion.schedule import SCHEDULES
from phosphene.diffusion.solver import SOLVERS
from phosphene.diffusion.weight import WEIGHTS
from phosphene.recipes import settings
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, from_toml, parse_assignment, to_toml

FLOW = RECIPES["flow"]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=str)
def test_recipes_survive_toml(recipe):
    assert from_toml(to_toml(recipe), "recipe.toml") == recipe


@given(
    images=st.none() | st.integers(1, 10**12),
    rate=st.floats(1e-9, 10),
    clip=st.integers(1, 5),
    size=st.none() | st.integers(1, 4096),
    multipliers=st.none() | st.lists(st.integers(1, 8), min_size=1, max_size=6),
)
def test_any_recipe_survives_toml(images, rate, clip, size, multipliers):
    recipe = changed(
        FLOW,
        {
            "training.images": images,
            "training.learning_rate": rate,
            "training.clip": clip,
            "data.size": size,
            "network.multipliers": multipliers,
        },
    )
    assert from_toml(to_toml(recipe), "recipe.toml") == recipe
    assert recipe.training.images == images


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"training.bach": 3}, "training.bach: no setting 'bach'; did you mean 'batch'?"),
        ({"trainin.batch": 3}, "no setting 'trainin'; did you mean 'training'?"),
        ({"training": 3}, "no setting 'training'"),
        ({"training.batch": "many"}, "training.batch 'many': input should be a valid integer"),
        ({"training.batch": 0}, "training.batch 0: input should be greater than or equal to 1"),
        ({"training.batch": 1.5}, "training.batch 1.5"),
        ({"sampling.solver": "dpmp_2m"}, "did you mean 'dpmpp_2m'"),
        ({"network.width": True}, "network.width True"),
        ({"training.learning_rate": -1.0}, "training.learning_rate -1.0"),
        (
            {"diffusion.prediction": "eps", "diffusion.schedule": "linear_zero_terminal"},
            "diffusion.prediction 'eps': the noise says nothing of a picture where none of it is left, as at "
            "the end of schedule linear_zero_terminal; accepted are x0, v, velocity, edm",
        ),
    ],
)
def test_what_is_not_a_setting(change, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        changed(FLOW, change)
    assert "\n" not in str(error.value)


def test_another_kind_of_network():
    recipe = changed(FLOW, {"network.kind": "transformer", "network.depth": 2})
    assert recipe.network == settings.TransformerSettings(depth=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.batch=64", ("training.batch", 64)),
        ("training.clip = 1.5", ("training.clip", 1.5)),
        ("data.flip=true", ("data.flip", True)),
        ("sampling.solver=heun", ("sampling.solver", "heun")),
        ("sampling.solver='heun'", ("sampling.solver", "heun")),
        ("network.multipliers=[1, 2]", ("network.multipliers", [1, 2])),
        ("data.size=none", ("data.size", None)),
        ("data.source=a=b", ("data.source", "a=b")),
    ],
)
def test_assignments(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["training.batch", "=3", ""])
def test_what_is_no_assignment(text):
    with pytest.raises(ValueError, match=r"give section\.field=value"):
        parse_assignment(text)


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(text):
    try:
        name, _ = parse_assignment(f"training.batch={text}")
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017 -- either outcome is right
    else:
        assert name == "training.batch"


def test_a_broken_recipe_file_is_named():
    with pytest.raises(ValueError, match=r"recipe\.toml: Invalid value"):
        from_toml("name = ", "recipe.toml")
    with pytest.raises(ValueError, match=r"recipe\.toml: training\.batch"):
        from_toml('name = "x"\n[training]\nbatch = "x"\n', "recipe.toml")


def test_names_in_recipes_are_those_of_the_mathematics():
    assert set(get_args(settings.ScheduleName)) == set(SCHEDULES)
    assert set(get_args(settings.PredictionName)) == set(PREDICTIONS)
    assert set(get_args(settings.WeightName)) == set(WEIGHTS)
    assert set(get_args(settings.GridName)) == set(GRIDS)
    assert set(get_args(settings.SolverName)) == set(SOLVERS)
