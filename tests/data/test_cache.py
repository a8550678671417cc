import errno
import json
import os
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from phosphene.data import cache, decoding
from phosphene.data.cache import prepare
from phosphene.data.sources import find

PHOTO = load_sample_image("china.jpg")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    for number, kind in enumerate(("cat", "dog", "cat", "dog", "cat")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        crop = PHOTO[40 * number : 40 * number + 48, 30:78]
        Image.fromarray(crop).save(folder / kind / f"{number}.png")
    return folder


def pixels_of(data) -> np.ndarray:
    assert isinstance(data.pictures, np.ndarray)
    return data.pictures


def entries(root):
    return sorted(path.name for path in root.iterdir())


def labels(data):
    assert data.labels is not None
    return data.labels


def no_decoding(monkeypatch):
    def never(*_args, **_options):
        raise AssertionError("decoded again")

    monkeypatch.setattr(decoding, "open_picture", never)


def test_digits(root, monkeypatch):
    data = prepare(find("digits"))
    pixels, target = load_digits(return_X_y=True)
    assert (data.size, data.channels) == (8, 1)
    assert np.array_equal(pixels_of(data).reshape(-1, 64), np.floor(pixels * 255 / 16 + 0.5))
    assert np.array_equal(labels(data), target)
    assert data.classes == tuple("0123456789")
    assert data.report.found == data.report.used == 1797
    assert data.report.notes == {}
    no_decoding(monkeypatch)
    again = prepare(find("digits"), size=8)
    assert again.fingerprint == data.fingerprint
    assert np.array_equal(pixels_of(again), pixels_of(data))
    assert len(entries(root)) == 1


def test_a_folder_of_photographs(folder):
    data = prepare(find(folder), size=48)
    assert data.names == ("cat/0.png", "cat/2.png", "cat/4.png", "dog/1.png", "dog/3.png")
    assert labels(data).tolist() == [0, 0, 0, 1, 1]
    for picture, number in zip(pixels_of(data), (0, 2, 4, 1, 3), strict=True):
        assert np.array_equal(picture.transpose(1, 2, 0), PHOTO[40 * number : 40 * number + 48, 30:78])
    with pytest.raises(ValueError, match="read-only"):
        pixels_of(data)[0] = 0


def test_windows_lie_end_to_end(folder, monkeypatch):
    whole = prepare(find(folder), size=16)
    monkeypatch.setattr(cache, "WINDOW", 2)
    monkeypatch.setattr(cache, "VERSION", 0)
    parts = prepare(find(folder), size=16)
    assert np.array_equal(pixels_of(whole), pixels_of(parts))


def test_channels_keep_what_is_there_and_no_more(tmp_path, root):
    folder = tmp_path / "mixed"
    folder.mkdir()
    grey = Image.new("L", (8, 8), 7)
    grey.save(folder / "a.png")
    assert np.array_equal(pixels_of(prepare(find(folder), 8)), np.full((1, 1, 8, 8), 7))
    Image.new("RGBA", (8, 8), (1, 2, 3, 255)).save(folder / "b.png")
    assert pixels_of(prepare(find(folder), 8))[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]
    Image.new("LA", (8, 8), (9, 51)).save(folder / "c.png")
    kept = prepare(find(folder), 8)
    assert pixels_of(kept)[:, :, 0, 0].tolist() == [[7, 7, 7, 255], [1, 2, 3, 255], [9, 9, 9, 51]]
    white = 204 + round(9 / 5)
    colour = prepare(find(folder), 8, channels="RGB")
    assert pixels_of(colour)[:, :, 0, 0].tolist() == [[7] * 3, [1, 2, 3], [white] * 3]
    assert pixels_of(prepare(find(folder), 8, channels="L"))[:, :, 0, 0].tolist() == [[7], [2], [white]]
    assert prepare(find(folder), 8, channels="RGBA").fingerprint != kept.fingerprint
    assert len(entries(root)) == 6


def test_the_key_follows_content_names_and_settings(folder, root):
    prints = [prepare(find(folder), 16).fingerprint]
    prints.append(prepare(find(folder), 24).fingerprint)
    prints.append(prepare(find(folder), 16, fit="pad").fingerprint)
    prints.append(prepare(find(folder), 16, channels="L").fingerprint)
    Image.new("RGB", (48, 48), (1, 2, 3)).save(folder / "cat" / "0.png")
    changed = prepare(find(folder), 16)
    assert pixels_of(changed)[0, :, 0, 0].tolist() == [1, 2, 3]
    prints.append(changed.fingerprint)
    (folder / "cat" / "0.png").rename(folder / "cat" / "00.png")
    prints.append(prepare(find(folder), 16).fingerprint)
    assert len(set(prints)) == len(prints) == len(entries(root))


def test_a_changed_caption_or_label_decodes_nothing_again(folder, root, monkeypatch):
    first = prepare(find(folder), 16)
    assert first.captions is None
    no_decoding(monkeypatch)
    (folder / "dog" / "1.txt").write_text("a dog")
    second = prepare(find(folder), 16)
    assert second.captions == ((), (), (), ("a dog",), ())
    (folder / "metadata.csv").write_text("file_name,label\ncat/0.png,ox\n")
    third = prepare(find(folder), 16)
    assert third.classes == ("cat", "dog", "ox")
    assert labels(third).tolist() == [2, 0, 0, 1, 1]
    assert len({first.fingerprint, second.fingerprint, third.fingerprint}) == 3
    assert len(entries(root)) == 1


def test_unreadable_pictures_are_skipped_and_listed(folder):
    (folder / "cat" / "1bad.png").write_bytes(b"no picture")
    data = (folder / "cat" / "0.png").read_bytes()
    (folder / "dog" / "0cut.png").write_bytes(data[: len(data) // 2])
    (folder / "dog" / "9.txt").write_text("the last dog")
    Image.fromarray(PHOTO[:48, :48]).save(folder / "dog" / "9.png")
    for _ in range(2):
        dataset = prepare(find(folder), 16)
        assert dataset.report.found == 8
        assert dataset.report.used == 6 == len(pixels_of(dataset))
        reason = "not a picture in one of: PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM, QOI"
        assert dataset.report.unreadable == (("cat/1bad.png", reason), ("dog/0cut.png", "truncated"))
        assert labels(dataset).tolist() == [0, 0, 0, 1, 1, 1]
        assert dataset.captions == ((),) * 5 + (("the last dog",),)
        assert dataset.names[-1] == "dog/9.png"


def test_duplicates_are_counted_and_kept(folder):
    for name in ("cat/copy.png", "dog/copy.png"):
        (folder / name).write_bytes((folder / "cat" / "0.png").read_bytes())
    for _ in range(2):
        report = prepare(find(folder), 16).report
        assert (report.found, report.used, report.duplicates) == (7, 7, 2)


def test_notes_and_progress_and_other_files(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, shape in enumerate([(40, 60), (40, 60), (20, 20), (100, 100)]):
        Image.fromarray(PHOTO[: shape[0], : shape[1]]).save(folder / f"{number}.png")
    (folder / "film.mp4").write_text("x")
    seen = []
    report = prepare(find(folder), on_progress=lambda done, total: seen.append((done, total))).report
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.notes == {
        "brought to 32x32, for a median short side of 40": 4,
        "cropped to the centre square": 2,
        "enlarged": 1,
    }
    assert report.ignored == {".mp4": 1}


@pytest.mark.parametrize(
    ("side", "size"), [(5, 8), (8, 8), (31, 24), (32, 32), (63, 48), (64, 64), (500, 64)]
)
def test_own_size(tmp_path, side, size):
    Image.new("L", (side, side + 3)).save(tmp_path / "a.png")
    assert prepare(find(tmp_path)).size == size


def test_nothing_readable_or_no_size_is_an_error(tmp_path, root):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^none of the 1 pictures of .* can be read: a.png: not a picture"):
        prepare(find(tmp_path))
    assert entries(root) == []
    with pytest.raises(ValueError, match=r"^size 0: give at least 1 pixel$"):
        prepare(find(tmp_path), 0)


def test_a_full_disk_is_an_oserror_and_leaves_nothing(folder, root, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_pack", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(find(folder), 16)
    assert entries(root) == []


def test_a_half_written_entry_is_never_used(folder, root):
    whole = pixels_of(prepare(find(folder), 16)).copy()
    (name,) = entries(root)
    (root / name).rename(root / f".{name[:16]}.0000.part")
    (root / f".{name[:16]}.0000.part" / "pictures.npy").write_bytes(b"half")
    assert np.array_equal(pixels_of(prepare(find(folder), 16)), whole)
    assert (root / name / "meta.json").exists()


def test_a_faster_process_is_not_overwritten(folder, root, monkeypatch):
    pack = cache._pack

    def slow(stage, path, *rest):
        pack(stage, path, *rest)
        monkeypatch.setattr(cache, "_pack", pack)
        prepare(find(folder), 16)

    monkeypatch.setattr(cache, "_pack", slow)
    data = prepare(find(folder), 16)
    assert len(entries(root)) == 1
    assert data.report.used == 5


def test_files_hold_no_pickle(folder, root):
    prepare(find(folder), 16)
    (entry,) = root.iterdir()
    assert sorted(path.name for path in entry.iterdir()) == ["meta.json", "pictures.npy"]
    assert json.loads((entry / "meta.json").read_text())["used"] == [0, 1, 2, 3, 4]
    assert np.load(entry / "pictures.npy", allow_pickle=False).shape == (5, 3, 16, 16)


def test_what_killed_processes_were_decoding_goes_after_a_day(root, folder):
    """The stage of one that is alive was written to lately, even where its folder was made long ago."""
    old = time.time() - 2 * 24 * 3600
    for name, written in ((".dead.part", old), (".alive.part", time.time()), (".empty.part", old)):
        (root / name).mkdir(parents=True)
        if name != ".empty.part":
            (root / name / "stage").write_bytes(b"half")
            os.utime(root / name / "stage", (written, written))
        os.utime(root / name, (old, old))
    prepare(find(folder))
    assert [name for name in entries(root) if name.startswith(".")] == [".alive.part"]
