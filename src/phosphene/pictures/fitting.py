"""Pictures of any shape brought to one square size and one mode.

Resampling is antialiased (Lanczos with its support widened by the reduction) and done on premultiplied
colours, so that what hides under transparent pixels does not bleed into what can be seen.
"""

from collections.abc import Iterable
from typing import Literal

from PIL import Image
from PIL.Image import Resampling

Fit = Literal["crop", "pad"]
Mode = Literal["L", "RGB", "RGBA"]


def fit(image: Image.Image, size: int, how: Fit) -> tuple[Image.Image, tuple[str, ...]]:
    """An L, LA, RGB or RGBA picture as size x size, and notes of what was cut, padded or enlarged.

    crop: the centred square as large as the short side. pad: the whole picture, centred on black, or on
    transparency where the picture has alpha.
    """
    width, height = image.size
    if (width, height) == (size, size):
        return image, ()
    side = min(width, height) if how == "crop" else max(width, height)
    notes = ("enlarged",) if side < size else ()
    if width == height:
        return image.resize((size, size), Resampling.LANCZOS), notes
    if how == "crop":
        left, top = (width - side) // 2, (height - side) // 2
        square = (left, top, left + side, top + side)
        cut = image.resize((size, size), Resampling.LANCZOS, box=square)
        return cut, (*notes, "cropped to the centre square")
    inner = (max(1, round(width * size / side)), max(1, round(height * size / side)))
    whole = image.resize(inner, Resampling.LANCZOS)
    canvas = Image.new(image.mode, (size, size))
    canvas.paste(whole, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    ground = "transparency" if image.mode in ("LA", "RGBA") else "black"
    return canvas, (*notes, f"padded with {ground}")


def common_mode(modes: Iterable[str]) -> Mode:
    """The smallest mode that keeps everything: any alpha needs RGBA, else any colour RGB, else L."""
    present = set(modes)
    if present & {"LA", "RGBA"}:
        return "RGBA"
    return "RGB" if "RGB" in present else "L"


def to_mode(image: Image.Image, mode: Mode, ground: str = "white") -> Image.Image:
    """An L, LA, RGB or RGBA picture in another mode; where alpha goes away it is laid over the ground."""
    if image.mode in ("LA", "RGBA") and mode != "RGBA":
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, ground), coloured).convert(
            image.mode[:-1]
        )
    return image.convert(mode)
