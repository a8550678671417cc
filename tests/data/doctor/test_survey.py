import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from phosphene.data.cache import prepare
from phosphene.data.doctor.survey import LEAST, MODES, PART, survey
from phosphene.data.sources import find
from phosphene.pictures.opening import PictureError, open_picture
from tests.cli.test_photographs import folder as folder  # the fixture
from tests.data.doctor.planted import CROPS, encoded, png, source


def test_the_doctor_and_training_use_the_same_pictures(folder):
    album = find(folder)
    surveyed, data = survey(album), prepare(album, 16)
    assert tuple(album.names[number] for number in surveyed.rows.number) == data.names
    assert surveyed.unreadable == data.report.unreadable
    assert surveyed.formats == {"JPEG": 39, "PNG": 3, "GIF": 1, "WEBP": 1}
    assert {note: data.report.notes[note] for note in surveyed.notes} == surveyed.notes
    found = [MODES[mode] for mode in surveyed.rows.mode]
    assert {mode: found.count(mode) for mode in set(found)} == {"RGB": 41, "L": 2, "RGBA": 1}


def test_what_is_kept_of_a_picture():
    turned = Image.Exif()
    turned[0x0112] = 6
    wide = Image.new("RGB", (800, 400), (200, 100, 50))
    half = np.zeros((64, 64), np.uint8)
    half[:, 32:] = 200
    files = {
        "a.jpg": encoded(wide, "JPEG", exif=turned, quality=95),
        "b.png": png(Image.fromarray(half)),
        "c.png": png(Image.new("RGBA", (5, 7), (0, 0, 0, 0))),
    }
    rows = survey(source(files), threads=2).rows
    assert (rows.width.tolist(), rows.height.tolist()) == ([400, 64, 5], [800, 64, 7])
    assert rows.length.tolist() == [len(content) for content in files.values()]
    assert rows.spread.tolist() == [0, 100, 0]
    assert rows.level.tolist() == [124, 100, 255]  # what is transparent lies over white
    assert np.abs(rows.colour[0].astype(int) - (200, 100, 50)).max() <= 2
    assert np.abs(rows.grey[0].astype(int) - 124).max() <= 2
    assert rows.grey[1, :, :15].max() == 0
    assert rows.grey[1, :, 17:].min() == 200
    assert rows.coloured.tolist() == [rows.coloured[0], 0, 0]
    assert 145 <= rows.coloured[0] <= 155


def test_parts_lie_end_to_end_and_progress_counts_all():
    files = {f"{i:03}.png": png(Image.new("L", (8, 8), i)) for i in range(2 * PART + 3)}
    files["040.png"] = b"no picture"
    said: list[tuple[int, int]] = []
    surveyed = survey(source(files), 3, lambda done, total: said.append((done, total)))
    assert said == [(PART, len(files)), (2 * PART, len(files)), (len(files), len(files))]
    assert surveyed.rows.level.tolist() == [i for i in range(len(files)) if i != 40]
    assert [name for name, _ in surveyed.unreadable] == ["040.png"]


JPEGS = [
    encoded(CROPS[0].resize((400, 300)), "JPEG", quality=80, progressive=progressive)
    for progressive in (False, True)
]


@settings(max_examples=60)
@given(st.data())
def test_a_reduced_jpeg_is_readable_exactly_where_the_whole_is(data):
    content = bytearray(data.draw(st.sampled_from(JPEGS)))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(30, len(content))) :]

    def reason(least: int | None) -> str:
        try:
            open_picture(bytes(content), least=least)
        except PictureError as error:
            return str(error)
        return "readable"

    assert reason(LEAST) == reason(None)
