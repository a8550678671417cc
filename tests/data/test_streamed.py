import threading

import numpy as np
import pytest
import torch

import phosphene
from phosphene.data.annotations import Columns
from phosphene.data.cache import prepare
from phosphene.data.load import load, stream
from phosphene.data.loader import Loader, indices, rows_of
from phosphene.data.sources import find
from phosphene.data.streamed import Streamed
from phosphene.evaluation.sets import chosen
from phosphene.pictures.pixels import to_values
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from tests.conftest import SMALL, small
from tests.data.sharded import picture, shard

COUNT = 40
BROKEN = (7, 8, 20, 39)


def write(root, broken=()):
    """Two shards of labelled, captioned pictures; some of them are none."""
    for number in range(2):
        members = {}
        for key in range(number * COUNT // 2, (number + 1) * COUNT // 2):
            members[f"{key:02}.jpg"] = b"no picture" if key in broken else picture(key)
            members[f"{key:02}.txt"] = f"picture {key}"
            members[f"{key:02}.cls"] = str(key % 3)
        shard(root / f"{number}.tar", members)
    return find(root)


def streamed(data) -> Streamed:
    assert isinstance(data.pictures, Streamed)
    return data.pictures


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("channels", ["keep", "L", "RGB", "RGBA"])
def test_streamed_pictures_are_those_of_the_cache(tmp_path, channels, fit):
    source = write(tmp_path)
    kept, data = prepare(source, 16, fit, channels), stream(source, 16, fit, channels, threads=2)
    assert streamed(data).shape == kept.pictures.shape
    assert np.array_equal(data.pictures[:], kept.pictures)
    order = np.random.default_rng(0).permutation(COUNT)
    assert np.array_equal(data.pictures[order], kept.pictures[order])
    assert np.array_equal(data.pictures[3], kept.pictures[3])
    assert (data.names, data.classes, data.captions) == (kept.names, kept.classes, kept.captions)
    assert data.size == 16
    assert data.channels == kept.channels
    streamed(data).close()


def test_grey_pictures_of_a_folder(tmp_path):
    from PIL import Image

    for number in range(5):
        Image.new("L", (9, 8), number).save(tmp_path / f"{number}.png")
    kept, data = prepare(find(tmp_path), 8), stream(find(tmp_path), 8)
    assert np.array_equal(data.pictures[:], kept.pictures)
    assert data.channels == 1
    streamed(data).close()


def test_batches_are_those_of_the_cache_whatever_the_order_of_steps(tmp_path):
    source = write(tmp_path)
    ours = Loader(stream(source, 16, threads=2), np.arange(3, 37), 8, 5, "cpu")
    theirs = Loader(prepare(source, 16), np.arange(3, 37), 8, 5, "cpu")
    assert ours.resident is None
    for step in (0, 1, 2, 3, 4, 9, 2, 10**6):
        for one, other in zip(ours.batch(step), theirs.batch(step), strict=True):
            if one is None or other is None:
                assert one is other
            else:
                assert torch.equal(one, other)
        assert ours.batch(step).labels is not None
    ours.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("ahead", "decoding"))]


def test_the_next_of_the_given_pictures_stands_in_for_an_unreadable_one(tmp_path):
    data = stream(write(tmp_path / "set", BROKEN), 16)
    given = np.array([39, 38, 20, 7, 8, 9, 10, 11])[::-1].copy()  # after 7: 20, 38; after 39: 11
    loader = Loader(data, given, 8, 1, "cpu")
    rows = loader.batch(0)
    stands = {7: 38, 8: 38, 20: 38, 39: 11}
    numbers = [stands.get(number, number) for number in map(int, given[indices(8, 8, 1, 0)])]
    assert rows.numbers.tolist() == numbers
    assert rows.labels is not None
    assert rows.labels.tolist() == [number % 3 for number in numbers]
    again = stream(write(tmp_path / "whole"), 16)
    good = Loader(again, np.array(numbers), 8, 1, "cpu").dataset.pictures[np.array(numbers)]
    assert np.array_equal((rows.values.numpy() * 128 + 127.5).round().astype(np.uint8), good)
    loader.close()
    assert {name for name, _ in data.unreadable} == {f"{n // 20}.tar/{n:02}.jpg" for n in BROKEN}
    assert np.array_equal(data.pictures[[7, 39]], again.pictures[[9, 0]])
    streamed(data).close()
    streamed(again).close()


def pairs(root, broken=()):
    """A shard of eight pairs, the greys 10 k and 10 k + 5 each, and what is said of them."""
    members = {}
    for key in range(8):
        for name, grey in ((f"{key}.before.jpg", 2 * key), (f"{key}.jpg", 2 * key + 1)):
            members[name] = b"no picture" if name in broken else picture(grey)
        members[f"{key}.txt"] = f"brighten {key}"
    shard(root / "pairs.tar", members)
    return find(root, Columns(pairs=True))


def test_streamed_pairs_are_those_of_the_cache(tmp_path):
    source = pairs(tmp_path)
    ours, theirs = stream(source, 16, threads=2), prepare(source, 16)
    assert len(ours.learned) == 8
    assert np.array_equal(ours.learned, theirs.learned)
    assert ours.captions == theirs.captions
    one, other = (Loader(data, data.learned, 4, 3, "cpu") for data in (ours, theirs))
    for step in (0, 1, 5, 2):
        batch, same = one.batch(step), other.batch(step)
        assert torch.equal(batch.numbers, same.numbers)
        assert torch.equal(batch.values, same.values)
        assert batch.before is not None
        assert same.before is not None
        assert torch.equal(batch.before, same.before)
        again = rows_of(ours, batch.numbers.numpy(), torch.device("cpu")).before
        assert again is not None
        assert torch.equal(again, batch.before)
    one.close()


@pytest.mark.parametrize("broken", ["2.before.jpg", "2.jpg"])
def test_another_pair_stands_in_for_one_of_which_half_is_unreadable(tmp_path, broken):
    data, whole = stream(pairs(tmp_path / "a", [broken]), 16), prepare(pairs(tmp_path / "b"), 16)
    second, third = whole.learned[2:4].tolist()
    loader = Loader(data, data.learned, 8, 1, "cpu")
    for rows in (loader.batch(0), rows_of(data, data.learned, torch.device("cpu"))):
        numbers = rows.numbers.tolist()
        assert sorted(numbers) == sorted([*(set(whole.learned.tolist()) - {second}), third])
        taken = whole.at(np.array(numbers))
        assert taken.first is not None
        assert rows.before is not None
        assert torch.equal(rows.values, to_values(torch.from_numpy(taken.pixels)))
        assert torch.equal(rows.before, to_values(torch.from_numpy(taken.first)))
    loader.close()
    assert [name for name, _ in data.unreadable] == [f"pairs.tar/{broken}"]


@pytest.mark.parametrize("broken", ["2.before.jpg", "2.jpg"])
def test_what_is_evaluated_of_streamed_pairs_are_pairs(tmp_path, broken):
    data, whole = stream(pairs(tmp_path / "a", [broken]), 16), prepare(pairs(tmp_path / "b"), 16)
    some = chosen(data, data.learned[1:4], "training", 0)
    second, third = whole.learned[[1, 3]].tolist()
    assert some.numbers.tolist() == [second, third, third]
    same = chosen(whole, some.numbers, "training", 0)
    assert np.array_equal(some.pictures, same.pictures)
    assert some.before is not None
    assert same.before is not None
    assert np.array_equal(some.before, same.before)
    assert some.captions == same.captions
    # Nothing from beyond those that were chosen stands in.
    last = chosen(data, data.learned[1:3], "training", 0)
    assert last.numbers.tolist() == [second, second]


def test_sides_follow_from_names(tmp_path):
    data = stream(write(tmp_path, BROKEN), 16)
    few = stream(find(tmp_path / "0.tar"), 16)
    training, out = data.split(0.3, 1)
    assert sorted([*training, *out]) == list(range(COUNT))
    assert 4 <= len(out) <= 20
    # The first shard's pictures have the same names alone: no one changes sides.
    assert few.names == data.names[:20]
    assert out[out < 20].tolist() == few.split(0.3, 1)[1].tolist()
    assert not np.array_equal(out, data.split(0.3, 2)[1])


def test_fingerprints(tmp_path):
    first = stream(write(tmp_path), 16).fingerprint
    assert stream(write(tmp_path), 16).fingerprint == first
    others = [stream(write(tmp_path), 24), stream(write(tmp_path), 16, "pad")]
    others += [stream(write(tmp_path, (3,)), 16), prepare(write(tmp_path), 16)]
    assert len({first, *(data.fingerprint for data in others)}) == 5


def test_nothing_readable(tmp_path):
    with pytest.raises(ValueError, match=r"^none of 40 pictures of .* can be read: 0.tar/00.jpg: not a pict"):
        stream(write(tmp_path, range(COUNT)), 16)
    data = stream(write(tmp_path, range(1, COUNT)), 16)
    with pytest.raises(
        ValueError, match=r"^too many pictures of .* cannot be read: 0.tar/\d+.jpg: not a pict"
    ):
        streamed(data).take(np.arange(1, COUNT), np.arange(4))
    streamed(data).close()


def test_a_recipe_asks_for_it(tmp_path):
    write(tmp_path)
    wanted = changed(RECIPES["flow"], {"data.source": str(tmp_path), "data.stream": True, "data.size": 16})
    data = load(wanted.data)
    assert isinstance(data.pictures, Streamed)
    once = load(changed(wanted, {"data.stream": False}).data)
    assert np.array_equal(data.pictures[:], once.pictures)
    streamed(data).close()


def weights(run):
    from safetensors.torch import load_file

    return load_file(run / "model" / "model.safetensors")


def test_a_streamed_run_is_the_run_from_the_cache_and_resumes_to_the_same_bits(tmp_path, cli):
    """Without held-out pictures both train on the same ones."""
    write(tmp_path / "set")
    pattern = f"{tmp_path}/set/{{0..1}}.tar"
    common = [*small("data.held_out=0", "training.measure_share=0"), "--size", "8", "--batch", "8", "--quiet"]
    for name, way, images in (("once", "false", 48), ("streamed", "true", 48), ("parts", "true", 24)):
        more = ["--set", f"data.stream={way}", "--out", tmp_path / name, "--images", str(images)]
        assert cli("train", pattern, *common, *more, "--set", "training.decay=0").code == 0
    assert cli("train", "--resume", tmp_path / "parts", "--images", "48", "--quiet").code == 0
    once, streamed, parts = (weights(tmp_path / name) for name in ("once", "streamed", "parts"))
    assert all(torch.equal(once[name], streamed[name]) for name in once)
    assert all(torch.equal(once[name], parts[name]) for name in once)


def test_python_and_the_doctor_take_shards(tmp_path, cli):
    write(tmp_path / "set", (3,))
    settings = dict(map(parse_assignment, SMALL)) | {"data.stream": True}
    common = {"size": 8, "progress": False}
    phosphene.train(tmp_path / "set", out=tmp_path / "run", images=16, batch=8, settings=settings, **common)
    about = phosphene.doctor(tmp_path / "set", **common)
    assert (about.found, about.used) == (COUNT, COUNT - 1)
    assert [one.name for one in about.unreadable] == ["0.tar/03.jpg"]
    assert about.captions is not None
    assert (about.captions.count, about.captions.distinct) == (COUNT - 1, COUNT - 1)
    assert about.labels is not None
    assert set(about.labels.counts) == {"0", "1", "2"}
    told = cli("train", "--resume", tmp_path / "run", "--images", "80")
    assert (
        "1 could not be read; others stood in for them:\n  0.tar/03.jpg: not a picture in one of" in told.err
    )


def test_in_a_measurement_too_what_stands_in_comes_with_its_label(tmp_path):
    data, whole = stream(write(tmp_path / "set", BROKEN), 16), stream(write(tmp_path / "whole"), 16)
    rows, good = (
        rows_of(data, np.array([7, 9, 39]), torch.device("cpu")),
        rows_of(whole, np.array([9, 9, 0]), torch.device("cpu")),
    )
    assert rows.numbers.tolist() == [9, 9, 0]
    assert rows.labels is not None
    assert rows.labels.tolist() == [0, 0, 0]
    assert torch.equal(rows.values, good.values)
    streamed(data).close()
    streamed(whole).close()
