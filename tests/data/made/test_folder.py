"""Made folders: whole or absent, the same bytes again, one line for what cannot be made."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phosphene.data import cache, sources
from phosphene.data.made import sets
from phosphene.data.made.folder import HELD_OUT, Making, Order, Picture, is_held_out, read_made, write
from phosphene.data.made.sets import MADE, Made, make_set


def pixels(number: int) -> np.ndarray:
    return np.full((8, 8, 3), number, np.uint8)


def plain(order: Order) -> Making:
    """Pictures of one colour each; every third is held out."""
    pictures = (
        Picture(
            pixels(number),
            {"text": f"number {number}", "n": number},
            HELD_OUT if number % 3 == 2 else "train",
        )
        for number in range(order.count)
    )
    return Making(order.count, pictures, "Plain colours.\n\n- `n`: the number.", {"colours": 1})


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Made]:
    made = {"plain": Made("plain colours", 6, 8, plain), "pairs": Made("pairs", 6, 8, plain, edits=plain)}
    monkeypatch.setattr(sets, "MADE", made)
    return made


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_pictures_rows_and_settings(registry, tmp_path):
    seen = []
    folder = make_set("plain", out=tmp_path / "a" / "b", seed=3, on_progress=lambda *now: seen.append(now))
    assert sorted(everything(folder)) == [
        *("README.md", "held-out/000002.png", "held-out/000005.png", "held-out/metadata.jsonl", "made.json"),
        *(f"train/00000{number}.png" for number in (0, 1, 3, 4)),
        "train/metadata.jsonl",
    ]
    rows = [json.loads(line) for line in (folder / "held-out/metadata.jsonl").read_text().splitlines()]
    assert rows == [
        {"file_name": "000002.png", "text": "number 2", "n": 2},
        {"file_name": "000005.png", "text": "number 5", "n": 5},
    ]
    assert (np.asarray(Image.open(folder / "train/000003.png")) == pixels(3)).all()
    made = read_made(folder)
    assert made == read_made(folder / "train")
    assert made is not None
    assert {
        name: made[name] for name in ("set", "count", "size", "seed", "held_out", "colours", "sides")
    } == {
        **{"set": "plain", "count": 6, "size": 8, "seed": 3, "held_out": 0.1, "colours": 1},
        "sides": {"train": 4, "held-out": 2},
    }
    assert (
        "phosphene data plain --out DIR --count 6 --size 8 --seed 3 --held-out 0.1\n"
        in (folder / "README.md").read_text()
    )
    assert seen == [(number, 6) for number in range(1, 7)]
    assert read_made(tmp_path) is None


def test_the_folder_is_an_ordinary_data_set(registry, tmp_path):
    source = sources.find(make_set("plain", out=tmp_path / "x") / "train")
    assert source.captions == (("number 0",), ("number 1",), ("number 3",), ("number 4",))
    assert source.problems == ()
    assert np.asarray(cache.prepare(source).pictures)[:, 0, 0, 0].tolist() == [0, 1, 3, 4]


def test_names_may_lead_into_folders_and_sides_may_be_more(tmp_path):
    pictures = [Picture(pixels(1), {}, "train", "A/1"), Picture(Image.new("L", (8, 8)), {}, "other", "x")]
    folder = write("named", Order(2, 8), Making(2, pictures, "Named."), tmp_path / "out")
    assert {"train/A/1.png", "other/x.png"} < set(everything(folder))
    assert json.loads((folder / "train/metadata.jsonl").read_text()) == {"file_name": "A/1.png"}


def test_an_empty_folder_is_taken_and_any_other_left(registry, tmp_path):
    (tmp_path / "empty").mkdir()
    make_set("plain", out=tmp_path / "empty")
    before = everything(tmp_path)
    (tmp_path / "file").touch()
    for name in ("empty", "file"):
        with pytest.raises(
            ValueError, match=rf"^out .*{name}: something is there already; choose another folder$"
        ):
            make_set("plain", out=tmp_path / name, count=2)
    (tmp_path / "file").unlink()
    assert everything(tmp_path) == before


def test_what_stops_it_leaves_nothing(registry, tmp_path):
    for stop in (KeyboardInterrupt, OSError):

        def at_the_third(done: int, total: int, stop: type[BaseException] = stop) -> None:
            del total
            if done == 3:
                raise stop

        with pytest.raises(stop):
            make_set("plain", out=tmp_path / "x", on_progress=at_the_third)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"name": "plains"}, "data 'plains': sets that can be made are plain, pairs"),
        ({"count": 0}, "count 0: give at least 1 picture"),
        ({"size": 0}, "size 0 of plain: give 8 to 512 pixels"),
        ({"size": 513}, "size 513 of plain: give 8 to 512 pixels"),
        ({"seed": -1}, "seed -1: give at least 0 and below 2^63"),
        ({"held_out": 1.0}, "held_out 1.0: give a share of at least 0 and below 1"),
        ({"held_out": float("nan")}, "held_out nan: give a share of at least 0 and below 1"),
        ({"edits": True}, "edits of plain: only pairs have them"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(registry, tmp_path, asked, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        make_set(**{"name": "plain", "out": tmp_path / "x", **asked})
    assert str(error.value) == words
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_train_on_is_an_error(tmp_path):
    pictures = [Picture(pixels(1), {}, HELD_OUT)]
    with pytest.raises(ValueError, match=r"^count 1 of x: all are held out; ask for more pictures$"):
        write("x", Order(1, 8), Making(1, pictures, ""), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(registry, tmp_path):
    def needy(order: Order) -> Making:
        raise ModuleNotFoundError("No module named 'python_avatars'", name="python_avatars")

    registry["needy"] = Made("needs more", 1, 8, needy, extra="faces")
    with pytest.raises(
        ValueError, match=r"^data needy needs python_avatars, .*: pip install 'phosphene\[faces\]'$"
    ):
        make_set("needy", out=tmp_path / "x")
    registry["broken"] = Made("our own fault", 1, 8, needy)
    with pytest.raises(ModuleNotFoundError):
        make_set("broken", out=tmp_path / "x")


def test_keys_are_held_out_by_their_share():
    keys = [f"key {number}" for number in range(20_000)]
    assert not any(is_held_out(key, 0.0) for key in keys)
    assert all(is_held_out(key, 1.0) for key in keys)
    out = {share: {key for key in keys if is_held_out(key, share)} for share in (0.1, 0.3)}
    assert out[0.1] < out[0.3]
    for share, held in out.items():  # five standard deviations
        assert abs(len(held) / len(keys) - share) < 5 * (share * (1 - share) / len(keys)) ** 0.5


def test_every_set_says_what_it_is():
    for name, made in MADE.items():
        assert name == name.lower()
        assert made.about
        assert made.size in made.sizes
        assert made.count > 0
