import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.annotations import BESIDE, Columns, Said, read_beside, read_metadata, said
from phosphene.data.sources import find
from tests.data.test_sources import draw, write


def captions(folder, columns=None):
    source = find(folder) if columns is None else find(folder, columns)
    assert source.captions is not None
    return dict(zip(source.names, source.captions, strict=True))


def test_files_beside_pictures_in_every_convention(tmp_path):
    draw(tmp_path, *(f"{letter}.png" for letter in "abcdefgh"))
    write(tmp_path / "a.txt", "1girl, red hat, smile\n")  # as kohya-ss's tools write
    write(tmp_path / "b.txt", "one way to say it\n\nanother\none way to say it\n")
    write(tmp_path / "c.caption", "a caption")
    write(tmp_path / "d.json", json.dumps({"caption": "said", "tags": "not, this", "label": 3}))
    write(tmp_path / "e.json", json.dumps({"tags": ["1girl", "red hat"]}))
    write(tmp_path / "f.json", json.dumps(["one", "two"]))
    write(tmp_path / "g.json", json.dumps("one"))
    write(tmp_path / "h.cls", "7")
    assert captions(tmp_path) == {
        "a.png": ("1girl, red hat, smile",),
        "b.png": ("one way to say it", "another"),
        "c.png": ("a caption",),
        "d.png": ("said",),
        "e.png": ("1girl, red hat",),
        "f.png": ("one", "two"),
        "g.png": ("one",),
        "h.png": (),
    }
    source = find(tmp_path)
    assert source.classes == ("3", "7")
    assert source.labels == (-1, -1, -1, 0, -1, -1, -1, 1)
    assert (source.problems, source.blank, source.ignored) == ((), (), {})


def test_who_speaks_first(tmp_path):
    draw(tmp_path, "x/a.png", "y/b.png")
    for suffix in ("txt", "caption"):
        write(tmp_path / f"x/a.{suffix}", suffix)
    write(tmp_path / "x/a.json", '{"text": "json", "label": "json"}')
    write(tmp_path / "x/a.cls", "cls")
    assert captions(tmp_path) == {"x/a.png": ("txt",), "y/b.png": ()}
    assert find(tmp_path).classes == ("json", "y")
    write(tmp_path / "x/a.txt", "  ")
    assert captions(tmp_path)["x/a.png"] == ("caption",)
    write(tmp_path / "metadata.csv", "file_name,text\nx/a.png,said\n")
    assert captions(tmp_path)["x/a.png"] == ("said",)


def test_several_captions_in_metadata(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.png", "d.png")
    lines = [
        {"file_name": "a.png", "text": ["one", " two ", "", "one"]},
        {"file_name": "b.png", "captions": []},
        {"file_name": "c.png", "caption": "first", "label": 1},
        {"file_name": "c.png", "caption": "second", "label": 2},
        {"file_name": "d.png", "caption": "here"},
    ]
    write(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, lines)))
    source = find(tmp_path)
    assert source.captions == (("one", "two"), (), ("first", "second"), ("here",))
    assert source.blank == ("b.png",)
    assert (source.classes, source.labels) == (("2",), (-1, -1, 0, -1))


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    draw(tmp_path, "s/a.png", "s/b.png")
    rows = {"file_name": ["a.png", "b.png"], "text": [["one", "two"], None], "label": [4, None]}
    parquet.write_table(arrow.table(rows), tmp_path / "s" / "metadata.parquet")
    source = find(tmp_path)
    assert (source.captions, source.classes, source.labels) == ((("one", "two"), ()), ("4",), (0, -1))
    assert source.ignored == {}
    write(tmp_path / "s" / "metadata.parquet", b"PAR1 no")
    with pytest.raises(ValueError, match=r"^s/metadata.parquet line 1: not Parquet"):
        find(tmp_path)


def test_named_columns(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    lines = [{"file_name": "a.png", "text": "no", "alt": "yes", "kind": "x"}, {"file_name": "b.png"}]
    write(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, lines)))
    write(tmp_path / "b.json", '{"alt": ["near"]}')
    assert captions(tmp_path, Columns("alt", "kind")) == {"a.png": ("yes",), "b.png": ("near",)}
    assert find(tmp_path, Columns(label="kind")).classes == ("x",)
    with pytest.raises(ValueError, match=r"^data.label_column 'sort': no picture of .* has such a field$"):
        find(tmp_path, Columns(label="sort"))


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_named_column_names_the_pictures(tmp_path, suffix):
    draw(tmp_path, "a.png", "b.png")
    lines = {"jsonl": '{"picture": "a.png", "text": "one"}', "csv": "picture,text\na.png,one"}
    write(tmp_path / f"metadata.{suffix}", lines[suffix])
    assert captions(tmp_path, Columns(image="picture")) == {"a.png": ("one",), "b.png": ()}
    with pytest.raises(ValueError, match=r"line 1: (no column file_name|file_name None is not the name)"):
        find(tmp_path)
    with pytest.raises(ValueError, match=r"line 1: (no column path|path None is not the name)"):
        find(tmp_path, Columns(image="path"))
    (tmp_path / f"metadata.{suffix}").unlink()
    for source in (tmp_path, "digits"):
        with pytest.raises(ValueError, match=r"^data.image_column 'path': .*leave it out$"):
            find(source, Columns(image="path"))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(texts, max_size=4))
def test_any_captions_come_back(texts):
    wanted = tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))
    for value in (texts, {"caption": texts}, {"captions": texts, "text": None}):
        assert read_beside("a.json", json.dumps(value).encode()) == Said(wanted)
    line = json.dumps({"file_name": "a", "text": texts}).encode()
    assert read_metadata("metadata.jsonl", line)[0].said == Said(wanted)
    lines = "\n".join(texts)
    split = tuple(dict.fromkeys(each.strip() for each in lines.split("\n") if each.strip()))
    for suffix in ("txt", "caption"):
        assert read_beside(f"a.{suffix}", b"\xef\xbb\xbf" + lines.encode()) == Said(split)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="ignore")))
def test_any_bytes_are_said_or_one_line_of_reason(content):
    for suffix in BESIDE:
        try:
            assert isinstance(read_beside(f"a.{suffix}", content), Said)
        except ValueError as error:
            assert str(error).startswith(f"a.{suffix}")  # noqa: PT017 (either outcome is right)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "label", "x"]), inner)
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_said_or_one_line_of_reason(value):
    try:
        said = read_beside("a.json", json.dumps(value).encode())
        assert said.captions is None or all(text == text.strip() != "" for text in said.captions)
    except ValueError as error:
        assert str(error).startswith("a.json: ")  # noqa: PT017 (either outcome is right)
        assert "\n" not in str(error)  # noqa: PT017


saids = st.builds(
    Said, st.none() | st.lists(st.sampled_from("abc"), unique=True).map(tuple), st.none() | st.just("x")
)


@given(saids, saids, saids)
def test_precedence_is_associative_and_nothing_is_neutral(one, two, three):
    assert one.before(two).before(three) == one.before(two.before(three))
    assert one.before(Said()) == one == Said().before(one)
    assert one.joined(Said()) == one == Said().joined(one)


def test_half_of_a_character_is_refused_where_it_stands():
    for value in ("a cut \ud83d", ["a cat", "a cut \ud83d"]):
        with pytest.raises(ValueError, match=r"^m.jsonl line 3: text .* holds half of a character: [^\n]*$"):
            said("m.jsonl line 3", {"text": value})
    assert said("m", {"text": "a whole \U0001f600"}).captions == ("a whole \U0001f600",)
