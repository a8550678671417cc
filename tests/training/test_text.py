"""Text to image from end to end: a folder of captioned pictures, a run, a request."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene
from phosphene.data.cache import prepare
from phosphene.data.dataset import Dataset
from phosphene.data.sources import find as find_pictures
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.store.text_encoder import TextEncoder
from phosphene.store.text_encoder import find as find_encoder
from phosphene.tasks.request import Request
from phosphene.training import checkpoint, text
from phosphene.training.base import fitted
from phosphene.training.folder import RunFolder
from phosphene.training.text import settled
from phosphene.training.train import Watcher, build, prepare_data, start
from phosphene.training.workers import Workers
from tests import encoders
from tests.conftest import SMALL, Said

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
TINY = dict(map(parse_assignment, SMALL))
CPU = torch.device("cpu")


class Place(NamedTuple):
    data: Path
    encoder: Path


def folder_of(root: Path, count: int = 48, captions: bool = True, classes: bool = False) -> Path:
    """Pictures of one colour, which their captions say, those of every fifth in two ways."""
    rows = []
    for i in range(count):
        name, colour = list(COLOURS.items())[i % 3]
        file = f"{name}/{i:03}.png" if classes else f"{i:03}.png"
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(-20, 20, (8, 8, 3)) + colour
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / file)
        words = f"a {name} square"
        rows.append({"file_name": file, "text": [words, f"the big {name}"] if i % 5 == 0 else words})
    if captions:
        (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("text")
    encoders.bert(root / "bert")
    return Place(folder_of(root / "data"), root / "bert")


def train(place: Place, out: Path, more: Mapping[str, Any] | None = None, **options: Any):
    settings = {**TINY, "data.text": str(place.encoder), "training.warmup": 5, **(more or {})}
    return phosphene.train(
        place.data, out=out, batch=24, seed=0, settings=settings, progress=False, **options
    )


def colour_of(made) -> list[str]:
    means = made.values.mean((2, 3))
    return [list(COLOURS)[i] for i in means.argmax(1).tolist()]


@pytest.fixture(scope="module")
def run(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    quick = {"training.learning_rate": 1e-2, "training.ema": [0.05], "training.measure_share": 0.0}
    train(place, out, quick, images=24 * 240)
    return out


def test_it_makes_what_it_is_asked_for(run: Path, place: Place):
    generator = phosphene.load(run)
    header = generator.model.header
    assert header.text is not None
    assert (header.text.name, header.text.width) == (str(place.encoder), encoders.WIDTH)
    asked = ["red", "green", "blue"] * 4
    made = generator.sample(12, prompt=[f"a {name} square" for name in asked], guidance=2.0, steps=8)
    assert colour_of(made) == asked
    away = generator.sample(4, prompt="a square", negative="a red square", guidance=4.0, steps=8)
    assert "red" not in colour_of(away)
    assert RunFolder(run).read_recipe().data.text == str(place.encoder)


def test_a_resumed_run_is_the_same_and_encodes_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    still = {"training.decay": 0.0}  # a rate that knows of no end
    train(place, tmp_path / "whole", still, images=24 * 6)
    train(place, tmp_path / "parts", still, images=24 * 3)

    def encode(self: TextEncoder, texts):
        raise AssertionError(texts)

    monkeypatch.setattr(TextEncoder, "encode", encode)
    phosphene.train(resume=tmp_path / "parts", images=24 * 6, progress=False)
    first, second = (checkpoint.load(tmp_path / name / "state") for name in ("whole", "parts"))
    assert first.step == second.step == 6
    for name, value in first.tensors.items():
        assert torch.equal(value, second.tensors[name]), name


def test_the_condition_of_a_batch_is_that_of_a_request(place: Place):
    recipe = changed(
        RECIPES["flow"],
        {
            **TINY,
            "data.source": str(place.data),
            "data.text": str(place.encoder),
            "training.batch": 8,
            "diffusion.drop": 0.0,
        },
    )
    data = prepare(find_pictures(place.data))
    trainer = build(recipe, data, CPU, Workers())
    rows = trainer.loader.batch(0)
    told = trainer.batch(rows).condition
    assert told.tokens is not None
    assert told.mask is not None
    for row, number in enumerate(rows.numbers.tolist()):
        assert data.captions is not None
        said = data.captions[number]
        assert said
        prompted = trainer.task.asked([Request(prompt=line) for line in said])
        assert prompted.tokens is not None
        same = [torch.allclose(told.tokens[row], tokens, atol=1e-3) for tokens in prompted.tokens]
        assert any(same)


@pytest.mark.parametrize(
    ("asked", "options", "chosen", "words"),
    [
        ("auto", {}, "minilm", "captions of 48 of 48 pictures are learned with the text encoder minilm"),
        (
            "auto",
            {"classes": True},
            None,
            "captions of 48 of 48 pictures are left aside, as there are labels",
        ),
        ("auto", {"captions": False}, None, None),
        ("none", {}, None, None),
        ("minilm", {"classes": True}, "minilm", None),
    ],
)
def test_whether_captions_are_learned(asked, options, chosen, words, tmp_path: Path):
    data = prepare(find_pictures(folder_of(tmp_path / "data", **options)))
    recipe, notes = settled(changed(RECIPES["flow"], {"data.text": asked}), data)
    assert recipe.data.text == chosen
    assert (words is None and notes == ()) or (words is not None and notes[0].startswith(words))
    assert settled(recipe, data) == (recipe, ())


def test_captions_wait_for_an_encoder_that_is_not_installed(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text.text_encoder, "installed", lambda: False)
    recipe, notes = settled(RECIPES["flow"], prepare(find_pictures(place.data)))
    assert recipe.data.text is None
    assert "left aside without a text encoder: pip install" in notes[0]


def test_pictures_without_captions_cannot_teach_words(place: Place, tmp_path: Path):
    bare = Place(folder_of(tmp_path / "bare", captions=False), place.encoder)
    with pytest.raises(ValueError, match=r"^data.text .*: no picture of .* has a caption [^\n]*$"):
        train(bare, tmp_path / "run", images=24)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rank", [None, 2], ids=["all weights", "adapter"])
def test_a_model_that_hears_goes_on_without_captions(rank: int | None, run: Path, tmp_path: Path):
    """It learns them as what it makes when nothing is asked for."""
    told: list[str] = []

    class Hears(Watcher):
        def begins(self, dataset: Dataset, size: int, folder: RunFolder, notes: tuple[str, ...]) -> None:
            told.extend(notes)

    folder_of(tmp_path / "bare", 16, captions=False)
    changes = {"base.model": str(run), "base.rank": rank, "data.source": str(tmp_path / "bare")}
    changes |= {"training.images": 32, "training.batch": 8, "training.measure_share": 0.0}
    recipe = fitted(RECIPES["fine-tune"], changes)
    assert start(recipe, tmp_path / "out", device="cpu", watcher=Hears()).finished
    assert "no picture has a caption: they are learned as what is made when nothing is asked for" in told
    data = prepare_data(recipe, Watcher())
    trainer = build(recipe, data, CPU, Workers())
    condition = trainer.batch(trainer.loader.batch(0)).condition
    assert condition.mask is not None
    assert not condition.mask.any()


def test_progress_of_encoding_is_told(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path))
    told = []

    class Told(Watcher):
        def encoding(self, done: int, total: int) -> None:
            told.append((done, total))

    recipe = changed(RECIPES["flow"], {"data.source": str(place.data), "data.text": str(place.encoder)})
    text.captioned(recipe, prepare(find_pictures(place.data)), CPU, Told().encoding)
    assert told == [(6, 6)]


def test_captions_whose_ends_are_cut_off_are_counted(place: Place, tmp_path: Path):
    """Not one that just fits: with the two tokens that frame a text it has as many as the encoder reads."""
    folder, limit = folder_of(tmp_path / "data", count=6), find_encoder(str(place.encoder)).limit
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    for row, words in zip(rows, (limit - 2, limit - 1, 3 * limit), strict=False):
        row["text"] = " ".join(["red"] * words)
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = changed(RECIPES["flow"], {"data.source": str(folder), "data.text": str(place.encoder)})
    found = text.captioned(recipe, prepare(find_pictures(folder)), CPU)
    assert found is not None
    words = f"2 of {len(found.captions.texts)} captions are longer than {place.encoder} reads; "
    assert text.of_cut(found, recipe) == (f"{words}their ends are cut off",)
    found = text.captioned(
        changed(recipe, {"data.source": str(place.data)}), prepare(find_pictures(place.data)), CPU
    )
    assert text.of_cut(found, recipe) == ()


def test_the_command_line_asks_in_words(run: Path, tmp_path: Path, cli):
    words = ["--prompt", "a red square", "--prompt", "a blue square", "--negative", "a green square"]
    scale = ["--guidance", "4", "--guidance", "2", "--interval", "0.1", "10"]
    out, again = tmp_path / "out", tmp_path / "again"
    said: Said = cli("sample", run, "-n", "4", *words, *scale, "--steps", "3", "--out", out, "--quiet")
    assert said.code == 0, said.err
    said = cli("sample", "--like", out / "seed0-000003.png", "--out", again, "--quiet")
    assert said.code == 0, said.err
    one, other = ((place / "seed0-000003.png").read_bytes() for place in (out, again))
    assert one == other
    wrong = cli("sample", run, "--prompt", "")
    assert (wrong.code, wrong.err.strip()) == (
        2,
        "phosphene: prompt '': no words; leave it out to ask for nothing",
    )
