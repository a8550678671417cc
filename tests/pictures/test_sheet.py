import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from phosphene.pictures.sheet import sheet

DIGITS = [
    Image.fromarray((row.reshape(8, 8) * 255 / 16).astype(np.uint8))
    for row in load_digits(return_X_y=True)[0][:5]
]


def test_tiles_lie_row_by_row_and_every_pixel_is_enlarged_exactly():
    page = np.asarray(sheet(DIGITS, 3, gap=2))
    assert page.shape == (2 + 2 * 66, 2 + 3 * 66, 3)
    for number, digit in enumerate(DIGITS):
        row, column = divmod(number, 3)
        tile = page[2 + row * 66 :, 2 + column * 66 :][:64, :64]
        assert np.array_equal(tile, np.kron(np.asarray(digit), np.ones((8, 8)))[..., None].repeat(3, 2))
    assert (page[:2] == 255).all()
    assert (page[:, :2] == 255).all()
    assert (page[2 + 66 :, 2 + 2 * 66 :] == 255).all()


def test_enlarge_is_what_is_asked():
    assert sheet(DIGITS[:1], 1, enlarge=3, gap=0).size == (24, 24)
    assert sheet([Image.new("L", (64, 20))], 1, gap=0).size == (64, 20)
    assert sheet([Image.new("L", (63, 20))], 1, gap=0).size == (126, 40)


def test_transparency_shows_a_checkerboard():
    page = np.asarray(sheet([Image.new("RGBA", (16, 16), (9, 9, 9, 0))], 1, enlarge=1, gap=0))
    expected = np.kron([[204, 255], [255, 204]], np.ones((8, 8)))
    assert np.array_equal(page[..., 0], expected)
    opaque = np.asarray(sheet([Image.new("LA", (16, 16), (9, 255))], 1, enlarge=1, gap=0))
    assert (opaque == 9).all()


def test_titles_make_room_and_leave_the_tiles_alone():
    plain = np.asarray(sheet(DIGITS, 3))
    titled = np.asarray(
        sheet(DIGITS, 3, row_titles=["first", "a title " * 99], column_titles=["one", "two", "three"])
    )
    height, width, _ = plain.shape
    tiles = titled[-height + 4 :, -width + 4 :]
    assert np.array_equal(tiles, plain[4:, 4:])
    assert (titled[-height:, : -width + 4] < 128).any()
    assert (titled[: -height + 4] < 128).any()
    assert titled.shape[1] - width <= 240 + 8


def test_errors():
    with pytest.raises(ValueError, match="no images"):
        sheet([], 3)
    with pytest.raises(ValueError, match="columns 0"):
        sheet(DIGITS, 0)
    with pytest.raises(ValueError, match="3 row titles for 2 rows"):
        sheet(DIGITS, 3, row_titles=["a", "b", "c"])
    with pytest.raises(ValueError, match="1 column titles for 3 columns"):
        sheet(DIGITS, 3, column_titles=["a"])
