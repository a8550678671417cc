import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from phosphene.pictures.embedded import read_settings, write_png

IMAGE = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), values, max_size=4))
def test_settings_come_back_and_the_picture_too(tmp_path, given_settings):
    path = tmp_path / "picture.png"
    write_png(IMAGE, path, given_settings)
    assert read_settings(path) == given_settings
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), np.asarray(IMAGE))
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


def test_keys_are_sorted_and_other_programs_can_read_them(tmp_path):
    write_png(IMAGE, tmp_path / "a.png", {"b": "ä", "a": [1]})
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["phosphene"] == '{"a": [1], "b": "\\u00e4"}'


def test_a_chunk_after_the_pixels_and_among_others_is_found(tmp_path):
    write_png(IMAGE, tmp_path / "a.png", {"seed": 7})
    data = (tmp_path / "a.png").read_bytes()
    start = data.index(b"tEXtphosphene") - 4
    length = struct.unpack(">I", data[start : start + 4])[0] + 12
    text, rest = data[start : start + length], data[:start] + data[start + length :]
    note = b"tEXtComment\0phosphene"
    other = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    short = struct.pack(">I", 2) + b"tEXta\0" + struct.pack(">I", zlib.crc32(b"tEXta\0"))
    (tmp_path / "b.png").write_bytes(rest[:-12] + short + other + text + rest[-12:])
    assert read_settings(tmp_path / "b.png") == {"seed": 7}


def with_text(path, text):
    info = PngInfo()
    info.add_text("phosphene", text)
    IMAGE.save(path, pnginfo=info)
    return path


def test_errors_of_reading(tmp_path):
    IMAGE.save(tmp_path / "plain.png")
    with pytest.raises(ValueError, match=r"^plain.png holds no phosphene settings$"):
        read_settings(tmp_path / "plain.png")
    IMAGE.save(tmp_path / "photo.jpg")
    with pytest.raises(ValueError, match=r"^photo.jpg is not a PNG$"):
        read_settings(tmp_path / "photo.jpg")
    for text in ("{broken", "[" * 60000):
        with pytest.raises(ValueError, match="settings are not JSON"):
            read_settings(with_text(tmp_path / "x.png", text))
    with pytest.raises(ValueError, match="settings are not a JSON object"):
        read_settings(with_text(tmp_path / "x.png", "[1]"))
    with pytest.raises(ValueError, match="over 65,536 bytes"):
        read_settings(with_text(tmp_path / "x.png", '{"a": "' + "x" * 70000 + '"}'))
    with pytest.raises(FileNotFoundError):
        read_settings(tmp_path / "none.png")


def test_a_damaged_or_cut_chunk_is_an_error(tmp_path):
    write_png(IMAGE, tmp_path / "a.png", {"seed": 7})
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data.replace(b'"seed": 7', b'"seed": 8'))
    with pytest.raises(ValueError, match="settings are damaged"):
        read_settings(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(data[: data.index(b"seed")])
    with pytest.raises(ValueError, match="settings are damaged"):
        read_settings(tmp_path / "c.png")


def test_errors_of_writing_leave_nothing_behind(tmp_path):
    for wrong in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(ValueError, match=r"settings for a.png are not JSON"):
            write_png(IMAGE, tmp_path / "a.png", wrong)
    with pytest.raises(ValueError, match=r"take 70,009 bytes: at most 65,536 fit"):
        write_png(IMAGE, tmp_path / "a.png", {"a": "x" * 70000})
    with pytest.raises(OSError, match="cannot write mode F"):
        write_png(Image.new("F", (2, 2)), tmp_path / "a.png", {})
    assert list(tmp_path.iterdir()) == []
