"""Where things are: pictures and runs named from one working folder and found from another."""

import tomllib
from pathlib import Path

import pytest
from PIL import Image

from phosphene.data.sources import everywhere
from phosphene.training.checkpoint import load
from tests.conftest import small

WORDS = ("--batch", "4", "--quiet", *small())


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten small pictures in `photos` of the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(10):
        Image.new("L", (8, 8), 20 * i).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def source(root: Path) -> str:
    return tomllib.loads((root / "recipe.toml").read_text())["data"]["source"]


@pytest.mark.parametrize("words", [["photos"], ["photos", "--set", "data.source=./photos"]])
def test_a_run_goes_on_from_another_working_folder(cli, photos, tmp_path, monkeypatch, words):
    assert cli("train", *words, "--out", "r", "--images", "16", *WORDS).code == 0
    assert source(tmp_path / "r") == str(photos)
    assert str(tmp_path) not in (tmp_path / "r" / "model" / "config.json").read_text()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    said = cli("train", "--resume", "../r", "--images", "32", "--quiet")
    assert said.code == 0, said.err
    assert load(tmp_path / "r" / "state").step == 8


def test_a_folder_that_moved_is_given_again(cli, photos, tmp_path):
    assert cli("train", "photos", "--out", "r", "--images", "16", *WORDS).code == 0
    photos.rename(tmp_path / "moved")
    assert cli("train", "moved", "--resume", "r", "--quiet").code == 0  # finished: its length stands
    assert load(tmp_path / "r" / "state").step == 4
    assert source(tmp_path / "r") == str(tmp_path / "moved")
    assert cli("train", "--resume", "r", "--images", "32", "--quiet").code == 0
    Image.new("L", (8, 8), 255).save(tmp_path / "moved" / "3.png")
    said = cli("train", "moved", "--resume", "r", "--images", "64")
    assert said.code == 2
    assert "not those that the run began with" in said.err


def test_names_of_bundled_sets_stay(photos, tmp_path):
    assert everywhere("digits") == "digits"
    assert everywhere("nowhere") == "nowhere"
    assert everywhere("photos") == str(photos)
    (tmp_path / "digits").mkdir()
    assert everywhere("digits") == str(tmp_path / "digits")
