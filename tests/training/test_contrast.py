"""A CLIP trained from end to end: captioned pictures, a run, resumed; what is measured; what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import phosphene
from phosphene.data.cache import prepare
from phosphene.data.sources import find
from phosphene.families.clip import Clip
from phosphene.families.contrast import retrieval, siglip, together
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training import checkpoint
from phosphene.training.contrast import held_out
from phosphene.training.measuring import finished
from phosphene.training.metrics import read
from phosphene.training.train import build
from phosphene.training.workers import Workers
from tests import encoders
from tests.conftest import Said
from tests.training.test_text import Place, folder_of

CPU = torch.device("cpu")
SMALL = ("network.width=8", "network.multipliers=[1]", "network.text_width=16", "network.head_width=8")
TINY = {**dict(map(parse_assignment, SMALL)), "network.embedding": 8, "training.learning_rate": 1e-2}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("contrast")
    encoders.bert(root / "bert")
    return Place(folder_of(root / "data"), root / "bert")


def train(place: Place, out: Path, steps: int, **more: Any) -> Any:
    settings = {**TINY, "data.text": str(place.encoder), "training.warmup": 5, "data.held_out": 0.25, **more}
    return phosphene.train(
        place.data, out=out, recipe="clip", batch=12, images=12 * steps, settings=settings, progress=False
    )


@pytest.fixture(scope="module")
def run(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(place, out, 150, **{"training.ema": [0.05, 0.1]})
    return out


def test_it_tells_colours_apart(run: Path, place: Place):
    clip = phosphene.load(run, "cpu")
    assert isinstance(clip, Clip)
    data = clip.opened(place.data)
    assert data.captions is not None
    for name in ("red", "green", "blue"):
        found = clip.search(place.data, f"a {name} square", n=10)
        assert all(data.captions[data.names.index(one.name)][0] == f"a {name} square" for one in found)
        similarities = [one.similarity for one in found]
        assert similarities == sorted(similarities, reverse=True)


def test_what_is_measured_is_written_and_kept(run: Path):
    lines = [line for line in read(run / "log" / "metrics.jsonl") if "retrieval_text" in line]
    assert lines[-1]["step"] == 150
    assert lines[-1]["retrieval_picture"] == lines[-1]["retrieval_text"] == 1.0
    assert 2 <= lines[-1]["retrieval_among"] <= 24
    best = min(line["held_out_loss"] for line in lines)
    config = json.loads((run / "best" / "config.json").read_text())
    assert config["provenance"]["measured"]["held_out_loss"] == best
    assert (config["network"]["kind"], config["text"]["width"]) == ("clip", encoders.WIDTH)
    assert "A CLIP for 8x8 RGB pictures" in (run / "model" / "README.md").read_text()


def test_held_out_figures_are_those_of_the_whole_batch(place: Place, monkeypatch: pytest.MonkeyPatch):
    """Pieces of pictures meet the texts of all pieces."""
    monkeypatch.setattr("phosphene.training.contrast.ROWS", 5)
    trainer = trainer_of(place)
    for _ in range(3):
        trainer.update()
    trainer.shadow.network.load_state_dict(trainer.averaged())
    loss, found = finished(held_out(trainer))
    batch = trainer.held_out_batch(trainer.held_out)
    network = trainer.shadow.network
    with torch.no_grad():
        pair, belongs = network(batch.x0, batch.condition), together(batch.condition)
    expected = siglip(pair, network.sharpness.detach(), network.bias.detach(), belongs).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert found == retrieval(pair, belongs)
    assert found.among == len(trainer.held_out) > 5


def trainer_of(place: Place, **more: Any) -> Any:
    settings = {**TINY, "data.source": str(place.data), "data.text": str(place.encoder)}
    settings |= {"training.batch": 12, "data.held_out": 0.25, **more}
    return build(changed(RECIPES["clip"], settings), prepare(find(place.data)), CPU, Workers())


def test_nothing_is_hidden_and_a_captions_states_are_heard(place: Place):
    """No caption is dropped, as for classifier-free guidance; one of several is told, by (seed, step)."""
    trainer = trainer_of(place)
    masks = [trainer.batch(trainer.loader.batch(step)).condition.mask for step in range(20)]
    assert all(bool(mask.any(1).all()) for mask in masks)


def test_a_resumed_run_has_the_same_bits(place: Place, tmp_path: Path):
    still = {"training.decay": 0.0, "network.dropout": 0.1}
    train(place, tmp_path / "whole", 8, **still)
    train(place, tmp_path / "parts", 3, **still)
    phosphene.train(resume=tmp_path / "parts", images=12 * 8, progress=False)
    first, second = (checkpoint.load(tmp_path / name / "state") for name in ("whole", "parts"))
    assert first.step == second.step == 8
    assert first.tensors.keys() == second.tensors.keys()
    for name, value in first.tensors.items():
        assert torch.equal(value, second.tensors[name]), name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"training.accumulate": 2}, "training.accumulate 2: a network of kind clip compares all pictures"),
        (
            {"data.augment": 0.1},
            "data.augment 0.1: turned and moved pictures are not what their captions say",
        ),
        ({"data.text": None}, "data.text 'none': a network of kind clip learns from captions"),
        ({"diffusion.drop": 0.5}, "diffusion: a network of kind clip makes no pictures"),
        ({"sampling.steps": 5}, "sampling: a network of kind clip makes no pictures"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        changed(RECIPES["clip"], settings)


def test_several_workers_are_refused(place: Place):
    trainer = trainer_of(place)
    with pytest.raises(ValueError, match="2 workers: the loss of recipe clip compares all pictures"):
        type(trainer)(trainer.recipe, trainer.dataset, trainer.family, trainer.task, CPU, Workers(0, 2))


def test_what_makes_pictures_is_not_asked_of_it(run: Path, place: Place, cli, tmp_path: Path):
    said: Said = cli("sample", run)
    assert said.code == 2
    assert "a CLIP, which makes no pictures; it ranks and guides" in said.err
    for words in (
        ("ema", run),
        ("tune", "clip", "--data", place.data, "--set", f"data.text={place.encoder}"),
        ("doctor", place.data, "--recipe", "clip"),
    ):
        said = cli(*words)
        assert said.code == 2
        assert "trains a CLIP, which makes no pictures" in said.err
    said = cli("evaluate", run)
    assert said.code == 2
    assert "a CLIP, which makes no pictures" in said.err


def test_info_says_what_it_is(run: Path, cli):
    said: Said = cli("info", run)
    assert said.code == 0
    for words in ("CLIP", "8x8 RGB", "minilm" if "minilm" in said.out else "bert", "retrieval@1", "100%"):
        assert words in said.out, words


def test_pictures_of_a_size_that_cannot_be_halved(place: Place):
    with pytest.raises(
        ValueError, match=r"data.size 8: network.multipliers \[1, 1, 1, 1\] halve the picture 4 times"
    ):
        trainer_of(place, **{"network.multipliers": [1, 1, 1, 1], "data.size": 8})
