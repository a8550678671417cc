"""What is proposed for a data set: the time and the network are those of the run that would follow."""

import pytest
import torch

from phosphene.data.made.sets import make_set
from phosphene.data.sources import find
from phosphene.networks.build import build
from phosphene.networks.count import parameters
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed
from phosphene.training import proposal
from phosphene.training.assemble import network_config
from phosphene.training.proposal import diagnose


def test_a_size_that_the_patch_divides_is_timed():
    settings = {"network.kind": "transformer", "network.width": 64, "network.depth": 1, "network.patch": 3}
    recipe = changed(RECIPES["flow"], settings)
    step = proposal.measured(recipe, proposal.Form(48, 1), proposal.choose_device("cpu"))
    assert "of 33x33" in step.how
    with pytest.raises(ValueError, match=r"^data.size 49: network.patch 3 does not divide it"):
        proposal.measured(recipe, proposal.Form(49, 1), proposal.choose_device("cpu"))


def test_captions_do_not_cost_more_where_pictures_are_larger():
    """Timed at 32 pixels, which are 16 positions, and scaled to the 64 of 64 pixels: tokens do not grow."""
    settings = {"network.kind": "transformer", "network.width": 64, "network.patch": 8, "network.depth": 1}
    recipe = changed(RECIPES["flow"], {**settings, "network.token_depth": 2})
    step = proposal.measured(recipe, proposal.Form(64, 1, 0, 384), proposal.choose_device("cpu"))
    factor = float(step.how.partition("multiply-adds (")[2].partition("x")[0])
    silent = proposal.measured(
        changed(RECIPES["flow"], settings), proposal.Form(64, 1), proposal.choose_device("cpu")
    )
    assert factor < float(silent.how.partition("multiply-adds (")[2].partition("x")[0]) / 1.5


def test_captions_that_would_be_learned_are_weighed(tmp_path, monkeypatch):
    """The network of the proposal is that of the run: with attention to the encoder's states."""
    monkeypatch.setattr(proposal, "measured", lambda *_: proposal.Step(0.01, "made up"))
    made = make_set("shapes", out=tmp_path / "set", count=20, size=32, held_out=0.2)
    said = {
        asked: diagnose(made / "train", find(str(made / "train")), recipe=changed(RECIPES["flow"], settings))
        for asked, settings in (("auto", {}), ("none", {"data.text": None}))
    }
    hears, deaf = (one.proposal.parameters for one in said.values() if one.proposal is not None)
    with torch.device("meta"):
        config = network_config(changed(RECIPES["flow"], {"data.augment": 0.12}), 32, 3, 0, 384)
    assert hears == parameters(build(config)) > deaf


def test_pairs_are_not_augmented(tmp_path, monkeypatch):
    monkeypatch.setattr(proposal, "measured", lambda *_: proposal.Step(0.01, "made up"))
    made = make_set("shapes", out=tmp_path / "set", count=20, size=32, held_out=0.2, edits=True)
    about = diagnose(made / "train", find(str(made / "train")), recipe="edit")
    assert about.enough.verdict == "too few"
    assert about.proposal is not None
    assert "data.augment" not in about.proposal.settings
    changed(RECIPES["edit"], dict(about.proposal.settings))
