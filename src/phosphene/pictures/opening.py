"""Opening pictures that nobody vouches for.

Only a fixed list of raster formats is tried, whatever the file is called; the size that a file claims is
checked before a pixel is decoded; a file that ends early is an error. What comes out is upright (EXIF) and
in one of four modes: L, LA, RGB, RGBA, with alpha only where something is transparent.
"""

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError
from PIL.Image import Transpose

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "QOI")
SUFFIXES = re.compile(r"\.(a?png|jpe?g|jpe|jfif|webp|gif|bmp|dib|tiff?|p[pgbnf]m|qoi)")
MAX_PIXELS = 100_000_000

UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
LYING = {5, 6, 7, 8}  # width and height change places


class PictureError(ValueError):
    """A file that is no usable picture; the message is one line."""


class Opened(NamedTuple):
    """A picture in mode L, LA, RGB or RGBA, and what was done to it, in short plain words.

    size: width and height of the upright picture in the file. format: one of FORMATS, or MPO (a JPEG of
    several pictures).
    """

    image: Image.Image
    notes: tuple[str, ...]
    size: tuple[int, int]
    format: str


def open_picture(
    source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, least: int | None = None
) -> Opened:
    """The first frame of a picture file (or of its bytes), upright. Raises PictureError.

    least: a preview is enough. A JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, as long as its shorter
    side keeps that many pixels; what is readable and what is not stays the same.
    """
    with _opened(source, max_pixels) as image, _reasons(max_pixels):
        claimed, kind = image.size, image.format or ""
        frames = getattr(image, "n_frames", 1)
        notes = [f"first of {frames} frames"] if frames > 1 else []
        if any(";16" in str(tile.args) for tile in image.tile) or image.mode.startswith("I;16"):
            notes.append("16-bit reduced to 8")
        turned = _orientation(image)
        if least is not None:
            image.draft(None, (least, least))
        image.load()
        # Some plugins (TIFF) have turned the picture while loading and dropped the tag.
        left = _orientation(image)
        if turned in UPRIGHT or left in UPRIGHT:
            notes.append("rotated by EXIF")
        picture, remarks = _upright_and_plain(image)
        width, height = claimed
        size = (height, width) if {turned, left} & LYING else (width, height)
        return Opened(picture, tuple(dict.fromkeys((*notes, *remarks))), size, kind)


def as_opened(image: Image.Image) -> Image.Image:
    """A picture of Pillow's as its own file would be opened. Raises PictureError."""
    with _reasons(MAX_PIXELS):
        image.load()
        return _upright_and_plain(image)[0]


def measure(source: str | Path | bytes) -> tuple[int, int] | None:
    """Width and height that a picture's header claims; None if it is no picture."""
    try:
        with _opened(source, MAX_PIXELS) as image:
            return image.size
    except PictureError:
        return None


@contextmanager
def _opened(source: str | Path | bytes, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from error
    with stream, _quiet():
        with _reasons(max_pixels):
            image = Image.open(stream, formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise PictureError(f"{width}x{height} is over the limit of {max_pixels:,} pixels")
        yield image


@contextmanager
def _reasons(max_pixels: int) -> Iterator[None]:
    """Whatever a decoder raises on hostile bytes becomes one PictureError: the decoders promise no types."""
    try:
        yield
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture in one of: {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"the claimed size is over the limit of {max_pixels:,} pixels") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        cut = isinstance(error, EOFError) or "truncated" in reason.lower()
        raise PictureError("truncated" if cut else f"damaged: {reason}") from error


class _Quiet:
    """Pillow's warnings off while any thread is inside: warnings' own context is not made for threads.

    The size limit here replaces Pillow's warning about large pictures, and damaged metadata beside good
    pixels is nobody's concern.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.saved = warnings.catch_warnings()

    def enter(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.saved = warnings.catch_warnings()
                self.saved.__enter__()
                warnings.simplefilter("ignore")
            self.inside += 1

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.saved.__exit__(None, None, None)


_warnings = _Quiet()


@contextmanager
def _quiet() -> Iterator[None]:
    _warnings.enter()
    try:
        yield
    finally:
        _warnings.leave()


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF is a second file inside the file; if it is damaged, the pixels still count
        return 1


def _upright_and_plain(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """A copy in one of the four modes, and remarks; it says no more that it is to be turned."""
    turn = _orientation(image)
    picture, remarks = _plain(image.transpose(UPRIGHT[turn]) if turn in UPRIGHT else image)
    picture = picture.copy()
    picture.info = {}
    return picture, remarks


def _plain(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Any mode that Pillow has to L, LA, RGB or RGBA, and remarks."""
    match image.mode:
        case "I" | "F":
            return _from_numbers(image)
        case mode if mode.startswith("I;16"):
            return _from_16_bit(image), ()
        case "CMYK":
            return image.convert("RGB"), ("CMYK converted without its colour profile",)
        case "LAB":
            return _from_lab(image), ()
        case "P" | "PA":
            return _grey_if_grey(_opaque_if_opaque(image.convert("RGBA"))), ()
        case "1" | "L":
            return _opaque_if_opaque(image.convert("LA" if image.has_transparency_data else "L")), ()
        case "LA" | "La":
            return _opaque_if_opaque(image.convert("LA")), ()
        case "RGBA" | "RGBa":
            return _opaque_if_opaque(image.convert("RGBA")), ()
        case _:
            return _opaque_if_opaque(image.convert("RGBA" if image.has_transparency_data else "RGB")), ()


def _opaque_if_opaque(image: Image.Image) -> Image.Image:
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255):
        return image.convert(image.mode[:-1])
    return image


def _grey_if_grey(image: Image.Image) -> Image.Image:
    """A palette does not say whether it is grey; its colours do."""
    if image.mode == "RGB":
        red, green, blue = (band.tobytes() for band in image.split())
        if red == green == blue:
            return image.getchannel("R")
    return image


def _from_16_bit(image: Image.Image) -> Image.Image:
    numbers = np.asarray(image).astype(np.int64)
    grey = Image.fromarray(_reduced(numbers))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int) or not (numbers == transparent).any():
        return grey
    alpha = Image.fromarray(np.where(numbers == transparent, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, alpha))


def _reduced(numbers: np.ndarray) -> np.ndarray:
    # 65535 / 255 = 257 is odd, so the nearest byte is never a tie.
    return ((numbers + 128) // 257).astype(np.uint8)


def _from_numbers(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """32-bit integers within 0..65535 are 16-bit grey; floats within [0, 1] or [0, 255] keep that range."""
    numbers = np.asarray(image).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise PictureError("holds numbers that are not finite")
    low, high = float(numbers.min()), float(numbers.max())
    if image.mode == "I" and low >= 0 and high <= 65535:
        return Image.fromarray(_reduced(numbers.astype(np.int64))), ("16-bit reduced to 8",)
    remark = "numbers reduced to 8 bits"
    if image.mode == "F" and low >= 0 and high <= 255:
        low, high = 0.0, 1.0 if high <= 1 else 255.0
    else:
        remark = "numbers scaled by their own range"
    share = (numbers - low) / ((high - low) or 1)
    return Image.fromarray(np.floor(share * 255 + 0.5).astype(np.uint8)), (remark,)


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted
