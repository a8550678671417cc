"""Tasks from end to end: a run that is shown parts of pictures, measured, evaluated, asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import phosphene
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import Recipe, changed, from_toml, parse_assignment, to_toml
from phosphene.recipes.tasks import InpaintingTask, SuperResolutionTask
from phosphene.store.model import load, read_header
from phosphene.training.board import Board
from phosphene.training.folder import RunFolder
from phosphene.training.measurement import Measurement
from phosphene.training.measuring import SAMPLES
from phosphene.training.share import HELD_OUT
from phosphene.training.train import Watcher, build, prepare_data
from phosphene.training.workers import Workers
from tests.conftest import SMALL, Said

MORE = (
    "training.batch=32",
    "training.validate_every=0.001",
    "training.measure_share=0.9",
    "training.ema=[0.1]",
)
MEASURED = ("training.measure_pictures=20", "training.measure_steps=2", "data.held_out=0.1")
TINY = dict(map(parse_assignment, (*SMALL, *MORE, *MEASURED)))


def trained(out: Path, **task: object) -> Path:
    settings = TINY | {f"task.{name}": value for name, value in task.items()}
    phosphene.train("digits", out=out, settings=settings, images=32 * 8, progress=False)
    return out


@pytest.fixture(scope="module")
def inpainting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("inpainting") / "run", kind="inpainting")


def test_recipes_hold_a_task_of_any_kind():
    recipe = changed(RECIPES["flow"], {"task.kind": "super_resolution", "task.factor": 8})
    assert recipe.task == SuperResolutionTask(factor=8)
    assert from_toml(to_toml(recipe), "there") == recipe
    assert changed(recipe, {"task.kind": "inpainting"}).task == InpaintingTask()
    assert changed(recipe, {"task.kind": "super_resolution"}).task == recipe.task
    for settings, words in (
        ({"task.kind": "super_resolution", "task.factor": 3}, "task.factor 3: input should be 2, 4 or 8"),
        (
            {"task.kind": "inpainting", "task.factor": 2},
            "task.factor: no setting 'factor'; known are",
        ),
        ({"task.kind": "superresolution"}, "task: input tag 'superresolution' found using 'kind' does not"),
    ):
        with pytest.raises(ValueError, match=words):
            changed(RECIPES["flow"], settings)
    assert Recipe(name="old").task.kind == "none"


def test_a_run_is_measured_on_held_out_pictures_and_asked(
    inpainting: Path, cli: Callable[..., Said], tmp_path: Path
):
    header = read_header(inpainting / "model")
    assert header.task == InpaintingTask()
    folder = RunFolder(inpainting)
    recipe = folder.read_recipe()
    trainer = build(recipe, prepare_data(recipe, Watcher()), torch.device("cpu"), Workers())
    trainer.elapsed = 1.0
    measurement = Measurement(trainer, folder, Board(None))
    assert set(measurement.beside.tolist()) <= set(trainer.held_out.tolist())
    assert {*measurement.pieces((SAMPLES, HELD_OUT), {})} >= {"sampling", "kernel distance", HELD_OUT}
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert any("held_out_loss" in line for line in lines)
    assert any("measured" in line for line in lines)
    with Image.open(next((inpainting / "samples").iterdir())) as page:
        assert page.width > page.height / 2
    Image.new("L", (20, 16), 100).save(tmp_path / "image.png")
    mask = Image.new("L", (20, 16), 0)
    mask.paste(255, (0, 0, 10, 10))
    mask.save(tmp_path / "mask.png")
    words = ["--image", tmp_path / "image.png", "--mask", tmp_path / "mask.png", "-n", "2", "--steps", "2"]
    said = cli("inpaint", inpainting, *words, "--label", "3", "--out", tmp_path / "out", "--quiet")
    assert said.code == 0, said.err
    with Image.open(tmp_path / "out" / "seed0-000001.png") as made:
        assert made.size == (20, 16)  # the picture's own
        assert made.getpixel((15, 12)) == 100
    assert "20x16 pixels; a square that holds the mask is taken at 8x8, the model's size" in said.out
    said = cli("info", inpainting)
    assert "inpainting, fill grey: phosphene inpaint RUN" in " ".join(said.out.split())
    said = cli("sample", inpainting, "--quiet")
    assert said.code == 2
    assert said.err == (
        "phosphene: this model makes a picture of one that it is shown: "
        "phosphene inpaint RUN --image PICTURE --mask MASK\n"
    )


def test_restoring_takes_any_size_by_a_model_that_was_trained_for_it_alone(
    inpainting: Path, cli: Callable[..., Said], tmp_path: Path
):
    """One that began from a model of another task, and the same without a task."""
    begins: dict[str, Any] = {"base": inpainting, "images": 8, "progress": False}
    begins |= {"recipe": "flow", "settings": {"task.kind": "denoising", "training.measure_share": 0}}
    phosphene.train("digits", **begins, out=tmp_path / "cleans")
    begins["settings"] = {"task.kind": "none", "training.measure_share": 0}
    phosphene.train("digits", **begins, out=tmp_path / "plain")
    Image.new("L", (20, 16), 100).save(tmp_path / "image.png")
    words = ["--image", tmp_path / "image.png", "--steps", "2", "--out"]
    said = cli("restore", tmp_path / "cleans", *words, tmp_path / "clean", "--overlap", "3")
    assert said.code == 0, said.err
    assert "is taken at" not in said.out
    with Image.open(tmp_path / "clean" / "seed0-000000.png") as made:
        assert made.size == (20, 16)
    said = cli("restore", tmp_path / "cleans", *words, tmp_path / "no", "--overlap", "5", "--quiet")
    assert said.err == "phosphene: overlap 5: give pixels from 0 to 4, half of a tile\n"
    said = cli("restore", tmp_path / "plain", *words, tmp_path / "one", "--what", "denoising")
    assert said.code == 0, said.err
    assert "20x16 pixels; its middle square is taken at 8x8, the model's size" in said.out
    with Image.open(tmp_path / "one" / "seed0-000000.png") as made:
        assert made.size == (8, 8)


@pytest.mark.slow
def test_a_run_is_evaluated_and_reported(inpainting: Path):
    found = phosphene.evaluate(
        inpainting, count=40, encoders=["dct-bands"], steps=2, likelihood=4, flow=0, progress=False
    )
    names = {figure.name for figure in found.figures}
    assert {"seconds per picture", "PSNR"} <= names
    assert any(name.startswith("bits/dim") for name in names)
    assert phosphene.report(inpainting).is_file()


def test_the_network_grows_by_what_is_shown(inpainting: Path, tmp_path: Path):
    model = load(inpainting / "model")
    assert model.config.in_channels == 3
    config = json.loads((inpainting / "model" / "config.json").read_text())
    assert config["task"] == {"kind": "inpainting", "fill": "grey"}
    # A folder of before tasks says nothing of one; one that says another than its network takes is refused.
    config["task"] = {"kind": "colouring"}
    broken = tmp_path / "model"
    broken.mkdir()
    for file in (inpainting / "model").iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"task colouring: shows 1 channels beside 1, the network takes 3"):
        phosphene.load(broken)


def test_super_resolution_resumes_to_the_same_weights(tmp_path: Path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    settings = TINY | {"task.kind": "super_resolution", "task.factor": 2}
    phosphene.train("digits", out=whole, settings=settings, images=32 * 8, progress=False)
    phosphene.train("digits", out=part, settings=settings, images=32 * 3, progress=False)
    phosphene.train(resume=part, images=32 * 8, progress=False)
    one, other = (phosphene.load(run).model.network.state_dict() for run in (whole, part))
    assert all(torch.equal(one[name], other[name]) for name in one)
    made = phosphene.load(whole).upscale(Image.new("L", (7, 9), 60), steps=2)
    assert made[0].size == (14, 18)
