"""The recipes of the models that are shipped: what they begin from, and how large that is."""

import pytest
import torch
from bench.planned import PLANNED

from phosphene.networks.build import build
from phosphene.networks.count import parameters
from phosphene.recipes.settings import from_toml
from phosphene.store.shipped import CHECKOUT, LARGEST, names
from phosphene.training.assemble import network_config

RECIPES = sorted(CHECKOUT.glob("*.toml"))
TOKEN_WIDTH = 384  # of MiniLM


def test_there_are_recipes():
    assert {path.stem for path in RECIPES} == set(PLANNED)
    assert set(names()) <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_model_fits_in_its_file(path):
    recipe = from_toml(path.read_text(), str(path))
    assert recipe.name == path.stem
    assert recipe.data.size is not None
    heard = TOKEN_WIDTH if recipe.data.text else 0
    with torch.device("meta"):
        network = build(network_config(recipe, recipe.data.size, 3, 0, heard))
    assert 2 * parameters(network) < LARGEST
