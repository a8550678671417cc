"""The bench of cascades: what it measures is what a cascade makes, and the same part of every picture."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bench.quality import cascade as cascade_bench
from bench.quality.cascade import SEED, enlarged_by, held_out, measure, side, tiles
from PIL import Image

import phosphene
from phosphene.data.made.sets import make_set
from phosphene.families.generator import Cascade
from phosphene.pictures.pixels import to_bytes
from phosphene.recipes.tasks import NoTask, SuperResolutionTask
from tests.families.test_cascade import saved


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Cascade:
    root = tmp_path_factory.mktemp("cascade")
    stages = [
        saved(root / "base", 8, NoTask()),
        saved(root / "twice", 16, SuperResolutionTask(factor=2), seed=1),
        saved(root / "four", 32, SuperResolutionTask(factor=4), seed=2),
    ]
    made = phosphene.load(phosphene.cascade(stages, out=root / "whole"))
    assert isinstance(made, Cascade)
    return made


def rows_of(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "metadata.jsonl").read_text("utf-8").splitlines()]


def test_the_stages_alone_make_of_the_bases_pictures_what_the_whole_does(cascade: Cascade):
    base = phosphene.load(cascade.folder).sample(3, seed=SEED)
    whole = to_bytes(cascade.sample(3, seed=SEED).values).numpy()
    assert side(cascade) == whole.shape[-1] == 64
    assert np.array_equal(enlarged_by(cascade, to_bytes(base.values).numpy()), whole)


def test_a_tile_is_of_the_same_place_whatever_a_picture_shows():
    y, x = np.mgrid[:100, :100].astype(np.uint8)
    places = np.broadcast_to(np.stack([y, x, y]), (5, 3, 100, 100))
    cut = tiles(places)
    assert cut.shape == (5, 3, 64, 64)
    corners = cut[:, :2, 0, 0]
    assert len({tuple(corner) for corner in corners}) == 5
    assert np.array_equal(cut, np.stack([places[0, :, i : i + 64, j : j + 64] for i, j in corners]))
    assert np.array_equal(tiles(255 - places), 255 - cut)


def test_each_way_is_measured_against_its_own_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Stages that answer with the truth, and a whole that answers with other pictures."""
    made = make_set("faces", out=tmp_path / "set", count=400, size=64, held_out=0.3)
    held = held_out(made, 64, 20)
    texts = {row["text"]: row for row in rows_of(made / "held-out")}
    assert not any(texts[words]["withheld"] for words in held.captions)
    one: Any = SimpleNamespace(size=32, hears=True)
    monkeypatch.setattr(cascade_bench, "side", lambda cascade: 64)
    monkeypatch.setattr(cascade_bench, "enlarged_by", lambda cascade, small: held.own)
    monkeypatch.setattr(cascade_bench, "asked_of", lambda cascade, captions: held.others)
    bicubic, stages, originals, whole = measure({"one": one}, made, 20)
    assert [way.name for way in (bicubic, stages, originals, whole)] == [
        "bicubic (Pillow)",
        "one, stages",
        "the originals",
        "one, whole",
    ]
    assert [way.whole for way in (bicubic, stages, originals, whole)] == [False, False, False, True]
    assert 15 < bicubic.psnr < 35
    assert stages.psnr == originals.psnr == math.inf
    assert stages.told == originals.told > 0.97
    assert stages.distribution == originals.distribution
    assert stages.distribution.paired.value == pytest.approx(0, abs=1e-3) != bicubic.distribution.paired.value
    # Other faces are not what was asked for, and as the others are.
    assert whole.told < 0.5
    assert whole.distribution.frechet == pytest.approx(0, abs=1e-3) != stages.distribution.frechet


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    place = tmp_path / "faces" / "held-out"
    place.mkdir(parents=True)
    (tmp_path / "faces" / "made.json").write_text('{"set": "faces"}')
    for i in range(6):
        Image.new("RGB", (128, 128), (40 * i, 0, 0)).save(place / f"{i}.png")
    rows = [{"file_name": f"{i}.png", "text": f"caption {i}"} for i in range(6)]
    (place / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "faces"


def test_captions_go_with_their_pictures_and_the_others_are_others(faces: Path):
    held = held_out(faces, 64, 3)
    shades = held.own[:, 0, 0, 0] // 40
    assert held.captions == [f"caption {i}" for i in shades]
    assert {*shades, *(held.others[:, 0, 0, 0] // 40)} == {*range(6)}
    with pytest.raises(ValueError, match=r"count 4: .* has 6 pictures; give 3 or less"):
        held_out(faces, 64, 4)


def test_what_cannot_be_compared(cascade: Cascade, faces: Path):
    smaller = Cascade(
        cascade.model, cascade.folder, cascade.device, cascade.wanted, further=cascade.further[:1]
    )
    with pytest.raises(ValueError, match="begin and end with as many pixels"):
        next(measure({"one": cascade, "other": smaller}, faces, 2))
    with pytest.raises(ValueError, match="cascades: of 16 pixels; the encoder sees 64"):
        next(measure({"one": smaller}, faces, 2))
    with pytest.raises(ValueError, match="cascade one: its base hears no captions"):
        next(measure({"one": cascade}, faces, 2))
    hearing: Any = SimpleNamespace(size=8, hears=True, further=cascade.further)
    (faces / "made.json").write_text('{"set": "glyphs"}')
    with pytest.raises(ValueError, match="not a set that is judged"):
        next(measure({"one": hearing}, faces, 2))
