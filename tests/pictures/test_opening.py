import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageCms
from sklearn.datasets import load_sample_image

from phosphene.pictures.opening import PictureError, as_opened, measure, open_picture

PHOTO = load_sample_image("china.jpg")[100:148, 200:264]
GREY = PHOTO[..., 1]
ALPHA = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def same(image, expected):
    return np.array_equal(np.asarray(image), np.asarray(expected))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, *extra):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *extra,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "QOI"])
def test_lossless_files_come_back_pixel_for_pixel(mode, kind):
    image = Image.fromarray(GREY if mode in ("L", "LA") else PHOTO)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(ALPHA))
    if kind in ("WEBP", "QOI") and mode in ("L", "LA"):
        pytest.skip("the format has no grey")
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    opened = open_picture(encoded(image, kind, **options))
    assert opened.image.mode == mode
    assert same(opened.image, image)
    assert opened.notes == ()
    assert opened.image.info == {}


@pytest.mark.parametrize("kind", ["BMP", "PPM", "JPEG", "GIF"])
def test_grey_stays_grey(kind):
    opened = open_picture(encoded(Image.fromarray(GREY), kind))
    assert opened.image.mode == "L"
    if kind != "JPEG":
        assert same(opened.image, GREY)


def lying() -> Image.Image:
    image = Image.fromarray(PHOTO)
    exif = image.getexif()
    exif[0x0112] = 6
    file = io.BytesIO(encoded(image, exif=exif))
    return Image.open(file)


@pytest.mark.parametrize(
    ("image", "kind", "mode"),
    [
        (Image.fromarray(GREY.astype(np.uint16) * 257), "PNG", "L"),
        (Image.fromarray(GREY.astype(np.float32) / 255), "TIFF", "L"),
        (Image.fromarray(PHOTO).convert("RGBA"), "PNG", "RGB"),
        (Image.fromarray(GREY).convert("1"), "PNG", "L"),
        (Image.fromarray(GREY).convert("P"), "PNG", "L"),
        (lying(), "PNG", "RGB"),
    ],
    ids=["I;16", "F", "opaque", "1", "P", "EXIF"],
)
def test_a_picture_of_pillow_is_that_of_its_file(image, kind, mode):
    held = as_opened(image)
    exif = {"exif": image.getexif()} if kind == "PNG" else {}
    opened = open_picture(encoded(image, kind, **exif)).image
    assert (held.mode, opened.mode) == (mode, mode)
    assert same(held, opened)
    assert same(as_opened(held), held)  # nothing is turned twice


# Where the first row and the first column of the stored picture are seen (EXIF 2.3, tag 0x0112).
SEEN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_exact(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    opened = open_picture(encoded(Image.fromarray(PHOTO), kind, exif=exif, **options))
    assert same(opened.image, SEEN[orientation](PHOTO))
    assert opened.notes == (() if orientation == 1 else ("rotated by EXIF",))


def test_damaged_exif_does_not_cost_the_picture():
    opened = open_picture(encoded(Image.fromarray(PHOTO), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\1\2"))
    assert same(opened.image, PHOTO)


def test_16_bit_grey_is_rounded_to_the_nearest_byte():
    numbers = np.arange(65536).reshape(256, 256).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        opened = open_picture(encoded(Image.fromarray(numbers), kind))
        assert opened.image.mode == "L"
        assert same(opened.image, np.round(numbers * (255 / 65535)))
        assert opened.notes == ("16-bit reduced to 8",)


def test_16_bit_ppm_comes_as_32_bit_integers():
    numbers = np.arange(65536).reshape(256, 256)
    opened = open_picture(b"P5 256 256 65535\n" + numbers.astype(">u2").tobytes())
    assert same(opened.image, np.round(numbers * (255 / 65535)))
    assert opened.notes == ("16-bit reduced to 8",)


def test_16_bit_colour_is_noted():
    row = b"\0" + struct.pack(">6H", 0, 0x1234, 0xFFFF, 0x8000, 0x80FF, 0x0100)
    opened = open_picture(png(2, 1, 16, 2, row))
    assert opened.notes == ("16-bit reduced to 8",)
    assert opened.image.mode == "RGB"
    assert np.abs(np.asarray(opened.image, float).ravel() - [0, 18.1, 255, 127.5, 128.5, 1]).max() <= 1


def test_16_bit_grey_with_a_transparent_value():
    row = b"\0" + struct.pack(">3H", 0x1234, 0x1235, 0xFFFF)
    opened = open_picture(png(3, 1, 16, 0, row, chunk(b"tRNS", struct.pack(">H", 0x1235))))
    assert opened.image.mode == "LA"
    assert np.asarray(opened.image).tolist() == [[[18, 255], [18, 0], [255, 255]]]


def test_large_integers_are_scaled_by_their_own_range():
    opened = open_picture(encoded(Image.fromarray(np.array([[-100000, 0, 100000]], np.int32)), "TIFF"))
    assert np.asarray(opened.image).tolist() == [[0, 128, 255]]
    assert opened.notes == ("numbers scaled by their own range",)


@pytest.mark.parametrize(
    ("numbers", "bytes_"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([0, 3, 200], [0, 3, 200]),
        ([-1, 0, 3], [0, 64, 255]),
        ([7e9] * 3, [0] * 3),
    ],
)
def test_floats(numbers, bytes_):
    opened = open_picture(encoded(Image.fromarray(np.array([numbers], np.float32)), "TIFF"))
    assert np.asarray(opened.image).tolist() == [bytes_]


def test_floats_that_are_not_finite_are_refused():
    with pytest.raises(PictureError, match="not finite"):
        open_picture(encoded(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF"))


def test_one_bit():
    bits = Image.fromarray(GREY).convert("1")
    opened = open_picture(encoded(bits))
    assert opened.image.mode == "L"
    assert same(opened.image, np.asarray(bits) * np.uint8(255))


def palette(colours):
    image = Image.new("P", (len(colours), 1))
    image.putpalette([c for colour in colours for c in colour])
    image.putdata(range(len(colours)))
    return image


def test_palettes():
    colours = [(255, 0, 0), (0, 255, 0), (9, 9, 9)]
    opened = open_picture(encoded(palette(colours)))
    assert opened.image.mode == "RGB"
    assert [opened.image.getpixel((i, 0)) for i in range(3)] == colours
    opened = open_picture(encoded(palette([(7, 7, 7), (80, 80, 80)])))
    assert opened.image.mode == "L"
    assert np.asarray(opened.image).tolist() == [[7, 80]]
    for nearly in ((7, 7, 9), (7, 9, 9), (9, 7, 9)):
        assert open_picture(encoded(palette([nearly, (80, 80, 80)]))).image.mode == "RGB"


def test_palettes_with_transparency():
    colours = [(255, 0, 0), (0, 255, 0), (9, 9, 9)]
    for transparency, alpha in ((1, [255, 0, 255]), (bytes([0, 128, 255]), [0, 128, 255])):
        opened = open_picture(encoded(palette(colours), transparency=transparency))
        assert opened.image.mode == "RGBA"
        expected = [[*colour, a] for colour, a in zip(colours, alpha, strict=True)]
        assert np.asarray(opened.image).tolist() == [expected]
    opened = open_picture(encoded(palette(colours), transparency=bytes([255, 255, 255])))
    assert opened.image.mode == "RGB"


@pytest.mark.parametrize(("mode", "plain"), [("L", "LA"), ("RGB", "RGBA"), ("1", "LA")])
def test_a_transparent_colour_becomes_alpha(mode, plain):
    image = Image.new(mode, (2, 1), 0)
    image.putpixel((1, 0), 1 if mode == "1" else 255 if mode == "L" else (1, 2, 3))
    opened = open_picture(encoded(image, transparency=(0, 0, 0) if mode == "RGB" else 0))
    assert opened.image.mode == plain
    assert list(opened.image.getchannel("A").tobytes()) == [0, 255]


def test_alpha_that_hides_nothing_goes_away():
    for array, mode in ((GREY, "L"), (PHOTO, "RGB")):
        image = Image.fromarray(array)
        image.putalpha(255)
        opened = open_picture(encoded(image))
        assert opened.image.mode == mode
        assert same(opened.image, array)


def test_cmyk_and_ycbcr():
    cmyk = Image.fromarray(PHOTO).convert("CMYK")
    opened = open_picture(encoded(cmyk, "TIFF"))
    assert same(opened.image, PHOTO)
    assert opened.notes == ("CMYK converted without its colour profile",)
    ycbcr = Image.fromarray(PHOTO).convert("YCbCr")
    opened = open_picture(encoded(ycbcr, "TIFF"))
    assert opened.image.mode == "RGB"
    assert np.abs(np.asarray(opened.image, int) - PHOTO).max() <= 3


def test_lab():
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(PHOTO), srgb, lab, outputMode="LAB")
    opened = open_picture(encoded(image, "TIFF"))
    assert opened.image.mode == "RGB"
    difference = np.abs(np.asarray(opened.image, int) - PHOTO)
    assert difference.mean() < 1.5
    assert difference.max() <= 12


def test_jpeg_photo_is_what_pillow_decodes():
    data = encoded(Image.fromarray(PHOTO), "JPEG", quality=90)
    assert same(open_picture(data).image, Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_their_first_frame(kind):
    frames = [Image.new("RGB", (8, 8), (40 * i, 255 - 40 * i, 7)) for i in range(5)]
    options = {"lossless": True} if kind == "WEBP" else {}
    opened = open_picture(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert same(opened.image.convert("RGB"), frames[0])
    assert opened.notes == ("first of 5 frames",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "QOI"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_ends_early_is_an_error(kind, share):
    data = encoded(Image.fromarray(PHOTO), kind)
    with pytest.raises(PictureError, match=r"truncated|damaged|not a picture"):
        open_picture(data[: int(len(data) * share)])


def test_reasons_are_plain():
    data = encoded(Image.fromarray(PHOTO))
    with pytest.raises(PictureError, match=r"^truncated$"):
        open_picture(data[: len(data) // 2])
    for nothing in (b"", b"hello", b"%PDF-1.4", b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(
            PictureError, match=r"^not a picture in one of: PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM, QOI$"
        ):
            open_picture(nothing)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "TGA", "PCX", "ICNS", "DDS"])
def test_other_formats_are_not_even_tried(kind):
    with pytest.raises(PictureError, match=r"^not a picture in one of"):
        open_picture(encoded(Image.fromarray(PHOTO).resize((64, 64)), kind))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(PictureError, match="cannot be read: No such file"):
        open_picture(tmp_path / "none.png")


def test_a_tiny_file_that_claims_144_megapixels():
    bomb = png(12000, 12000, 8, 0, b"")
    assert len(bomb) < 100
    with pytest.raises(PictureError, match=r"^12000x12000 is over the limit of 100,000,000 pixels$"):
        open_picture(bomb)
    with pytest.raises(PictureError, match=r"over the limit of 100,000,000 pixels$"):
        open_picture(png(60000, 60000, 8, 0, b""))
    assert measure(bomb) is None


def test_the_limit_counts_pixels():
    data = encoded(Image.new("L", (20, 5)))
    assert open_picture(data, max_pixels=100).image.size == (20, 5)
    with pytest.raises(PictureError, match="20x5 is over the limit of 99 pixels"):
        open_picture(data, max_pixels=99)


def test_95_megapixels_are_no_warning_and_warnings_come_back():
    before = list(warnings.filters)
    assert measure(png(9500, 10000, 8, 0, b"")) == (9500, 10000)
    assert warnings.filters == before


def test_threads_leave_the_warnings_as_they_were():
    before = list(warnings.filters)
    data = encoded(Image.fromarray(PHOTO), "JPEG")
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: np.asarray(open_picture(data).image), range(64)))
    assert all(np.array_equal(o, opened[0]) for o in opened)
    assert warnings.filters == before


def test_measure(tmp_path):
    path = tmp_path / "photo.of.no.kind"
    Image.fromarray(PHOTO).save(path, "PNG")
    assert measure(path) == (64, 48)
    assert measure(b"text") is None


def test_random_damage_never_raises_anything_else():
    rng = np.random.default_rng(5)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "QOI"):
        data = np.frombuffer(encoded(Image.fromarray(PHOTO), kind), np.uint8)
        for _ in range(40):
            damaged = data.copy()
            damaged[rng.integers(0, min(len(data), 400), 6)] = rng.integers(0, 256, 6)
            with suppress(PictureError):
                opened = open_picture(damaged.tobytes(), max_pixels=1_000_000)
                assert opened.image.mode in ("L", "LA", "RGB", "RGBA")
