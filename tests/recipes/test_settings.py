"""Recipes: they round-trip, and refuse what they do not know in one line."""

import math
import re
from datetime import date
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
from phosphene.recipes.tasks import SuperResolutionTask

FLOW = RECIPES["flow"]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=str)
def test_recipes_survive_toml(recipe):
    assert from_toml(to_toml(recipe), "recipe.toml") == recipe


# A value for each field that may be None; of the two lengths of training exactly one is.
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda w: w != settings.NONE)
PRESENT = {
    "data.size": st.integers(1, 4096),
    "data.text": st.sampled_from(["auto", "minilm", "google/t5-v1_1-small"]),
    "network.multipliers": st.lists(st.integers(1, 8), min_size=1, max_size=6),
    "network.head_width": st.integers(1, 256),
    "training.measure_pictures": st.integers(20, 4096),
    "data.text_column": WORDS,
    "data.label_column": WORDS,
    "data.image_column": WORDS,
    "data.before_column": WORDS,
    "data.classes": st.lists(WORDS, max_size=4),
    "base.model": WORDS,
    "base.fingerprint": WORDS,
    "base.rank": st.integers(1, 64),
}
LENGTH = st.one_of(
    st.builds(lambda n: {"training.images": n, "training.budget": None}, st.integers(1, 10**12)),
    st.builds(lambda s: {"training.images": None, "training.budget": s}, st.floats(1e-3, 1e9)),
)


@given(
    optional=st.fixed_dictionaries({name: st.none() | values for name, values in PRESENT.items()}),
    length=LENGTH,
    rate=st.floats(1e-9, 10),
    clip=st.integers(1, 5),
    threshold=st.sampled_from(["none", "clip"]),
)
def test_any_recipe_survives_toml(optional, length, rate, clip, threshold):
    changes = {**optional, **length, "training.learning_rate": rate, "training.clip": clip}
    recipe = changed(FLOW, {**changes, "sampling.threshold": threshold})
    assert from_toml(to_toml(recipe), "recipe.toml") == recipe
    values = recipe.model_dump(mode="json")
    for name, value in (optional | length).items():
        section, field = name.split(".")
        assert values[section][field] == value


def test_every_field_that_may_be_none_is_tried():
    assert {".".join(place) for place in settings.OPTIONAL} == {
        *PRESENT,
        "training.images",
        "training.budget",
    }


@pytest.mark.parametrize(
    ("text", "images", "budget"),
    [
        ("[training]\nbatch = 32", 1_000_000, None),
        ("[training]\nimages = 5", 5, None),
        ("[training]\nbudget = 60", None, 60.0),
        ("[training]\nbudget = 'none'", 1_000_000, None),
        ("[network]\nwidth = 32", 1_000_000, None),
    ],
)
def test_what_a_recipe_leaves_out_takes_its_default(text, images, budget):
    recipe = from_toml(f'name = "mine"\n{text}\n', "recipe.toml")
    assert (recipe.training.images, recipe.training.budget) == (images, budget)
    assert recipe.data == settings.DataSettings()
    assert recipe.network == settings.UNetSettings(width=32 if "width" in text else 64)


def test_a_new_length_of_training_takes_the_place_of_the_other():
    timed = changed(FLOW, {"training.budget": 60})
    assert (timed.training.images, timed.training.budget) == (None, 60.0)
    counted = changed(timed, {"training.images": 5})
    assert (counted.training.images, counted.training.budget) == (5, None)


@pytest.mark.parametrize("changes", [{"training.images": "none"}, {"training.images": None}])
def test_training_has_a_length(changes):
    with pytest.raises(ValueError, match=r"^training\.images None, budget None: give one of the two[^\n]*$"):
        changed(FLOW, changes)
    with pytest.raises(ValueError, match=r"training\.images 5, budget 60\.0: give one of the two"):
        changed(FLOW, {"training.images": 5, "training.budget": 60})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"training.bach": 3}, "training.bach: no setting 'bach'; did you mean 'batch'?"),
        ({"trainin.batch": 3}, "no setting 'trainin'; did you mean 'training'?"),
        ({"training": 3}, "no setting 'training'"),
        ({"training.batch": "many"}, "training.batch 'many': input should be a valid integer"),
        ({"training.batch": 0}, "training.batch 0: input should be greater than or equal to 1"),
        ({"training.batch": 1.5}, "training.batch 1.5"),
        ({"training.clip": 0.0}, "training.clip 0.0: input should be greater than 0"),
        ({"network.kind": "clip", "network.width": 0}, "network.width 0: input should be greater than"),
        ({"sampling.solver": "dpmp_2m"}, "did you mean 'dpmpp_2m'"),
        ({"network.width": True}, "network.width True"),
        ({"training.learning_rate": -1.0}, "training.learning_rate -1.0"),
        (
            {"diffusion.prediction": "eps", "diffusion.schedule": "linear_zero_terminal"},
            "diffusion.prediction 'eps': the noise says nothing of a picture where none of it is left, as at "
            "the end of schedule linear_zero_terminal; accepted are x0, v, velocity, edm",
        ),
        (
            {"diffusion.learned_variance": True},
            "diffusion.learned_variance True: schedule flow has no steps whose variance could be learned; "
            "accepted with linear, scaled_linear, linear_zero_terminal, cosine_capped",
        ),
        ({"sampling.solver": "ddpm_learned"}, "sampling.solver 'ddpm_learned': it needs diffusion.learned_"),
        ({"training.ema": []}, "training.ema []: tuple should have at least 1 item"),
        ({"training.seed": date(2020, 1, 2)}, "training.seed '2020-01-02': input should be a valid integer"),
        ({"training.budget": math.inf}, "training.budget inf: input should be a finite number"),
    ],
)
def test_what_is_not_a_setting(change, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        changed(FLOW, change)
    assert "\n" not in str(error.value)


def test_none_is_a_word_or_none_as_the_field_has_it():
    changes = dict(map(parse_assignment, ["sampling.threshold=none", "network.head_width=none"]))
    recipe = changed(changed(FLOW, {"sampling.threshold": "clip"}), changes)
    assert recipe.sampling.threshold == "none"
    assert isinstance(recipe.network, settings.UNetSettings)
    assert recipe.network.head_width is None


def test_another_kind_of_network():
    for changes in ({"network.kind": "transformer", "network.depth": 2}, {"network.depth": 2}):
        recipe = changed(FLOW, {**changes, "network.kind": "transformer"})  # in either order
        assert recipe.network == settings.TransformerSettings(depth=2)
    recipe = changed(FLOW, {"task.factor": 2, "task.kind": "super_resolution"})
    assert recipe.task == SuperResolutionTask(factor=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.batch=64", ("training.batch", 64)),
        ("training.clip = 1.5", ("training.clip", 1.5)),
        ("data.flip=true", ("data.flip", True)),
        ("sampling.solver=heun", ("sampling.solver", "heun")),
        ("sampling.solver='heun'", ("sampling.solver", "heun")),
        ("network.multipliers=[1, 2]", ("network.multipliers", [1, 2])),
        ("data.size=none", ("data.size", "none")),
        ("data.size=None", ("data.size", "none")),
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
    with pytest.raises(ValueError, match=r"^recipe\.toml: data 3: input should be an object$"):
        from_toml('name = "x"\ndata = 3\n', "recipe.toml")
    with pytest.raises(ValueError, match=r"^recipe\.toml: training\.seed '2020-01-02': [^\n]*$"):
        from_toml('name = "x"\n[training]\nseed = 2020-01-02\n', "recipe.toml")
    with pytest.raises(ValueError, match=r"recipe\.toml: training\.batch"):
        from_toml('name = "x"\n[training]\nbatch = "x"\n', "recipe.toml")


def test_names_in_recipes_are_those_of_the_mathematics():
    assert set(get_args(settings.ScheduleName)) == set(SCHEDULES)
    assert set(settings.DISCRETE) == {name for name, make in SCHEDULES.items() if make().steps}
    assert set(get_args(settings.PredictionName)) == set(PREDICTIONS)
    assert set(get_args(settings.WeightName)) == set(WEIGHTS)
    assert set(get_args(settings.GridName)) == set(GRIDS)
    assert set(get_args(settings.SolverName)) == set(SOLVERS)
