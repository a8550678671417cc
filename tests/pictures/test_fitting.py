import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from phosphene.pictures.fitting import common_mode, fit, to_mode

PHOTO = Image.fromarray(load_sample_image("flower.jpg"))


def blocks(columns, rows, pixels=4, mode="L"):
    """Blocks of constant colour, each `pixels` wide: block (i, j) is 20 i + 100 j."""
    small = np.array([[20 * i + 100 * j for i in range(columns)] for j in range(rows)], np.uint8)
    return Image.fromarray(np.kron(small, np.ones((pixels, pixels), np.uint8))).convert(mode)


@pytest.mark.parametrize("how", ["crop", "pad"])
def test_a_picture_that_fits_is_left_alone(how):
    image = PHOTO.crop((10, 20, 42, 52))
    fitted, notes = fit(image, 32, how)
    assert np.array_equal(np.asarray(fitted), np.asarray(image))
    assert notes == ()


def test_crop_takes_the_centred_square():
    wide = np.zeros((8, 20), np.uint8)
    wide[:, 6:14] = np.arange(64).reshape(8, 8)
    for array in (wide, wide.T):
        fitted, notes = fit(Image.fromarray(array), 8, "crop")
        expected = np.arange(64).reshape(8, 8)
        assert np.array_equal(np.asarray(fitted), expected if array is wide else expected.T)
        assert notes == ("cropped to the centre square",)


def test_pad_centres_the_whole_picture_on_black():
    wide = np.full((4, 8), 200, np.uint8)
    for array in (wide, wide.T):
        fitted, notes = fit(Image.fromarray(array), 8, "pad")
        expected = np.zeros((8, 8), np.uint8)
        expected[2:6] = 200
        assert np.array_equal(np.asarray(fitted), expected if array is wide else expected.T)
        assert notes == ("padded with black",)


def test_pad_with_alpha_is_transparent():
    image = Image.new("RGBA", (8, 4), (10, 20, 30, 255))
    fitted, notes = fit(image, 8, "pad")
    assert fitted.getpixel((0, 0)) == (0, 0, 0, 0)
    assert fitted.getpixel((0, 2)) == (10, 20, 30, 255)
    assert notes == ("padded with transparency",)


def test_reduction_is_antialiased():
    fine = np.indices((64, 64)).sum(0) % 2 * 255
    fitted, notes = fit(Image.fromarray(fine.astype(np.uint8)), 8, "crop")
    assert np.abs(np.asarray(fitted, int) - 128).max() <= 2
    assert notes == ()


def test_reduction_keeps_what_is_large():
    fitted, _ = fit(blocks(2, 2, 64), 16, "crop")
    assert np.asarray(fitted)[[2, 2, 13, 13], [2, 13, 2, 13]].tolist() == [0, 20, 100, 120]


def test_hidden_colours_do_not_bleed():
    array = np.zeros((64, 64, 4), np.uint8)
    array[:, ::2] = (255, 0, 0, 0)  # hidden red between visible greens
    array[:, 1::2] = (0, 200, 0, 255)
    fitted, _ = fit(Image.fromarray(array), 8, "crop")
    assert np.asarray(fitted)[..., 0].max() == 0
    assert np.abs(np.asarray(fitted, int)[..., 1] - 200).max() <= 2
    assert np.abs(np.asarray(fitted, int)[..., 3] - 128).max() <= 6


def test_enlarging_is_noted():
    assert fit(Image.new("L", (4, 4)), 8, "crop")[1] == ("enlarged",)
    assert fit(Image.new("L", (4, 9)), 8, "crop")[1] == ("enlarged", "cropped to the centre square")
    assert fit(Image.new("L", (4, 9)), 8, "pad")[1] == ("padded with black",)


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("size", [(1000, 1), (1, 1000), (33, 47), (1, 1)])
def test_every_shape_comes_out_square(size, how):
    assert fit(Image.new("RGB", size, (9, 8, 7)), 16, how)[0].size == (16, 16)


@pytest.mark.parametrize(
    ("modes", "common"),
    [("L", "L"), ("L L", "L"), ("L RGB", "RGB"), ("LA", "RGBA"), ("RGB LA", "RGBA"), ("L RGBA RGB", "RGBA")],
)
def test_common_mode(modes, common):
    assert common_mode(modes.split()) == common


def test_modes():
    grey, colour = Image.new("L", (1, 1), 77), Image.new("RGB", (1, 1), (250, 100, 3))
    assert to_mode(grey, "RGB").getpixel((0, 0)) == (77, 77, 77)
    assert to_mode(grey, "RGBA").getpixel((0, 0)) == (77, 77, 77, 255)
    assert to_mode(colour, "L").getpixel((0, 0)) == round(0.299 * 250 + 0.587 * 100 + 0.114 * 3)
    assert to_mode(colour, "RGBA").getpixel((0, 0)) == (250, 100, 3, 255)


def test_alpha_is_laid_over_white():
    shade = Image.new("LA", (1, 1), (50, 51))  # alpha 51/255 = 1/5
    assert to_mode(shade, "L").getpixel((0, 0)) == 255 * 4 // 5 + 10
    assert to_mode(shade, "RGB").getpixel((0, 0)) == (214, 214, 214)
    assert to_mode(shade, "RGBA").getpixel((0, 0)) == (50, 50, 50, 51)
    clear = Image.new("RGBA", (1, 1), (1, 2, 3, 0))
    assert to_mode(clear, "RGB").getpixel((0, 0)) == (255, 255, 255)
    assert to_mode(clear, "L").getpixel((0, 0)) == 255
