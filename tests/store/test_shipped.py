"""Models that come with the package: float16 in their files, found by name, carried by a wheel."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import phosphene
from phosphene.families.place import find_model
from phosphene.networks.build import build
from phosphene.store import model, shipped
from phosphene.store.shipped import About, Score
from tests.conftest import Said, trained
from tests.store.test_model import HEADER, UNET, save

ABOUT = About(
    about="digits",
    licence="CC0",
    scores=(Score(name="read as asked", value=97.25, low=96.0, high=98.5, of=1000, target=95.0),),
)


def test_half_precision_is_read_as_float32(tmp_path: Path):
    torch.manual_seed(0)
    weights = build(UNET).state_dict()
    model.save(tmp_path / "model", HEADER, UNET, weights, "card", half=True)
    written = load_file(tmp_path / "model" / model.WEIGHTS)
    read = model.load(tmp_path / "model").network.state_dict()
    for name, weight in weights.items():
        assert written[name].dtype == torch.float16
        assert read[name].dtype == torch.float32
        assert torch.equal(read[name], weight.half().float())
        torch.testing.assert_close(read[name], weight, rtol=2**-11, atol=2**-25)


def test_what_float16_does_not_reach_is_refused(tmp_path: Path):
    weights = build(UNET).state_dict()
    next(iter(weights.values())).flatten()[0] = 70000.0
    with pytest.raises(ValueError, match=r"^half: \S+ holds values over 65504; leave half out$"):
        model.save(tmp_path / "model", HEADER, UNET, weights, "card", half=True)
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run of the digits, shipped as `digits` in a folder of its own."""
    root = tmp_path_factory.mktemp("shipping")
    run = trained(root / "run", 64 * 60, "training.learning_rate=5e-3", "training.warmup=5")
    (root / "models").mkdir()
    shipped.ship(run / "model", root / "models" / "digits", (run / "recipe.toml").read_text(), ABOUT)
    return root


def test_half_precision_costs_a_trained_model_little(digits: Path):
    """Of a picture's values, in [-1, 1], less than half of a byte's bin in the mean."""
    one, other = (phosphene.load(place, "cpu") for place in (digits / "run", digits / "models" / "digits"))
    plain, rounded = (
        generator.sample(64, label=[i % 10 for i in range(64)], steps=20).values for generator in (one, other)
    )
    assert float(plain.std()) > 0.3  # it has learned something
    lost = (plain - rounded).abs()
    assert 0 < float(lost.mean()) < 1 / 256


@pytest.fixture
def here(digits: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(shipped, "PACKAGE", digits / "models")
    monkeypatch.chdir(tmp_path)
    return digits / "models"


def test_a_shipped_model_is_found_by_name(here: Path, digits: Path, tmp_path: Path):
    assert shipped.names() == ("digits",)
    assert find_model("digits") == here / "digits"
    assert shipped.about("digits") == ABOUT
    assert (here / "digits" / "recipe.toml").read_text() == (digits / "run" / "recipe.toml").read_text()
    words = "digit: no run or model here; give a run's folder, its name, or a model folder, or one that is "
    with pytest.raises(ValueError, match=f"^{re.escape(words + 'shipped: digits')}$"):
        find_model("digit")
    # What the user has of that name comes first.
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    save(tmp_path / "runs" / "digits" / "model")
    assert find_model("digits") == Path("runs/digits/model")


def test_a_card_tells_the_scores(here: Path):
    card = (here / "digits" / "README.md").read_text()
    assert "| read as asked | 97.25% (96 to 98.5) | 95 | 1,000 |" in card
    assert "Licence: CC0" in card


def test_info_lists_the_models_and_says_all_of_one(here: Path, cli: Callable[..., Said]):
    listed = " ".join(cli("info", "models").out.split())
    assert "digits digits read as asked: 97.25% (96 to 98.5)" in listed
    assert "phosphene info NAME says all of them" in listed
    of_one = " ".join(cli("info", "digits").out.split())
    assert "score read as asked: 97.25% (96 to 98.5); target 95%" in of_one
    assert "licence CC0" in of_one


def test_one_that_is_too_large_is_not_shipped(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shipped, "LARGEST", 1000)
    with pytest.raises(ValueError, match=r"bytes in float16; at most 1,000 are shipped$"):
        shipped.ship(digits / "run" / "model", tmp_path / "out", "", ABOUT)
    assert not (tmp_path / "out").exists()


def test_what_is_said_of_a_model_is_checked(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "shipped.json").write_text(json.dumps({"about": 3, "licence": ""}))
    with pytest.raises(ValueError, match=r"shipped\.json: about 3: input should be a valid string$"):
        shipped.about("digits")


@pytest.mark.slow
def test_a_wheel_carries_the_models(tmp_path: Path):
    pytest.importorskip("hatchling")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    for name in shipped.names():
        for file in (model.CONFIG, model.WEIGHTS, model.CARD, shipped.ABOUT, shipped.RECIPE):
            assert f"phosphene/shipped/{name}/{file}" in names
    assert "phosphene/shipped/README.md" in names
