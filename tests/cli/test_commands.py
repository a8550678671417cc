"""The command line from end to end on the bundled digits: train, sample, the same again, info, resume."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import phosphene
from phosphene.diffusion.noise import keys, normal
from phosphene.pictures.embedded import read_settings
from phosphene.recipes.presets import RECIPES
from phosphene.training.checkpoint import load
from tests.conftest import small, trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "digits", images=1280)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_train_writes_a_run(run):
    assert {path.name for path in run.iterdir()} == {"recipe.toml", "model", "state", "log"}
    assert {path.name for path in (run / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
        "weights-ema0.05.safetensors",
        "README.md",
    }
    lines = [json.loads(line) for line in (run / "log" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines[-3:]] == [20, 20, 20]
    assert lines[-3]["images"] == 1280
    assert len(lines[-2]["held_out_by_level"]) == 8
    assert set(lines[-1]) == {"step", "measuring_share"}
    recipe = tomllib.loads((run / "recipe.toml").read_text())
    assert recipe["data"] == {**recipe["data"], "source": "digits", "size": 8}
    card = (run / "model" / "README.md").read_text()
    assert "8x8 grey pictures" in card
    assert "1,280 pictures seen" in card
    origin = json.loads((run / "model" / "config.json").read_text())["provenance"]
    assert origin["version"] == phosphene.__version__
    assert origin["fingerprint"] == load(run / "state").facts["fingerprint"]


def test_command_line_and_python_train_the_same(run, cli, tmp_path):
    said = cli("train", "digits", "--out", tmp_path / "r", "--images", "1280", "--batch", "64", *small())
    assert said.code == 0, said.err
    assert "next: phosphene sample" in said.out.replace("\n", " ")
    assert "1,797 pictures, 8x8 grey, 10 classes" in said.err
    one, other = (place / "model" / "model.safetensors" for place in (run, tmp_path / "r"))
    assert one.read_bytes() == other.read_bytes()


def test_sample_writes_a_sheet_and_pictures_with_their_settings(run, cli, tmp_path):
    said = cli(
        "sample", run, "-n", "5", "--label", "3", "--seed", "7", "--steps", "6", "--solver", "heun",
        "--guidance", "2", "--interval", "0.1", "5", "--out", tmp_path / "out", "--trajectory", "--quiet",
    )  # fmt: skip
    assert said.code == 0, said.err
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"seed7-{i:06d}.png" for i in range(5)] + ["sheet.png", "trajectory.gif"]
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert min(sheet.size) >= 128  # two rows of three, enlarged from 8 pixels
    with Image.open(tmp_path / "out" / "trajectory.gif") as film:
        assert film.format == "GIF"
    settings = read_settings(tmp_path / "out" / "seed7-000003.png")
    assert settings == {
        **settings,
        "seed": 7,
        "picture": 3,
        "label": "3",
        "solver": "heun",
        "steps": 6,
        "guidance": 2.0,
        "interval": [0.1, 5.0],
    }


def test_like_makes_the_same_picture_again(run, cli, tmp_path):
    cli("sample", run, "-n", "5", "--label", "3", "--seed", "7", "--steps", "6", "--eta", "0.5",
        "--solver", "ddim", "--out", tmp_path / "a", "--quiet")  # fmt: skip
    picture = tmp_path / "a" / "seed7-000003.png"
    said = cli("sample", "--like", picture, "--out", tmp_path / "b", "--quiet")
    assert said.code == 0, said.err
    again = tmp_path / "b" / "seed7-000003.png"
    assert (pixels(picture) == pixels(again)).all()
    assert read_settings(picture) == read_settings(again)
    other = cli("sample", "--like", picture, "--seed", "8", "--out", tmp_path / "c", "--quiet")
    assert other.code == 0
    assert (pixels(tmp_path / "c" / "seed8-000003.png") != pixels(picture)).any()


def test_like_a_picture_of_another_model(run, cli, tmp_path):
    phosphene.load(run).sample(1, steps=2).save(tmp_path)
    picture = next(tmp_path.glob("seed0-*.png"))
    settings = read_settings(picture)
    from phosphene.pictures.embedded import write_png

    write_png(Image.fromarray(pixels(picture)), picture, settings | {"model": "0" * 64})
    said = cli("sample", run, "--like", picture, "--out", tmp_path / "b")
    assert said.code == 2
    assert "made by another model" in said.err


def test_a_picture_does_not_depend_on_its_batch(run):
    generator = phosphene.load(run)
    together = generator.sample(7, seed=3, label=5, steps=8, solver="ddpm").values
    alone = generator.sample(1, seed=3, first=4, label=5, steps=8, solver="ddpm").values
    apart = generator.sample(7, seed=3, label=5, steps=8, solver="ddpm", batch=2).values
    np.testing.assert_allclose(together[4:5], alone, atol=2e-5)
    np.testing.assert_allclose(together, apart, atol=2e-5)


def test_the_way_from_noise_begins_with_noise_and_ends_with_the_pictures(run):
    made = phosphene.load(run).sample(2, seed=4, steps=6, solver="heun", trajectory=True)
    # Two evaluations a step, but for the first (from a level without signal) and the last.
    assert made.evaluations == 10
    assert len(made.frames) == 11
    np.testing.assert_array_equal(made.frames[-1], made.values)
    np.testing.assert_allclose(made.frames[0], normal(keys(4, range(2)), 0, (1, 8, 8)))


def test_sampled_is_a_sequence_of_pillow_pictures(run):
    made = phosphene.load(run).sample(3, label=[1, None, "2"], steps=2)
    assert len(made) == len(list(made)) == 3
    assert made[-1].size == (8, 8)
    assert made[0].mode == "L"
    assert [image.tobytes() for image in made[0:2]] == [image.tobytes() for image in list(made)[:2]]
    assert made.values.shape == (3, 1, 8, 8)
    assert [s.get("label") for s in made.settings] == [1, None, "2"]
    with pytest.raises(IndexError):
        made[3]


def test_info(run, cli):
    said = cli("info", run)
    assert said.code == 0, said.err
    facts = (
        "8x8 grey",
        "0, 1, 2",
        "UNet",
        "flow, predicts velocity",
        "digits",
        "20 steps",
        "0.1, 0.05",
        "fp32",
    )
    for words in facts:
        assert words in said.out
    assert "dpmpp_2m" in cli("info", "solvers").out
    schedules = cli("info", "schedules").out
    assert "cosine" in schedules
    assert "trailing" in schedules
    recipes = cli("info", "recipes").out
    assert all(name in recipes for name in RECIPES)


def test_train_on_with_more_pictures(run, cli, tmp_path):
    """A longer run resumed from a shorter one: the learning rate's end moves, the steps go on."""
    import shutil

    shutil.copytree(run, tmp_path / "r")
    said = cli("train", "--resume", tmp_path / "r", "--images", "1920", "--quiet")
    assert said.code == 0, said.err
    assert load(tmp_path / "r" / "state").step == 30
    assert "images = 1920" in (tmp_path / "r" / "recipe.toml").read_text()


def test_version_and_help(cli):
    assert cli("--version").out.strip() == phosphene.__version__
    assert "Train a generator on a folder of pictures" in " ".join(cli("--help").out.split())


def test_every_knob_is_on_both_sides():
    """`phosphene train` takes what phosphene.train takes, `phosphene sample` what Generator.sample takes."""
    import inspect

    from phosphene.cli import main
    from phosphene.families.options import NAMES

    def names(function) -> set[str]:
        return set(inspect.signature(function).parameters)

    # How much is shown is said the other way round; in Python there is no file to write until save(out).
    assert names(main.train) - {"quiet"} == names(phosphene.train) - {"progress"}
    assert names(main.tune) - {"out"} == names(phosphene.tune)
    # What goes around sampling is code, and edit alone has two scales: there is a command for each kind.
    of_sample = names(phosphene.Generator.sample) - {"self", "around", "how"} | set(NAMES) - {
        "watch",
        "image_guidance",
    }
    of_load = {"device", "ema", "precision", "best", "text", "adapters"}
    assert names(phosphene.load) == {"place"} | of_load
    common = set(NAMES) - {"watch", "image_guidance"} | of_load | {"run", "out", "threads", "quiet"}
    for name in ("grid", "interpolate", "inpaint", "upscale", "restore"):
        own = names(getattr(phosphene.Generator, name)) - {"self", "how"}
        edits = {"image_guidance"} if name == "grid" else set[str]()  # whose cells may be edits
        assert names(getattr(main, name)) == own | common | edits
    assert names(main.sample) - {"run", "out", "quiet", "threads"} - of_load == of_sample
