"""`phosphene adapt`, `sample --adapter`, `merge`: as a user types them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Said, trained

CLI = Callable[..., Said]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a base and a few pictures of its classes."""
    folder = tmp_path_factory.mktemp("adapting")
    trained(folder / "base", 128, "training.measure_share=0")
    for name in ("1", "2"):
        (folder / "ink" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (8, 8), 200 - 10 * i).save(folder / "ink" / name / f"{i}.png")
    return folder


def pixels(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("seed*.png"))]


def test_a_handful_of_pictures_is_one_batch(place: Path, cli: CLI, monkeypatch: pytest.MonkeyPatch):
    """Where the recipe chose the batch; who asks for one that there are too few for is told."""
    monkeypatch.chdir(place)
    few = ("ink", "--images", 16, "--set", "data.held_out=0")
    said = cli("adapt", "base", *few, "--out", "few")
    assert said.code == 0, said.err
    assert "a batch of 8: all there are" in said.err
    assert cli("train", *few, "--out", "fresh", "--quiet", "--set", "network.width=8").code == 0
    assert "\nbatch = 8\n" in Path("few/recipe.toml").read_text()
    assert "\nbatch = 8\n" in Path("fresh/recipe.toml").read_text()
    shutil.copytree("ink", "told")
    for path in Path("told").glob("*/*.png"):
        path.with_suffix(".txt").write_text(path.stem)
    said = cli("train", "told", *few[1:], "--recipe", "clip", "--set", "data.text=minilm", "--out", "clip")
    assert "is more than the 8 training pictures" in said.err
    said = cli("adapt", "base", *few, "--out", "more", "--batch", 16)
    assert said.code == 2
    assert "batch 16 is more than the 8 training pictures: pass --batch 8 or less" in said.err


def test_adapt_sample_and_merge(place: Path, cli: CLI, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    steps = ("--steps", 2, "-n", 2, "--label", "1", "--quiet")
    said = cli("adapt", "base", "ink", "--out", "a", "--images", 64, "--rank", 2, "--batch", 8, "--quiet")
    assert said.code == 0, said.err
    assert "adapter in a/model" in said.out
    assert "phosphene sample base --adapter a -n 16" in said.out
    for out, more in (
        ("plain", ()),
        ("none", ("--adapter", "a:0")),
        ("half", ("--adapter", "a:0.5")),
        ("whole", ("--adapter", "a")),
        ("twice", ("--adapter", "a:0.25", "--adapter", "a/model:0.25")),
    ):
        said = cli("sample", "base", *steps, *more, "--out", out)
        assert (said.code, said.err) == (0, "")
    plain, none, half, whole, twice = map(pixels, map(Path, ("plain", "none", "half", "whole", "twice")))
    assert all(np.array_equal(*pair) for pair in zip(plain, none, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(plain, whole, strict=True))
    # A quarter twice is a half, up to rounding to bytes.
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(half, twice, strict=True))

    assert cli("merge", "base", "a:0.5", "--out", "merged").out.startswith("wrote merged")
    assert cli("sample", "merged", *steps, "--out", "of-merged").code == 0
    assert all(np.array_equal(*pair) for pair in zip(half, pixels(Path("of-merged")), strict=True))

    picture = sorted(Path("half").glob("seed*.png"))[1]
    assert cli("sample", "--like", picture, "--out", "again", "--quiet").code == 0
    assert np.array_equal(pixels(Path("again"))[0], half[1])

    shutil.copytree("a/model", "moved")
    said = cli("sample", "base", "--adapter", "moved:0.5", "--like", picture, "--out", "moved-too", "--quiet")
    assert said.code == 0, said.err
    assert np.array_equal(pixels(Path("moved-too"))[0], half[1])

    # The run of an adapter is its model with it.
    assert cli("sample", "a", *steps, "--out", "of-run").code == 0
    assert all(np.array_equal(*pair) for pair in zip(whole, pixels(Path("of-run")), strict=True))
    said = cli("sample", "merged", *steps, "--adapter", "a", "--out", "stranger")
    assert said.code == 0
    assert said.err.startswith(warned := "phosphene: adapter a/model: learned on other weights (base, ")
    # So is it whenever else a model is loaded: again, and for a cell.
    like = sorted(Path("stranger").glob("seed*.png"))[0]
    for words in (("sample", "--like", like), ("grid", "merged", "--x", "adapter=a", "--steps", 2)):
        said = cli(*words, "--quiet", "--out", f"stranger-{words[0]}")
        assert said.code == 0
        assert said.err.startswith(warned)
        assert len(said.err.splitlines()) == 1


def test_errors(place: Path, cli: CLI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(place)
    for words, error in (
        (
            ("sample", "base", "--adapter", "ink"),
            "adapter ink: no adapter here; give a run of phosphene adapt",
        ),
        (("sample", "base", "--adapter", "a:1", "--adapter", "a:2"), "adapter a: given twice"),
        (("merge", "base", "ink", "--out", tmp_path / "m"), "adapter ink: no adapter here"),
        (("adapt", "nowhere", "ink", "--out", tmp_path / "x"), "nowhere: no run or model here"),
        (("adapt", "base", "nowhere", "--out", tmp_path / "x"), "nowhere"),
        (("adapt", "base", "ink", "--rank", 0, "--out", tmp_path / "x"), "base.rank 0: "),
        (
            ("train", "digits", "--from", "base", "--size", 16),
            "data.size 16: the model base decides, it is 8",
        ),
    ):
        said = cli(*words)
        assert said.code == 2, words
        assert error in said.err
        assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
