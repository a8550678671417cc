"""Bad input: one line on stderr that names the field and says what is accepted, exit code 2, nothing lost."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.conftest import small, trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "digits", images=128)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five small pictures."""
    root = tmp_path / "pictures"
    root.mkdir()
    for i in range(5):
        Image.new("L", (8, 8), 40 * i).save(root / f"{i}.png")
    return root


def refused(said, *words: str) -> None:
    assert said.code == 2, said
    lines = said.err.strip().splitlines()
    errors = [line for line in lines if line.startswith("phosphene: ")]
    assert len(errors) == 1, said.err
    assert "Traceback" not in said.err
    for word in words:
        assert word in errors[0], errors[0]


def test_a_missing_folder(cli, tmp_path):
    refused(cli("train", tmp_path / "nothing"), "nothing", "digits")


def test_an_empty_folder(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(cli("train", tmp_path / "empty", "--out", tmp_path / "r"), "empty")
    assert not (tmp_path / "r").exists()


def test_a_folder_without_a_readable_picture(cli, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no picture")
    refused(cli("train", tmp_path / "bad", "--out", tmp_path / "r"), "none of the 1 pictures", "a.png")
    assert not (tmp_path / "r").exists()


def test_fewer_pictures_than_a_batch(cli, folder, tmp_path):
    said = cli("train", folder, "--out", tmp_path / "r", "--batch", "64", *small())
    refused(said, "batch 64", "pass --batch")
    assert not (tmp_path / "r").exists()


def test_a_size_that_the_network_cannot_take(cli, tmp_path):
    said = cli("train", "digits", "--size", "9", "--out", tmp_path / "r", *small())
    refused(said, "data.size 9", "multiple of 2")
    said = cli("train", "digits", "--size", "9", "--recipe", "transformer", "--out", tmp_path / "r")
    refused(said, "data.size 9", "network.patch 2")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--label", "33"], ["label '33'", "labels are 0, 1"]),
        (["--solver", "dpmp_2m"], ["solver 'dpmp_2m'", "did you mean dpmpp_2m"]),
        (["--grid", "karas"], ["grid 'karas'", "did you mean karras"]),
        (["--threshold", "clop"], ["threshold 'clop'", "did you mean clip"]),
        (["--steps", "0"], ["steps 0"]),
        (["-n", "0"], ["n 0"]),
        (["--seed", "-1"], ["seed -1"]),
        (["--eta", "2"], ["eta 2.0"]),
        (["--solver", "heun", "--eta", "0.5"], ["eta: heun has none"]),
        (["--solver", "ddim", "--churn", "5"], ["churn: ddim has none"]),
        (["--interval", "5", "1"], ["interval (5.0, 1.0)"]),
        (["--guidance", "nan"], ["guidance nan"]),
        (["--device", "tpu9"], ["device 'tpu9'", "cpu"]),
        (["--threads", "0"], ["threads 0"]),
    ],
)
def test_what_cannot_be_sampled(run, cli, words, expected):
    refused(cli("sample", run, *words), *expected)


def test_sample_what_is_not_a_run(cli, tmp_path):
    refused(cli("sample", tmp_path), "no run or model here")
    refused(cli("sample"), "RUN")
    refused(cli("sample", "--like", tmp_path / "x.png"), "x.png")
    refused(cli("info", tmp_path / "x"), "no run or model here")


def test_a_way_through_no_seed(cli):
    refused(cli("interpolate", "x", "--seeds", "none,7"), "seeds none,7: a way leads through numbers")


def test_a_run_is_never_overwritten(run, cli, tmp_path):
    before = (run / "model" / "model.safetensors").read_bytes()
    refused(cli("train", "digits", "--out", run, *small()), "--resume", "--force")
    assert (run / "model" / "model.safetensors").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused(cli("train", "digits", "--out", tmp_path / "mine", "--force", *small()), "not empty")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_force_replaces_a_run_and_leaves_the_rest(cli, tmp_path):
    words = ["train", "digits", "--images", "64", "--batch", "64", "--quiet", *small()]
    assert cli(*words, "--out", tmp_path / "r").code == 0
    (tmp_path / "r" / "notes.txt").write_text("mine")
    assert cli(*words, "--out", tmp_path / "r", "--force", "--seed", "1").code == 0
    assert (tmp_path / "r" / "notes.txt").read_text() == "mine"
    assert "seed = 1" in (tmp_path / "r" / "recipe.toml").read_text()


def test_samples_are_never_overwritten(run, cli, tmp_path):
    words = ["sample", run, "-n", "2", "--steps", "2", "--out", tmp_path / "s", "--quiet"]
    assert cli(*words).code == 0
    refused(cli(*words), "sheet.png is there already")


@pytest.mark.parametrize("words", [[], ["--trajectory"]])
def test_where_samples_cannot_be_written_is_said_before_sampling(run, cli, tmp_path, monkeypatch, words):
    """Hours of sampling are not lost to a folder that exists, is a file, or lets nothing be written."""
    monkeypatch.setattr("phosphene.families.making.sample", lambda *_: pytest.fail("sampled first"))
    (tmp_path / "file").write_text("")
    (tmp_path / "used").mkdir()
    name = "trajectory.gif" if words else "sheet.png"
    (tmp_path / "used" / name).write_text("")
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "seed0-000000.png").write_text("")
    for out, reason in (
        ("lone", "lone: seed0-000000.png is there already"),
        ("used", f"used: {name} is there already"),
        ("file", "file: cannot write in"),
        ("file/below", f"below: cannot write in {tmp_path / 'file'} (Not a directory)"),
        ("/proc/below", "/proc/below: cannot write in /proc ("),
    ):
        refused(cli("sample", run, "--steps", "2", "--out", tmp_path / out, "--quiet", *words), f"{reason}")
        assert not (tmp_path / "file" / "below").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--set", "training.bach=3"], ["did you mean 'batch'"]),
        (["--set", "training.batch=many"], ["training.batch 'many'"]),
        (["--set", "batch"], ["give section.field=value"]),
        (["--recipe", "flaw"], ["recipe 'flaw'", "did you mean flow"]),
        (["--recipe", "none.toml"], ["none.toml", "no such file"]),
        (["--budget", "soon"], ["budget 'soon'", "30m"]),
        (["--budget", "1m", "--images", "5"], ["budget and images"]),
        (["--images", "0"], ["training.images 0"]),
        (["--seed", "-1"], ["training.seed -1"]),
        (["--set", "training.ema=[0.5]"], ["ema length"]),
        (["--set", "data.held_out=0.9999"], ["held_out"]),
    ],
)
def test_what_cannot_be_trained(cli, tmp_path, words, expected):
    refused(cli("train", "digits", "--out", tmp_path / "r", *words), *expected)
    assert not (tmp_path / "r").exists()


def test_train_without_data(cli):
    refused(cli("train"), "data: give a folder")


def test_resume_what_is_not_a_run(cli, tmp_path):
    refused(cli("train", "--resume", tmp_path), "no run here")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("out", ["--out", "x"]),
        ("recipe", ["--recipe", "flow"]),
        ("size", ["--size", "8"]),
        ("seed", ["--seed", "0"]),
        ("batch", ["--batch", "64"]),
        ("settings", ["--set", "training.warmup=1"]),
        ("force", ["--force"]),
    ],
)
def test_what_was_fixed_when_a_run_began_is_not_ignored_later(run, cli, option, words):
    refused(cli("train", "--resume", run, *words), f"{option}: fixed when the run began", "budget, images")


def test_a_run_whose_pictures_are_gone(cli, folder, tmp_path):
    words = ["--images", "8", "--batch", "4", "--quiet", *small()]
    assert cli("train", folder, "--out", tmp_path / "r", *words).code == 0
    folder.rename(tmp_path / "elsewhere")
    said = cli("train", "--resume", tmp_path / "r", "--images", "16")
    refused(said, f"data.source {folder}: no such folder", f"train FOLDER --resume {tmp_path / 'r'}")


def test_a_wrong_option_is_typers_to_refuse(cli):
    assert cli("train", "digits", "--bach", "3").code == 2


class TestModelFolders:
    """A model folder is data from outside."""

    @pytest.fixture
    def model(self, run, tmp_path) -> Path:
        import shutil

        shutil.copytree(run / "model", tmp_path / "model")
        return tmp_path / "model"

    def change(self, model: Path, change) -> None:
        weights = load_file(model / "model.safetensors")
        change(weights)
        save_file(weights, model / "model.safetensors")

    def test_missing_weights(self, model, cli):
        self.change(model, lambda w: w.pop("leave.bias"))
        refused(cli("sample", model), "leave.bias is missing")

    def test_extra_weights(self, model, cli):
        self.change(model, lambda w: w.update(surprise=torch.zeros(1)))
        refused(cli("sample", model), "surprise is not a weight of this network")

    def test_wrong_shapes(self, model, cli):
        self.change(model, lambda w: w.update({"leave.bias": torch.zeros(3)}))
        refused(cli("sample", model), "leave.bias has shape (3,)", "(1,)")

    def test_weights_that_are_not_finite(self, model, cli):
        self.change(model, lambda w: w["leave.bias"].fill_(float("nan")))
        refused(cli("sample", model), "leave.bias", "not finite")

    def test_a_pickle_under_its_own_name(self, model, cli):
        (model / "model.safetensors").rename(model / "pytorch_model.bin")
        refused(cli("sample", model), "pytorch_model.bin, a pickle", "never read")

    def test_a_pickle_that_is_called_safetensors(self, model, cli, tmp_path):
        import pickle

        class Bomb:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "exploded",))

        (model / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
        refused(cli("sample", model), "not a safetensors file")
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda c: c.pop("diffusion"), ["diffusion", "field required"]),
            (lambda c: c.update(extra=1), ["extra"]),
            (lambda c: c["network"].update(kind="unit"), ["kind 'unit'"]),
            (lambda c: c["network"].update(width=1), ["width", "no such field"]),
            (lambda c: c["diffusion"].update(schedule="lineer"), ["did you mean 'linear'"]),
            (lambda c: c.update(format=2), ["format 2"]),
            (lambda c: c.pop("network"), ["network"]),
        ],
    )
    def test_settings(self, model, cli, change, words):
        config = json.loads((model / "config.json").read_text())
        change(config)
        (model / "config.json").write_text(json.dumps(config))
        refused(cli("sample", model), "config.json", *words)

    def test_settings_that_are_not_json(self, model, cli):
        (model / "config.json").write_text("{")
        refused(cli("sample", model), "config.json", "not JSON")
