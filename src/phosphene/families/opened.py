"""Pictures that a user gives a model: opened safely, and brought to its kind. Errors name the argument."""

from pathlib import Path
from typing import cast

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from phosphene.pictures.fitting import Mode, common_mode, fit, to_mode
from phosphene.pictures.opening import PictureError, as_opened, open_picture
from phosphene.pictures.pixels import MODES, from_pillow

Given = Path | str | Image.Image
WORDS = {"L": "grey", "RGB": "colour", "RGBA": "colour with transparency"}


def opened(field: str, given: Given) -> Image.Image:
    """A picture, of a file or as it is. Raises ValueError that names the argument."""
    try:
        return as_opened(given) if isinstance(given, Image.Image) else open_picture(given).image
    except PictureError as error:
        raise ValueError(f"{field} {named(given)}: {error}") from None


def picture(field: str, given: Given, channels: int) -> Image.Image:
    """A picture in a model's mode. Raises ValueError for one that has more than the model makes."""
    image, mode = opened(field, given), cast("Mode", MODES[channels])
    own = common_mode([image.mode])
    if common_mode([image.mode, mode]) != mode:
        raise ValueError(
            f"{field} {named(given)}: it is {WORDS[own]} ({own}), this model makes {WORDS[mode]} pictures "
            f"({mode}); give one of those"
        )
    return to_mode(image, mode)


def fitted(image: Image.Image, size: int) -> Image.Image:
    """The middle square of a picture at a model's size, as training data is cut."""
    return fit(image, size, "crop")[0]


def narrowed(image: Image.Image, size: int) -> Image.Image:
    """All of a picture, its shorter side at a model's size."""
    least = min(image.size)
    width, height = (max(size, round(side * size / least)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def mask(given: Given, size: tuple[int, int]) -> Image.Image:
    """A mask of a picture of this width and height: white where it is to be made anew."""
    image = opened("mask", given)
    if image.size != size:
        raise ValueError(
            f"mask {named(given)}: {image.width}x{image.height} pixels, the picture has {size[0]}x{size[1]}; "
            "give one of the same size, white where the picture is to be made anew"
        )
    return to_mode(image, "L", "black")


def values(image: Image.Image) -> Float[Tensor, "c h w"]:
    """In [-1, 1]."""
    return from_pillow([image])[0]


def named(given: Given) -> str:
    """As the user said it."""
    return "" if isinstance(given, Image.Image) else str(given)
