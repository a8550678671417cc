"""From words that do not depend on the data to the network's exact configuration."""

import pytest

from phosphene.networks.transformer import TransformerConfig
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed
from phosphene.training.assemble import attending, fitting_head, network_config
from phosphene.training.base import words


def unet(size: int, **settings: object) -> UNetConfig:
    recipe = changed(RECIPES["flow"], {f"network.{name}": value for name, value in settings.items()})
    config = network_config(recipe, size, 3, 0)
    assert isinstance(config, UNetConfig)
    return config


@pytest.mark.parametrize(
    ("size", "at"),
    [
        # Powers of two attend at exactly 16 and 8 pixels.
        *((8, [8]), (16, [16, 8]), (32, [16, 8]), (64, [16, 8]), (128, [16, 8]), (256, [16, 8])),
        # Others at the next sizes below.
        *((48, [12, 6]), (24, [12, 6]), (12, [12, 6]), (20, [10, 5]), (40, [10, 5]), (96, [12, 6])),
        *((4, [4]), (9, [9]), (10, [10, 5])),
    ],
)
def test_every_size_attends_where_it_is_16_and_8_pixels_or_next_below(size, at):
    config = unet(size)
    sizes = [size // 2**level for level in range(len(config.widths))]
    assert [s for s, attends in zip(sizes, config.attention, strict=True) if attends] == at


def test_what_is_wanted_below_the_last_level_is_nowhere():
    assert attending((32, 16), (8,)) == (False, False)
    assert attending((32, 16), ()) == (False, False)
    assert attending((32, 16), (100, 20)) == (True, True)


def test_heads_are_the_widest_that_fit():
    assert [fitting_head(32, (w, 2 * w)) for w in (64, 32, 36, 48, 8, 34)] == [32, 32, 18, 24, 8, 17]
    assert fitting_head(32, (24, 36)) == 12
    assert unet(16, width=36).head_width == 18
    assert unet(16, width=36, head_width=None).head_width is None


def test_an_odd_width_is_named_as_the_recipe_names_it():
    with pytest.raises(ValueError, match=r"^network\.width 33: give an even number"):
        unet(16, width=33)
    assert unet(16, width=33, multipliers=[2, 2]).widths == (66, 66)


def test_a_transformer_has_its_patches_divide_the_size():
    config = network_config(RECIPES["transformer"], 16, 3, 4)
    assert isinstance(config, TransformerConfig)
    assert (config.patch, config.classes) == (2, 4)
    with pytest.raises(ValueError, match=r"^data\.size 9: network\.patch 2 does not divide it"):
        network_config(RECIPES["transformer"], 9, 3, 0)


def test_layers_of_tokens_need_captions_and_survive_being_said_again():
    talking = {"network.token_depth": 2, "network.shared_modulation": True}
    recipe = changed(RECIPES["transformer"], talking)
    config = network_config(recipe, 16, 3, 0, token_width=7)
    assert isinstance(config, TransformerConfig)
    assert (config.token_depth, config.shared_modulation) == (2, True)
    assert (
        network_config(recipe.model_copy(update={"network": words(config, 16)}), 16, 3, 0, token_width=7)
        == config
    )
    with pytest.raises(ValueError, match=r"^network\.token_depth 2: layers for captions, of which none"):
        network_config(recipe, 16, 3, 0)
