import csv
import io
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from phosphene.data.annotations import Row, Said, read_metadata
from phosphene.data.source import natural
from phosphene.data.sources import find
from phosphene.pictures.opening import open_picture


def draw(root, *names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(root / name, "PNG")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def captions(source):
    """The caption of each picture, of which it has at most one."""
    assert source.captions is not None
    assert max(map(len, source.captions)) == 1
    return {name: (*said, None)[0] for name, said in zip(source.names, source.captions, strict=True)}


def labels(source):
    return {
        n: source.classes[i] if i >= 0 else None for n, i in zip(source.names, source.labels, strict=True)
    }


def test_any_depth_sorted_hidden_ignored(tmp_path):
    draw(tmp_path, "b.png", "a/x.PNG", "a/deep/er/y.jpg", ".hidden.png", ".git/z.png", "a/.z/y.png")
    source = find(tmp_path)
    assert source.names == ("a/deep/er/y.jpg", "a/x.PNG", "b.png")
    assert [source.read(i) for i in range(3)] == [tmp_path / name for name in source.names]
    assert (source.labels, source.classes, source.captions) == (None, (), None)
    assert find(str(tmp_path)).names == source.names


def test_other_files_are_counted_and_pictures_of_any_suffix_are_found(tmp_path):
    draw(tmp_path, "a.png", "no_suffix", "odd.xyz")
    for name in ("n.txt", "n.json", "n.csv", "a.mp4", "b.mp4", "c.pdf", "LICENSE"):
        write(tmp_path / name, "words")
    write(tmp_path / "broken.png", "words")
    source = find(tmp_path)
    assert source.names == ("a.png", "broken.png", "no_suffix", "odd.xyz")
    assert source.ignored == {".mp4": 2, ".pdf": 1, "no suffix": 1}


def test_link_loops_end_and_no_folder_is_met_twice(tmp_path):
    draw(tmp_path, "a/x.png", "b/y.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path / "a")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    assert find(tmp_path).names == ("a/x.png", "b/y.png")


def test_links_to_pictures_and_folders_elsewhere_are_followed(tmp_path):
    draw(tmp_path, "elsewhere/x.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "y.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    assert find(root).names == ("folder/x.png", "y.png")


def test_a_pipe_is_no_picture(tmp_path):
    draw(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert find(tmp_path).names == ("a.png",)


def test_classes_are_first_level_folders_in_natural_order(tmp_path):
    draw(tmp_path, "class10/a.png", "class2/b.png", "class2/deep/c.png", "Class1/d.png")
    source = find(tmp_path)
    assert source.classes == ("Class1", "class2", "class10")
    assert labels(source) == {
        "Class1/d.png": "Class1",
        "class10/a.png": "class10",
        "class2/b.png": "class2",
        "class2/deep/c.png": "class2",
    }


@pytest.mark.parametrize("names", [("one/a.png", "one/b.png"), ("one/a.png", "two/b.png", "c.png")])
def test_one_folder_or_loose_pictures_are_no_classes(tmp_path, names):
    draw(tmp_path, *names)
    assert find(tmp_path).labels is None


def test_natural_order():
    assert sorted(["b", "a10", "a9", "A1", "10", "9", "a"], key=natural) == [
        "9",
        "10",
        "a",
        "A1",
        "a9",
        "a10",
        "b",
    ]


def test_captions_from_txt(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.d.png", "e.png")
    write(tmp_path / "a.txt", "\ufeff a red hat\n")
    write(tmp_path / "c.d.txt", "näh")
    write(tmp_path / "e.txt", b"\xff\xfe\xff")
    write(tmp_path / "README.txt", "not a caption")
    source = find(tmp_path)
    assert captions(source) == {"a.png": "a red hat", "b.png": None, "c.d.png": "näh", "e.png": None}
    assert source.problems == ("e.txt is not UTF-8 text",)


def test_blank_captions_are_none_and_known(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.png", "d.png", "e.png")
    write(tmp_path / "a.txt", " \n")
    write(tmp_path / "c.txt", "beside")
    lines = [{"file_name": "b.png", "text": "  "}, {"file_name": "c.png", "text": ""}, {"file_name": "d.png"}]
    write(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, lines)))
    source = find(tmp_path)
    assert captions(source) == {"a.png": None, "b.png": None, "c.png": "beside", "d.png": None, "e.png": None}
    assert source.blank == ("a.png", "b.png")


def test_captions_and_labels_from_metadata(tmp_path):
    draw(tmp_path, "a.png", "s/b.png", "s/c.png", "d.png")
    lines = [
        {"file_name": "a.png", "text": " one\u2028two ", "label": 3},
        {"file_name": "s/b.png", "text": "top"},
    ]
    write(tmp_path / "metadata.jsonl", "\n\n".join(json.dumps(x, ensure_ascii=False) for x in lines) + "\r\n")
    write(tmp_path / "s/metadata.csv", 'file_name,text,label\nb.png,"near, ""by""",12\n./c.png,,x\n')
    source = find(tmp_path)
    assert captions(source) == {
        "a.png": "one\u2028two",
        "s/b.png": 'near, "by"',
        "s/c.png": None,
        "d.png": None,
    }
    assert source.classes == ("3", "12", "x")
    assert labels(source) == {"a.png": "3", "s/b.png": "12", "s/c.png": "x", "d.png": None}
    assert source.problems == ()


def test_metadata_beats_txt_and_its_labels_beat_folders(tmp_path):
    draw(tmp_path, "p/a.png", "q/b.png")
    write(tmp_path / "p/a.txt", "beside")
    write(tmp_path / "q/b.txt", "beside")
    write(tmp_path / "metadata.csv", "file_name,text,label\np/a.png,said,z\n")
    source = find(tmp_path)
    assert captions(source) == {"p/a.png": "said", "q/b.png": "beside"}
    assert labels(source) == {"p/a.png": "z", "q/b.png": "q"}


def test_rows_without_pictures_are_problems(tmp_path):
    draw(tmp_path, "a.png")
    rows = ["a.png", "b.png", "../c.png", "/etc/passwd", "a.png"]
    write(tmp_path / "metadata.csv", "file_name,text\n" + "".join(f"{n},t{i}\n" for i, n in enumerate(rows)))
    source = find(tmp_path)
    assert source.problems == ("metadata.csv: 3 rows name no picture here, the first b.png",)
    assert source.captions == (("t0", "t4"),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.jsonl", '{"file_name": "a.png"}\n{"file', "s/metadata.jsonl line 2: not JSON"),
        ("metadata.jsonl", "\n\n" + "[" * 100000, "s/metadata.jsonl line 3: not JSON"),
        ("metadata.jsonl", "[1]", "s/metadata.jsonl line 1: not a JSON object"),
        ("metadata.jsonl", '{"text": "x"}', "s/metadata.jsonl line 1: file_name None is not"),
        (
            "metadata.jsonl",
            '{"file_name": "a", "text": 3}',
            "s/metadata.jsonl line 1: text 3 is not a string",
        ),
        (
            "metadata.jsonl",
            '{"file_name": "a", "label": true}',
            "s/metadata.jsonl line 1: label True is neither",
        ),
        ("metadata.jsonl", b'{"file_name": "a"}\n\xff', "s/metadata.jsonl line 2: not UTF-8 text"),
        ("metadata.csv", "name,text\na.png,x\n", "s/metadata.csv line 1: no column file_name"),
        ("metadata.csv", "", "s/metadata.csv line 1: no column file_name"),
        ("metadata.csv", "file_name,text\na.png,x,y\n", "s/metadata.csv line 2: more fields than columns"),
        ("metadata.csv", 'file_name,text\na.png,x\nb.png,"x', "s/metadata.csv line 3: not CSV"),
        ("metadata.csv", "file_name,text\n,x\n", "s/metadata.csv line 2: file_name None is not"),
        ("metadata.csv", f"file_name,text\na,{'x' * 200000}\n", "s/metadata.csv line 2: not CSV"),
    ],
)
def test_broken_metadata_names_file_and_line(tmp_path, name, content, message):
    draw(tmp_path, "s/a.png")
    write(tmp_path / "s" / name, content)
    with pytest.raises(ValueError, match="^" + message) as caught:
        find(tmp_path)
    assert "\n" not in str(caught.value)


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1)
names = plain.filter(lambda name: name not in (".", ".."))
rows = st.lists(st.tuples(names, st.none() | plain, st.none() | plain | st.integers()), max_size=5)


def expected(rows):
    def captions(text):
        return None if text is None else (text.strip(),) if text.strip() else ()

    def kept(label):
        return None if label is None else str(label).strip() or None

    return [Row(f"s/{name}", Said(captions(text), kept(label))) for name, text, label in rows]


@given(rows)
def test_any_jsonl_comes_back(rows):
    lines = [{"file_name": name, "text": text, "label": label, "more": [1]} for name, text, label in rows]
    for ascii_only in (True, False):
        content = "\n".join(json.dumps(line, ensure_ascii=ascii_only) for line in lines).encode()
        assert read_metadata("s/metadata.jsonl", content) == expected(rows)


@given(rows)
def test_any_csv_comes_back(rows):
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([["label", "file_name", "text"], *((label, name, text) for name, text, label in rows)])
    assert read_metadata("s/metadata.csv", file.getvalue().encode()) == expected(rows)


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda t: ("file_name,text\n" + t).encode(errors="ignore"))
)
def test_any_bytes_are_rows_or_one_line_of_reason(content):
    for name in ("metadata.jsonl", "metadata.csv"):
        try:
            assert all(isinstance(row, Row) for row in read_metadata(name, content))
        except ValueError as error:
            assert str(error).startswith(f"{name} line ")  # noqa: PT017 (either outcome is right)


def test_digits():
    source = find("digits")
    pixels, target = load_digits(return_X_y=True)
    assert len(source.names) == 1797
    assert source.classes == tuple("0123456789")
    assert source.labels == tuple(target)
    for number in (0, 1000, 1796):
        opened = open_picture(source.read(number))
        assert opened.image.mode == "L"
        assert np.array_equal(
            np.asarray(opened.image), np.round(pixels[number].reshape(8, 8) * 255 / 16 + 1e-9)
        )


def test_a_folder_wins_over_a_bundled_name(tmp_path, monkeypatch):
    draw(tmp_path, "digits/a.png")
    monkeypatch.chdir(tmp_path)
    assert find("digits").names == ("a.png",)


def test_errors_say_what_to_give(tmp_path):
    with pytest.raises(ValueError, match=r"^no folder 'digit': did you mean the bundled set 'digits'\?$"):
        find("digit")
    with pytest.raises(ValueError, match=r"^no folder '/nowhere/at/all': bundled sets are: digits$"):
        find("/nowhere/at/all")
    with pytest.raises(ValueError, match=r"is empty: give a folder of pictures$"):
        find(tmp_path)
    write(tmp_path / "notes.txt", "x")
    write(tmp_path / "film.mp4", "x")
    with pytest.raises(ValueError, match=r"holds no picture, only 2 other files \(.mp4, .txt\)$"):
        find(tmp_path)
    with pytest.raises(ValueError, match=r"notes.txt is a file: give the folder that holds it$"):
        find(tmp_path / "notes.txt")
