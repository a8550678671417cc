"""Pictures that are all different, what may be done to a copy, and sources of them in memory."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from PIL.Image import Resampling

from phosphene.data.sources import Source
from tests.cli.test_photographs import crops

CROPS = crops()


def png(image: Image.Image) -> bytes:
    return encoded(image, "PNG")


def encoded(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def decoded(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def resized(image: Image.Image, factor: float) -> Image.Image:
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Resampling.LANCZOS)


COPIES: Mapping[str, Callable[[Image.Image], bytes]] = {
    "half": lambda image: png(resized(image, 0.5)),
    "small": lambda image: png(resized(image, 0.34)),
    "double": lambda image: png(resized(image, 2)),
    "quality-50": lambda image: encoded(image, "JPEG", quality=50),
    "webp": lambda image: encoded(image, "WEBP", quality=60),
    "palette": lambda image: encoded(image.quantize(256), "GIF"),
    "brighter": lambda image: png(ImageEnhance.Brightness(image).enhance(1.1)),
    "darker": lambda image: png(ImageEnhance.Brightness(image).enhance(0.85)),
    "flatter": lambda image: png(ImageEnhance.Contrast(image).enhance(0.8)),
    "mirror": lambda image: png(ImageOps.mirror(image)),
    "all": lambda image: encoded(
        ImageEnhance.Brightness(ImageOps.mirror(resized(image, 0.7))).enhance(0.9), "JPEG", quality=60
    ),
}


def source(files: Mapping[str, bytes], **more: Any) -> Source:
    """A source of these bytes, in order of their names."""
    names = tuple(sorted(files))
    facts: dict[str, Any] = {
        "labels": None,
        "classes": (),
        "captions": None,
        "ignored": {},
        "problems": (),
    } | more
    return Source("memory", names, lambda number: files[names[number]], **facts)


def fields(seed: int, count: int, side: int = 48) -> list[Image.Image]:
    """Smooth coloured noise, every one different."""
    random = np.random.default_rng(seed)
    small = random.integers(40, 216, (count, 6, 6, 3), np.uint8)
    return [Image.fromarray(each).resize((side, side), Resampling.BICUBIC) for each in small]
