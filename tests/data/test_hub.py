import json

import pytest
from huggingface_hub import constants

from phosphene.data.annotations import Columns
from phosphene.data.cache import prepare
from phosphene.data.hub import everywhere, parsed
from phosphene.data.sources import find, short, there
from tests.data.sharded import picture

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def table(count=6, **more):
    columns = {
        "image": [{"bytes": picture(number), "path": None} for number in range(count)],
        "label": [number % 2 for number in range(count)],
        "caption": [[f"picture {number}", "a picture"] for number in range(count)],
        **more,
    }
    features = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
        "caption": datasets.List(datasets.Value("string")),
        **{name: datasets.Value("string") for name in more},
    }
    return datasets.Dataset.from_dict(columns, datasets.Features(features))


def whole(source, count=6):
    assert [source.read(number) for number in range(count)] == [picture(number) for number in range(count)]
    assert source.classes == ("cat", "dog")
    assert source.labels == tuple(number % 2 for number in range(count))
    assert source.captions == tuple((f"picture {number}", "a picture") for number in range(count))


def test_a_saved_table(tmp_path):
    table().save_to_disk(tmp_path / "set")
    source = find(f"hub:{tmp_path}/set")
    whole(source)
    assert source.names == tuple("012345")
    data = prepare(source, 16)
    assert (data.report.used, data.channels) == (6, 3)


def test_splits(tmp_path):
    datasets.DatasetDict({"train": table(), "test": table(2)}).save_to_disk(tmp_path / "set")
    whole(find(f"hub:{tmp_path}/set"))
    whole(find(f"hub:{tmp_path}/set:test"), 2)
    with pytest.raises(ValueError, match=r"no split 'other'; there are train, test: hub:.*:SPLIT$"):
        find(f"hub:{tmp_path}/set:other")


def test_parquet_as_the_hub_has_it(tmp_path):
    (tmp_path / "set" / "data").mkdir(parents=True)
    table().to_parquet(tmp_path / "set" / "data" / "train-00000-of-00001.parquet")
    whole(find(f"hub:{tmp_path}/set"))


def test_an_image_folder_through_the_library(tmp_path):
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    lines = [{"file_name": f"{number}.jpg", "text": f"picture {number}"} for number in range(3)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = find(f"hub:{tmp_path}/set")
    contents = [source.read(number) for number in range(3)]
    assert [c if isinstance(c, bytes) else c.read_bytes() for c in contents] == [picture(n) for n in range(3)]
    assert source.captions == tuple((f"picture {number}",) for number in range(3))


def test_columns_are_named_or_found(tmp_path):
    words = [f"alt {number}" for number in range(6)]
    table(alt=words, kind=list("xyzxyz")).save_to_disk(tmp_path / "set")
    source = find(f"hub:{tmp_path}/set", Columns("alt", "kind"))
    assert source.captions == tuple((word,) for word in words)
    assert source.classes == ("x", "y", "z")
    with pytest.raises(
        ValueError, match=r"^data.text_column 'no': no such column of .*; there are image, lab"
    ):
        find(f"hub:{tmp_path}/set", Columns("no"))


def test_missing_values(tmp_path):
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["a"]))
    images = [{"bytes": picture(0), "path": None}, None, {"bytes": picture(2), "path": None}]
    rows = {"image": images, "label": [0, None, -1]}
    datasets.Dataset.from_dict(rows, features).save_to_disk(tmp_path / "set")
    source = find(f"hub:{tmp_path}/set")
    assert (source.labels, source.captions) == ((0, -1, -1), None)
    assert source.read(1) == b""
    assert [name for name, _ in prepare(source, 16).report.unreadable] == ["1"]


def test_a_path_in_a_row_is_not_followed_out_of_the_set(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(picture(0))
    rows = {"image": [{"bytes": None, "path": str(tmp_path / "secret.jpg")}]}
    saved = datasets.Dataset.from_dict(rows, datasets.Features(image=datasets.Image(decode=False)))
    (tmp_path / "set").mkdir()
    saved.to_parquet(
        tmp_path / "set" / "train.parquet",
    )
    source = find(f"hub:{tmp_path}/set")
    assert source.read(0) == b""


def test_no_script_runs(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "set.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ValueError, match=r"cannot be loaded: |its format is") as caught:
        find(f"hub:{tmp_path}/set")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_formats_that_are_not_pictures_as_plain_data(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.txt").write_text("words")
    with pytest.raises(ValueError, match=r"its format is text; accepted are parquet, arrow, imagefolder"):
        find(f"hub:{tmp_path}/set")
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"of the columns, one must hold pictures; there are none$"):
        find(f"hub:{tmp_path}/table")


def test_names(tmp_path, monkeypatch):
    assert parsed("hub:owner/name") == ("owner/name", None, "train")
    assert parsed("hub:owner/name:test") == ("owner/name", None, "test")
    assert parsed("hub:owner/name:large:test") == ("owner/name", "large", "test")
    for wrong in ("hub:", "hub:name", "hub:pandas", "hub:a/b/c", "hub:a/b:", "hub:a/b:c:d:e"):
        with pytest.raises(ValueError, match="give hub:OWNER/NAME or hub:FOLDER"):
            parsed(wrong)
    (tmp_path / "set").mkdir()
    monkeypatch.chdir(tmp_path)
    assert everywhere("hub:set:test") == f"hub:{tmp_path}/set:test"
    assert everywhere("hub:owner/name:test") == "hub:owner/name:test"
    assert (short("hub:owner/name:test"), there("hub:owner/name")) == ("name", True)


def test_the_network_is_not_there():
    with pytest.raises(ValueError, match=r"^hub:owner/name cannot be loaded: "):
        find("hub:owner/name")


def test_pairs_as_instruct_pix2pix_has_them(tmp_path):
    columns = {
        "input_image": [{"bytes": picture(number), "path": None} for number in range(3)],
        "edit_prompt": ["make it red", "remove it", "add one"],
        "edited_image": [{"bytes": picture(number + 3), "path": None} for number in range(3)],
    }
    image = datasets.Image()
    features = {"input_image": image, "edit_prompt": datasets.Value("string"), "edited_image": image}
    datasets.Dataset.from_dict(columns, datasets.Features(features)).save_to_disk(tmp_path / "set")
    source = find(f"hub:{tmp_path}/set", Columns(pairs=True))
    assert source.names == ("0", "1", "2", "0 input_image", "1 input_image", "2 input_image")
    assert [source.read(number) for number in range(6)] == [picture(number) for number in (3, 4, 5, 0, 1, 2)]
    assert source.before == (3, 4, 5, -1, -1, -1)
    assert source.captions == (("make it red",), ("remove it",), ("add one",), (), (), ())
    assert prepare(source, 16).learned.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"there are several of them .*; data.image_column says which$"):
        find(f"hub:{tmp_path}/set")


def test_of_several_columns_of_pictures_one_is_named(tmp_path):
    """As MagicBrush has them: the picture before, a mask, the picture after."""
    image = datasets.Image()
    names = ("source_img", "mask_img", "target_img")
    columns = {
        name: [{"bytes": picture(3 * number + i), "path": None} for number in range(2)]
        for i, name in enumerate(names)
    }
    features = dict.fromkeys(names, image) | {"instruction": datasets.Value("string")}
    table = datasets.Dataset.from_dict(columns | {"instruction": ["one", "two"]}, datasets.Features(features))
    table.save_to_disk(tmp_path / "set")
    named = Columns(pairs=True, before="source_img", image="target_img")
    source = find(f"hub:{tmp_path}/set", named)
    assert [source.read(number) for number in range(4)] == [picture(number) for number in (2, 5, 0, 3)]
    assert (source.before, source.captions) == ((2, 3, -1, -1), (("one",), ("two",), (), ()))
    assert find(f"hub:{tmp_path}/set", Columns(image="mask_img")).read(1) == picture(4)
    with pytest.raises(
        ValueError, match=r"^data.image_column 'other': no pictures of .*; there are source_img,"
    ):
        find(f"hub:{tmp_path}/set", Columns(image="other"))
