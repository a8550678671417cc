import json
import random
import shutil
import subprocess
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phosphene.data import shards
from phosphene.data.annotations import USUAL, Columns
from phosphene.data.shards import Member, expanded, members, plain
from phosphene.data.source import ALONE, Source
from phosphene.data.sources import everywhere, find, short, there
from tests.data.sharded import picture, shard


def contents(source: Source) -> dict[str, bytes | None]:
    read = [source.read(number) for number in range(len(source.names))]
    return {
        name: content if isinstance(content, bytes) else None
        for name, content in zip(source.names, read, strict=True)
    }


def test_members_of_one_key_belong_together(tmp_path):
    shard(
        tmp_path / "set" / "00.tar",
        {
            "0.jpg": picture(0),
            "0.txt": "a red hat\nsomebody's hat\n",
            "0.cls": "3\n",
            "deep/0.png": picture(1, kind="PNG"),
            "deep/0.json": json.dumps({"caption": ["one", "two"], "label": "x", "width": 7}),
            ".hidden.jpg": b"",
            "notes.npy": b"pickle?",
        },
    )
    shard(tmp_path / "set" / "01.tar", {"0.webp": picture(2, kind="WEBP"), "0.caption": "  "})
    source = find(tmp_path / "set")
    assert source.names == ("00.tar/0.jpg", "00.tar/deep/0.png", "01.tar/0.webp")
    assert list(contents(source).values()) == [picture(0), picture(1, kind="PNG"), picture(2, kind="WEBP")]
    assert source.captions == (("a red hat", "somebody's hat"), ("one", "two"), ())
    assert source.blank == ("01.tar/0.webp",)
    assert (source.classes, source.labels) == (("3", "x"), (0, 1, -1))
    assert (source.ignored, source.problems) == ({".npy": 1}, ())
    same = find(f"{tmp_path}/set/{{00..01}}.tar")
    assert (same.names, same.captions, same.labels) == (source.names, source.captions, source.labels)
    assert find(tmp_path / "set" / "01.tar").names == ("01.tar/0.webp",)


def test_pairs_are_told_by_their_names(tmp_path):
    shard(
        tmp_path / "set" / "00.tar",
        {
            "0.before.png": picture(0, kind="PNG"),
            "0.png": picture(1, kind="PNG"),
            "0.txt": "make it blue",
            "deep/0.after.jpg": picture(2),
            "deep/0.input_image.jpg": picture(3),
            "deep/0.json": json.dumps({"text": "a hat", "edit_prompt": "a red hat"}),
            "1.jpg": picture(4),
            "1.txt": "nothing was done",
            "2.source.jpg": picture(5),
            "3.source.jpg": picture(6),
            "3.before.jpg": picture(7),
            "3.jpg": picture(8),
        },
    )
    source = find(tmp_path / "set", Columns(pairs=True))
    assert source.names == (
        *("00.tar/0.before.png", "00.tar/0.png"),
        *("00.tar/deep/0.input_image.jpg", "00.tar/deep/0.after.jpg"),
        "00.tar/1.jpg",
        *("00.tar/3.source.jpg", "00.tar/3.jpg"),
    )
    assert source.before == (ALONE, 0, ALONE, 2, ALONE, ALONE, 5)
    assert source.captions == ((), ("make it blue",), (), ("a red hat",), (), (), ())
    read = list(contents(source).values())
    assert read == [picture(0, kind="PNG"), picture(1, kind="PNG"), *map(picture, (3, 2, 4, 6, 8))]
    assert source.problems == (
        "00.tar: 1 pictures have the key of one before; left out",
        "00.tar: 1 pairs lack what came after, the first 2",
    )
    assert find(tmp_path / "set").before is None
    named = find(tmp_path / "set", Columns(pairs=True, before="source"))
    assert [named.names[one] for one in named.before or () if one != ALONE] == ["00.tar/3.source.jpg"]


def test_shards_without_pairs(tmp_path):
    shard(tmp_path / "a.tar", {"0.jpg": picture(0), "0.txt": "a hat"})
    with pytest.raises(
        ValueError, match=r"^data.pairs: no picture of .*in shards by its name, 0007.source.jpg"
    ):
        find(tmp_path, Columns(pairs=True))


def test_named_columns(tmp_path):
    shard(tmp_path / "a.tar", {"0.jpg": picture(0), "0.json": '{"alt": "said", "text": "no", "kind": 4}'})
    source = find(tmp_path, Columns("alt", "kind"))
    assert (source.captions, source.classes) == ((("said",),), ("4",))
    with pytest.raises(ValueError, match=r"^data.text_column 'other': no picture of .* has such a field$"):
        find(tmp_path, Columns("other"))


def test_what_is_odd_is_said(tmp_path):
    shard(
        tmp_path / "a.tar",
        {
            "0.jpg": picture(0),
            "0.mask.png": picture(1),
            "0.json": "{",
            "1.jpg": picture(1),
            "1.txt": b"\xff\xfe",
            "2.txt": "no picture",
            "../../etc/pass\nwd.jpg": picture(3),
        },
    )
    source = find(tmp_path)
    assert source.names == ("a.tar/0.jpg", "a.tar/1.jpg", r"a.tar/../../etc/pass\nwd.jpg")
    assert source.problems == (
        "a.tar/0.json is not JSON",
        "a.tar/1.txt is not UTF-8 text",
        "a.tar: 1 pictures have the key of one before; left out",
        "a.tar: 1 keys have no picture, the first 2",
    )
    assert source.captions is None


def test_many_problems_are_counted(tmp_path):
    shard(tmp_path / "a.tar", {f"{n}.{kind}": picture(0) for n in range(15) for kind in ("jpg", "json")})
    problems = find(tmp_path).problems
    assert len(problems) == shards.SAID + 1
    assert problems[-1] == "a.tar: 5 further problems"


def test_links_and_devices_are_no_pictures(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind, name in ((tarfile.SYMTYPE, "link.jpg"), (tarfile.CHRTYPE, "device.jpg")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    shard(tmp_path / "b.tar", {"0.jpg": picture(0)})
    source = find(tmp_path)
    assert source.names == ("b.tar/0.jpg",)
    assert source.problems == tuple(
        f"a.tar/{name}.jpg: no regular file, left out" for name in ("link", "device")
    )


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_every_form_of_tar(tmp_path, tmp_path_factory, form):
    name = "x" * 90 + "/" + "ü" * (40 if form == tarfile.USTAR_FORMAT else 60) + ".jpg"
    file = tmp_path_factory.mktemp("elsewhere") / "p"
    file.write_bytes(picture(5))
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        tar.add(file, name)
        tar.add(file, "short.jpg")
    assert contents(find(tmp_path)) == {f"a.tar/{name}": picture(5), "a.tar/short.jpg": picture(5)}


CLEAN = {f"{number}.{kind}": picture(number) for number in range(6) for kind in ("jpg", "txt")}


@given(st.integers(0, 10**6))
def test_of_a_shard_that_is_cut_off_the_whole_members_are_used(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "a.tar"
    places = shard(path, CLEAN)
    whole = path.read_bytes()
    cut %= len(whole)
    path.write_bytes(whole[:cut])
    problems: list[str] = []
    found = [member.name for member in members(path, "a.tar", problems)]
    assert found == [name for name, place in places.items() if place + 512 + len(CLEAN[name]) <= cut]
    end = places["5.txt"] + 512 + len(CLEAN["5.txt"])
    assert len(problems) <= 1
    inside = any(place < cut < place + 512 + len(CLEAN[name]) for name, place in places.items())
    assert bool(problems) == inside or cut == 0 or cut > end or not inside


@given(st.sampled_from(sorted(CLEAN)[1:-1]), st.integers(0, 511), st.integers(1, 255))
def test_of_a_shard_with_a_damaged_header_all_other_members_are_used(tmp_path_factory, which, byte, change):
    path = tmp_path_factory.mktemp("bad") / "a.tar"
    places = shard(path, CLEAN)
    whole = bytearray(path.read_bytes())
    whole[places[which] + byte] = (whole[places[which] + byte] + change) % 256
    path.write_bytes(whole)
    problems: list[str] = []
    found = {member.name: member for member in members(path, "a.tar", problems)}
    rest = set(CLEAN) - {which}
    assert rest <= set(found) or problems
    for name in rest & set(found):
        at = found[name]
        assert bytes(whole[at.offset : at.offset + at.size]) == CLEAN[name]
    if not 148 <= byte < 156:  # not the sum itself, which has more than one form
        assert rest == set(found)
        end = places[which] + 512 + -(-len(CLEAN[which]) // 512) * 512
        assert problems == [f"a.tar: damaged from byte {places[which]:,} to {end:,}"]


@given(st.binary(max_size=3000))
@settings(max_examples=60)
def test_any_bytes_are_members_or_a_problem(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.tar"
    path.write_bytes(content)
    problems: list[str] = []
    assert list(members(path, "a.tar", problems)) == []
    assert len(problems) <= 1


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0"])
def test_claimed_sizes_are_not_believed(tmp_path, size):
    """Negative, beyond all files, and more than there is: nothing is read by them, and nothing hangs."""
    for kind in (b"0", b"L", b"x"):
        path = tmp_path / "a.tar"
        shard(path, {"0.jpg": picture(0), "1.jpg": picture(1)})
        whole = bytearray(path.read_bytes())
        second = 512 + -(-len(picture(0)) // 512) * 512
        header = whole[second : second + 512]
        header[124:136], header[156:157], header[148:156] = size, kind, b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        whole[second : second + 512] = header
        path.write_bytes(whole)
        problems: list[str] = []
        assert [member.name for member in members(path, "a.tar", problems)] == ["0.jpg"]
        assert len(problems) == 1


def test_a_picture_that_is_too_large_is_left_out(tmp_path, monkeypatch):
    shard(tmp_path / "a.tar", {"0.jpg": b"1234", "1.jpg": b"123", "1.txt": "12345"})
    monkeypatch.setattr(shards, "LARGEST", 3)
    monkeypatch.setattr(shards, "LONGEST", 600)
    source = find(tmp_path)
    assert source.names == ("a.tar/1.jpg",)
    assert source.problems == ("a.tar/0.jpg: 4 bytes, over 3",)


def test_a_name_is_one_line_and_no_two_are_the_same():
    names = ["a\nb", "a\\nb", "a\udcffb", "a\\udcffb", "ü", "a\u202eb"]
    assert len({plain(name) for name in names}) == len(names)
    assert all(plain(name).isprintable() for name in names)
    assert plain("ü b") == "ü b"


words = st.text("abc019._-/", max_size=4)
groups = st.one_of(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: "{{{}..{}}}".format(*pair)),
    st.tuples(st.integers(0, 9), st.integers(0, 120)).map(lambda pair: "{{{:03}..{}}}".format(*pair)),
    st.lists(words, min_size=2, max_size=3).map(lambda each: "{" + ",".join(each) + "}"),
    words.map(lambda each: "{" + each + "}"),
)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is the reference")
def test_patterns_are_a_shells():
    """Many in one call of bash, which takes milliseconds to start."""
    patterns: list[str] = []

    @given(st.lists(st.one_of(words, groups), max_size=2).map("".join))
    @settings(max_examples=200)
    def collect(pattern: str) -> None:
        patterns.append(f"x{pattern}.tar")

    collect()
    script = "; ".join(f"printf '%s ' {pattern}; echo" for pattern in patterns)
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    for pattern, line in zip(patterns, said.splitlines(), strict=True):
        assert expanded(pattern) == line.split(" ")[:-1], pattern
    assert len(set(patterns)) > 100


@pytest.mark.parametrize("pattern", ["{0..999999999999}.tar", "{0..999}{0..999}.tar", "{000..999999}x.tar"])
def test_patterns_are_bounded(pattern):
    with pytest.raises(ValueError, match=r"names more than 100,000 files$"):
        expanded(pattern)


def test_names_of_shards(tmp_path, monkeypatch):
    shard(tmp_path / "set" / "0.tar", {"0.jpg": picture(0)})
    monkeypatch.chdir(tmp_path)
    pattern = "set/{0..1}.tar"
    assert not there(pattern)
    with pytest.raises(ValueError, match=r"1 of 2 shards are missing, the first set/1.tar$"):
        find(pattern)
    shard(tmp_path / "set" / "1.tar", {"0.jpg": picture(0)})
    assert there(pattern)
    assert there("set")
    assert everywhere(pattern) == f"{tmp_path}/set/{{0..1}}.tar"
    assert (short("set/train"), short("set/train/0.tar")) == ("set", "0")
    assert (short(pattern), short("set/0.tar"), short("set"), short("digits")) == (
        "set",
        "0",
        "set",
        "digits",
    )


def test_shards_without_pictures(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar " * 1000)
    with pytest.raises(ValueError, match=r"holds no picture: a.tar: "):
        find(tmp_path)


def test_tar_files_beside_pictures_are_said(tmp_path):
    shard(tmp_path / "a.tar", {"0.jpg": picture(0)})
    (tmp_path / "b.jpg").write_bytes(picture(1))
    source = find(tmp_path)
    assert source.names == ("b.jpg",)
    assert source.problems == ("1 .tar files beside pictures: give shards a folder of their own",)


def test_any_order_of_reading_is_the_same(tmp_path):
    shard(tmp_path / "a.tar", {f"{number}.jpg": picture(number) for number in range(20)})
    source = find(tmp_path)
    order = list(range(20))
    random.Random(0).shuffle(order)
    assert [source.read(number) for number in order] == [picture(number) for number in order]
    assert shards.shards("a", [str(tmp_path / "a.tar")] * 2, USUAL).names == source.names
    assert Member("a", 1, 2) == ("a", 1, 2)
