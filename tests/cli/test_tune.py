"""`phosphene tune`, what `train --budget` makes of it, and what the machine chooses."""

from pathlib import Path

import phosphene
from phosphene.recipes.settings import from_toml
from phosphene.training import tune
from phosphene.training.tune import Measured
from tests.conftest import small


def test_tune_measures_and_says_how_to_train(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "measure", lambda recipe, *rest, **more: Measured(rest[2], 0.25, 2**30))
    out = tmp_path / "tuned.toml"
    said = cli(
        "tune", "flow", "--data", "digits", "--budget", "100s", "--set", "network.width=16", "--out", out
    )
    assert said.code == 0, said.err
    # 400 steps at every batch: too few, but halving costs speed.
    assert [line.split()[:3] for line in said.out.splitlines() if "GiB" in line] == [
        ["8", "250", "32"],
        ["128", "250", "512"],
        ["64", "250", "256"],
        ["32", "250", "128"],
        ["16", "250", "64"],
    ]
    command = "phosphene train digits --recipe flow --budget 100s --no-tune"
    assert f"{command} --set training.batch=128 --set training.accumulate=1" in " ".join(said.out.split())
    recipe = from_toml(out.read_text(), "tuned")
    assert (recipe.network.width, recipe.training.batch, recipe.training.budget) == (16, 128, 100.0)


def test_pictures_are_made_up_where_none_are_given(monkeypatch):
    seen = []

    def measure(recipe, data, device, batch, least=3):
        seen.append((data.size, data.channels, batch))
        return Measured(batch, 1e-9, 1)

    monkeypatch.setattr(tune, "measure", measure)
    tuned = phosphene.tune("ddpm", size=48, budget=60.0, settings={"training.batch": 32})
    assert set(seen) == {(48, 3, 8), (48, 3, 32)}
    assert tuned.recipe.training.batch == 32
    assert tuned.recipe.network.width == 128  # time enough for twice the width


def test_a_budget_is_tuned_for_and_what_is_given_stays(cli, tmp_path, monkeypatch):
    fixed = []

    def tuned(recipe, data, device, budget, given=()):
        fixed.append(set(given))
        return tune.Tuned(recipe, (), {"training.batch": 32}, 0.5)

    monkeypatch.setattr(tune, "tune", tuned)
    words = ["train", "digits", "--budget", "2s", "--batch", "32", *small()]
    said = cli(*words, "--out", tmp_path / "a")
    assert said.code == 0, said.err
    assert "for 2 s on this machine: training.batch 32" in said.err
    assert {"training.batch", "network.width", "network.blocks"} < fixed[0]
    assert cli(*words, "--out", tmp_path / "b", "--no-tune").code == 0
    toml = tmp_path / "own.toml"
    toml.write_text((tmp_path / "a" / "recipe.toml").read_text())
    assert cli(*words, "--out", tmp_path / "c", "--recipe", toml).code == 0
    assert len(fixed) == 1
    # Nothing is measured for a folder that cannot be written to.
    said = cli(*words, "--out", tmp_path / "a")
    assert said.code == 2
    assert "a run is here already" in said.err
    assert len(fixed) == 1


def test_a_precision_that_is_not_here_is_one_line(cli, tmp_path: Path):
    said = cli("train", "digits", "--precision", "fp16", "--out", tmp_path / "r")
    assert said.code == 2
    assert said.err == "phosphene: precision fp16: for GPUs only; on a CPU auto, fp32 and bf16 are accepted\n"
    assert not (tmp_path / "r").exists()
    said = cli("train", "digits", "--precision", "half", "--out", tmp_path / "r")
    assert said.code == 2
    assert "training.precision" in said.err
    assert "fp16" in said.err


def test_info_machine(cli):
    said = cli("info", "machine")
    assert said.code == 0, said.err
    for words in ("threads", "precision", "fp32", "operators", "torch.compile"):
        assert words in said.out
