"""Runs that begin from a model: what it decides, what is learned, and the same bits when they are resumed."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import phosphene
from phosphene.diffusion.condition import Condition
from phosphene.families.generator import Generator, load
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed
from phosphene.recipes.tasks import DeblurringTask, InpaintingTask, NoTask
from phosphene.store import model
from phosphene.training import checkpoint
from phosphene.training.base import fitted
from phosphene.training.options import adapt
from phosphene.training.train import Outcome, Watcher, build, prepare_data, restore, start
from phosphene.training.workers import Workers
from tests.conftest import trained


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A run of a small network on the digits."""
    return trained(tmp_path_factory.mktemp("base") / "digits", 256, "training.measure_share=0")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Ten grey pictures of another look, of another size."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(10):
        Image.fromarray(rng.integers(0, 256, (12, 12), np.uint8)).save(folder / f"{i}.png")
    return folder


def learn(base: Path, pictures: Path, out: Path, **more) -> Outcome:
    """Some steps of an adapter."""
    options: dict[str, Any] = {
        "rank": 2,
        "budget": None,
        "images": 64,
        "seed": None,
        "batch": 8,
        "recipe": None,
        "settings": {"training.measure_share": 0.0},
        "force": False,
        "device": "cpu",
        "threads": None,
        "precision": None,
    }
    return adapt(base, pictures, out=out, watcher=Watcher(), **{**options, **more})


@pytest.fixture(scope="module")
def adapter(base: Path, pictures: Path, tmp_path_factory) -> Path:
    return learn(base, pictures, tmp_path_factory.mktemp("adapters") / "a").folder.root


def test_only_the_change_is_kept(base: Path, adapter: Path):
    own = load_file(adapter / "model" / "model.safetensors")
    assert {name.rpartition(".")[2] for name in own} == {"lora_A", "lora_B"}
    assert any(value.any() for name, value in own.items() if name.endswith("lora_B"))
    for loaded in checkpoint.every(adapter / "state", []):
        assert all("/low." in name for name in loaded.tensors)
    said = json.loads((adapter / "model" / "adapter.json").read_text())
    assert said["fingerprint"] == load(base).model.fingerprint
    assert (said["rank"], said["size"], said["channels"]) == (2, 8, 1)


@pytest.mark.parametrize(
    ("rank", "task"),
    [(2, "none"), (None, "none"), (None, "inpainting")],
    ids=["adapter", "all weights", "another task"],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    rank, task: str, base: Path, pictures: Path, tmp_path: Path
):
    changes = {
        "task.kind": task,
        "data.source": str(pictures),
        "base.model": str(base),
        "base.rank": rank,
        "training.images": 64,
        "training.batch": 8,
    }
    recipe = fitted(RECIPES["lora"], changes)
    data = prepare_data(recipe, Watcher())
    whole, first, second = (build(recipe, data, torch.device("cpu"), Workers()) for _ in range(3))
    for _ in whole.run(lambda: False):
        pass
    for _ in first.run(lambda: first.step == 3):
        pass
    assert first.step == 3
    checkpoint.save(tmp_path, first.step, first.tensors(), first.facts())
    restore(second, tmp_path, keep_total=True)
    for _ in second.run(lambda: False):
        pass
    assert whole.step == second.step == 8
    wanted, found = whole.tensors(), second.tensors()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    if rank is not None:
        theirs = load(base).model.network.state_dict()
        assert all(
            torch.equal(value, theirs[name.removeprefix("base.")]) for name, value in second.frozen().items()
        )
        assert len(second.frozen()) == len(theirs)


def test_a_moved_base_is_found_and_another_is_refused(base: Path, adapter: Path, tmp_path: Path):
    shutil.copytree(adapter, tmp_path / "a")
    shutil.copytree(base, tmp_path / "moved")
    phosphene.train(resume=tmp_path / "a", base=tmp_path / "moved", images=72, progress=False)
    other = trained(tmp_path / "other", 64, "training.measure_share=0")
    with pytest.raises(ValueError, match=re.escape("its weights are ")):
        phosphene.train(resume=tmp_path / "a", base=other, images=80, progress=False)


def test_weight_0_makes_the_same_pictures(base: Path, adapter: Path):
    plain, none, half, whole = (
        load(base, adapters=adapters).sample(4, steps=3).values
        for adapters in (None, {adapter: 0.0}, {adapter: 0.5}, {adapter: 1.0})
    )
    assert torch.equal(none, plain)
    assert 0 < (half - plain).abs().max() < (whole - plain).abs().max()
    # A run of adapt is its model with the adapter.
    assert torch.equal(phosphene.load(adapter).sample(4, steps=3).values, whole)


def test_all_weights_of_a_model_go_on(base: Path, tmp_path: Path):
    """At a learning rate of almost nothing they stay; the network, its classes and its way of asking too."""
    settings = {"training.learning_rate": 1e-12, "training.measure_share": 0.0}
    made = phosphene.train(
        "digits", base=base, images=128, batch=64, out=tmp_path / "on", settings=settings, progress=False
    )
    begun = load(base)
    assert made.model.config == begun.model.config
    for field in ("classes", "size", "channels", "diffusion", "sampling"):
        assert getattr(made.model.header, field) == getattr(begun.model.header, field)
    theirs = begun.model.network.state_dict()
    for name, value in made.model.network.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-8)
    assert isinstance(made, Generator)


def test_labels_are_the_models_by_name(base: Path, tmp_path: Path):
    """Two folders named as classes are those classes; another name is refused."""
    for name in ("7", "3"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (8, 8), 80 * i + int(name)).save(tmp_path / "data" / name / f"{i}.png")
    recipe = fitted(RECIPES["lora"], {"data.source": str(tmp_path / "data"), "base.model": str(base)})
    from phosphene.data.load import load as load_data

    data = load_data(recipe.data)
    assert data.classes == tuple("0123456789")
    assert data.labels is not None
    assert data.labels.tolist() == [3, 3, 3, 7, 7, 7]
    (tmp_path / "data" / "7").rename(tmp_path / "data" / "ink")
    with pytest.raises(ValueError, match=r"data\.classes: 'ink' is none of the model's, which are 0, 1"):
        load_data(recipe.data)
    shutil.rmtree(tmp_path / "data" / "ink")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.size": 16}, "data.size 16: the model {} decides, it is 8; leave it out"),
        ({"network.width": 32}, "network.width 32: the model {} decides, it is 8; leave it out"),
        ({"diffusion.prediction": "v"}, "diffusion.prediction v: the model {} decides, it is velocity"),
        ({"data.channels": "RGB"}, "data.channels RGB: the model {} decides, it is L"),
    ],
)
def test_what_the_model_decides_cannot_be_changed(changes, words: str, base: Path):
    with pytest.raises(ValueError, match=re.escape(words.format(base))):
        fitted(RECIPES["lora"], {"data.source": "digits", "base.model": str(base), **changes})


def test_what_is_of_training_can(base: Path):
    changes = {"network.dropout": 0.2, "diffusion.drop": 0.3, "training.batch": 4, "base.alpha": 16.0}
    recipe = fitted(RECIPES["lora"], {"data.source": "digits", "base.model": str(base), **changes})
    assert changed(recipe, {}) == recipe
    assert (recipe.network.dropout, recipe.diffusion.drop, recipe.base.alpha) == (0.2, 0.3, 16.0)


def test_errors_of_bases(base: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="say which: --from MODEL"):
        phosphene.train("digits", recipe="lora", progress=False, out=tmp_path / "x")
    with pytest.raises(ValueError, match="no run or model here"):
        phosphene.train("digits", base="nowhere", progress=False, out=tmp_path / "x")
    with pytest.raises(ValueError, match=r"data.augment 0.1: the model was trained without"):
        phosphene.train(
            "digits", base=base, settings={"data.augment": 0.1}, progress=False, out=tmp_path / "x"
        )
    with pytest.raises(ValueError, match="tune: a model that exists has its width"):
        phosphene.train("digits", base=base, tune=True, budget="1s", progress=False, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_merged_is_a_model_like_any(base: Path, adapter: Path, tmp_path: Path):
    out = phosphene.merge(base, {adapter: 0.5}, tmp_path / "merged")
    made = load(out)
    with_adapter = load(base, adapters={adapter: 0.5})
    assert torch.equal(made.sample(2, steps=3).values, with_adapter.sample(2, steps=3).values)
    assert model.read_header(out).classes == with_adapter.classes
    assert "| a | 0.5 |" in (out / "README.md").read_text()
    with pytest.raises(ValueError, match="something is here already"):
        phosphene.merge(base, {adapter: 0.5}, out)
    # What is merged can be adapted again, and says so to what was learned on something else.
    with pytest.warns(UserWarning, match="learned on other weights"):
        load(out, adapters={adapter: 1.0})


def test_a_picture_says_its_adapters_and_is_made_again(base: Path, adapter: Path, tmp_path: Path):
    from phosphene.families.maker import load_like
    from phosphene.pictures.embedded import read_settings

    made = load(base, adapters={adapter: 0.5}).sample(1, steps=3, label=3)
    *_, png = made.save(tmp_path / "out")
    (said,) = cast("list[dict[str, Any]]", read_settings(png)["adapters"])
    assert (said["place"], said["weight"]) == (str(adapter / "model"), 0.5)
    again = load_like(png)
    assert torch.equal(again.sample(like=png).values, made.values)
    with pytest.raises(ValueError, match=r"made with other adapters, .*:0\.5; load the model with those"):
        load(base).sample(like=png)


def test_a_model_that_was_shown_nothing_learns_to_be_shown(base: Path, pictures: Path, tmp_path: Path):
    """It begins as what it was, whatever it is shown: the further channels' weights are zero."""
    recipe = fitted(RECIPES["flow"], {"base.model": str(base), "task.kind": "inpainting"})
    recipe = changed(recipe, {"data.source": str(pictures), "training.images": 16, "training.batch": 8})
    trainer = build(recipe, prepare_data(recipe, Watcher()), torch.device("cpu"), Workers())
    own, network = load(base).model.network, trainer.network
    x, noise = torch.randn(2, 1, 8, 8), torch.rand(2)
    picture = torch.randn(2, 2, 8, 8)
    shown = network(x, noise, Condition(picture=picture))
    torch.testing.assert_close(shown, own(x, noise, Condition()), rtol=1e-4, atol=1e-7)
    with torch.no_grad():
        network.get_parameter("enter.weight")[:, 1:] += 0.1
    assert not torch.allclose(network(x, noise, Condition(picture=picture)), shown, rtol=1e-3, atol=1e-6)


def test_what_is_new_about_a_task_is_the_recipes(base: Path):
    edit = RECIPES["edit"]
    found = fitted(changed(edit, {"data.text": "none"}), {"base.model": str(base)})
    assert (found.task.kind, found.data.pairs) == ("editing", True)
    assert found.sampling == edit.sampling
    assert found.diffusion == load(base).model.header.diffusion.model_copy(update={"drop": 0.05})
    plain = fitted(RECIPES["fine-tune"], {"base.model": str(base)})
    assert (plain.task.kind, plain.data.pairs) == ("none", False)


@pytest.fixture(scope="module")
def editor(base: Path, tmp_path_factory) -> Path:
    """A run that began from the digits and learned pairs of them."""
    root = tmp_path_factory.mktemp("editor")
    (root / "pairs").mkdir()
    rows = []
    for i in range(24):
        for role in ("before", "after"):
            Image.new("L", (8, 8), 10 * i + 5).save(root / "pairs" / f"{i}-{role}.png")
        rows.append({"file_name": f"{i}-after.png", "before": f"{i}-before.png", "instruction": "darker"})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (root / "pairs" / "metadata.jsonl").write_text(lines)
    changes = {
        "base.model": str(base),
        "data.source": str(root / "pairs"),
        "training.images": 16,
        "training.batch": 8,
        "training.measure_share": 0,
    }
    recipe = fitted(changed(RECIPES["edit"], {"data.text": "none"}), changes)
    start(recipe, root / "editor", device="cpu")
    return root


def test_an_editing_model_goes_on_and_is_adapted(editor: Path, tmp_path: Path):
    """With the recipes that know nothing of pairs: the model decides that there are."""
    generator = load(editor / "editor")
    assert generator.edits
    network = cast(Any, generator.model.network)
    assert network.config.in_channels == 3
    assert network.get_parameter("enter.weight")[:, 1:].abs().max() > 0  # it is learned
    adapted = learn(editor / "editor", editor / "pairs", tmp_path / "a")
    assert adapted.finished
    edited = load(editor / "editor", adapters={str(tmp_path / "a"): 1.0}).edit(Image.new("L", (8, 8), 9))
    assert edited.values.shape == (1, 1, 8, 8)
    for more in ({}, {"data.pairs": True}):
        recipe = fitted(RECIPES["fine-tune"], {"base.model": str(editor / "editor"), **more})
        assert recipe.task.kind == "editing"


@pytest.mark.parametrize(
    ("recipe", "changes", "words"),
    [
        ("fine-tune", {"data.pairs": True, "task.kind": "inpainting"}, "data.pairs True, task.kind 'inpai"),
        ("fine-tune", {"data.pairs": False}, "data.pairs False, task.kind 'editing'"),
    ],
)
def test_an_editing_model_shows_what_it_does(recipe: str, changes: dict[str, Any], words: str, editor: Path):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        fitted(RECIPES[recipe], {"base.model": str(editor / "editor"), **changes})


def test_a_model_that_is_shown_one_thing_learns_another(editor: Path):
    """Of its own kind too, by another setting; a recipe that says nothing of tasks leaves what it was."""
    edits = {"base.model": str(editor / "editor")}
    recipe = fitted(RECIPES["flow"], {**edits, "task.kind": "inpainting", "task.fill": "smooth"})
    assert (recipe.task, recipe.data.pairs) == (InpaintingTask(fill="smooth"), False)
    start(changed(recipe, {"data.source": "digits", "training.images": 8}), editor / "painter", device="cpu")
    paints = {"base.model": str(editor / "painter")}
    assert fitted(RECIPES["fine-tune"], paints).task == InpaintingTask(fill="smooth")
    assert fitted(RECIPES["fine-tune"], {**paints, "task.fill": "grey"}).task == InpaintingTask(fill="grey")
    plain = fitted(RECIPES["flow"], {**paints, "task.kind": "none"})
    assert plain.task == NoTask()
    assert fitted(plain, {}).task == NoTask()  # a run's own recipe makes it again
    # As recipes of models that begin from others say it.
    sharp = changed(RECIPES["flow"], {"task.kind": "deblurring"})
    assert fitted(sharp, paints).task == DeblurringTask()
    assert fitted(changed(RECIPES["flow"], {"task.kind": "inpainting"}), paints).task == InpaintingTask()
    # How it is asked changes with the kind of task alone.
    steps = changed(RECIPES["flow"], {"sampling.steps": 7})
    assert fitted(steps, {**paints, "task.fill": "grey"}).sampling == recipe.sampling
    assert fitted(steps, {**paints, "task.kind": "denoising"}).sampling.steps == 7
    with pytest.raises(ValueError, match=r"^task\.fill grey: the model was trained with smooth, and a "):
        fitted(RECIPES["lora"], {**paints, "task.fill": "grey"})


def test_a_change_of_low_rank_teaches_no_task(base: Path):
    with pytest.raises(ValueError, match=r"^task.kind inpainting: .*; train --from learns all weights$"):
        fitted(RECIPES["lora"], {"base.model": str(base), "task.kind": "inpainting"})


def test_a_recipe_of_other_levels_says_only_how_to_guide(base: Path):
    """Densities, weights and grids of another schedule or prediction are not the model's."""
    own = load(base).model.header
    recipe = changed(RECIPES["edit"], {"data.text": "none", "diffusion.prediction": "x0"})
    recipe = changed(recipe, {"diffusion.weight": "velocity", "diffusion.density_mean": 2.0})
    found = fitted(recipe, {"base.model": str(base)})
    assert found.diffusion == own.diffusion.model_copy(update={"drop": 0.05})
    assert found.sampling == own.sampling.model_copy(update={"guidance": 7.5, "image_guidance": 1.5})
    same = changed(RECIPES["edit"], {"data.text": "none", "diffusion.density_mean": 2.0, "sampling.steps": 7})
    found = fitted(same, {"base.model": str(base)})
    assert (found.diffusion.density_mean, found.sampling) == (2.0, same.sampling)


@pytest.mark.parametrize(
    ("recipe", "changes", "words"),
    [
        ("edit", {"data.text": "none", "base.rank": 2}, "task.kind editing: the model was trained with none"),
        ("edit", {}, "data.text minilm: the model"),
        ("flow", {"task.kind": "colouring"}, "task.kind 'colouring': it needs pictures in RGB"),
    ],
)
def test_tasks_that_a_model_cannot_begin(recipe: str, changes: dict[str, Any], words: str, base: Path):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        fitted(RECIPES[recipe], {"base.model": str(base), **changes})


def test_an_editing_model_may_be_told_that_it_edits(editor: Path):
    more = {"base.model": str(editor / "editor"), "task.kind": "editing", "data.pairs": True}
    assert fitted(RECIPES["fine-tune"], more).task.kind == "editing"
