"""Short films of small pictures: GIF, animated PNG or animated WebP.

PNG and WebP keep every pixel. A GIF frame has 256 colours: grey is exact, and colours get a palette of
their own for each frame, chosen before the frame is enlarged, so that a frame of up to 16 x 16 pixels (or
of no more than 256 colours) is exact as well.
"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from PIL.Image import Quantize

from phosphene.pictures.sheet import readable, shown

FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP"}


def write_animation(
    frames: Sequence[Image.Image],
    path: Path,
    *,
    ms: int = 80,
    hold_last_ms: int = 1500,
    enlarge: int | None = None,
) -> None:
    """Frames of one size (L, LA, RGB, RGBA) to a file that loops, the last frame held for longer.

    GIF counts time in steps of 10 ms. enlarge: pixels per pixel; None makes the largest side at least 64.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"animation {path.name}: the suffix must be one of {', '.join(FORMATS)}")
    if not frames:
        raise ValueError(f"animation {path.name}: no frames, give at least one")
    sizes = sorted({frame.size for frame in frames})
    if len(sizes) > 1:
        raise ValueError(f"animation {path.name}: frames of sizes {sizes}, give one size")
    kind = FORMATS[path.suffix.lower()]
    times = enlarge or readable(frames)
    grey = all(frame.mode == "L" for frame in frames)
    films = [shown(frame, times if kind != "GIF" else 1) for frame in frames]
    if not grey:
        films = [film.convert("RGB") for film in films]
    if kind == "GIF":
        films = [shown(film if grey else _palette(film), times) for film in films]
    first, *rest = films
    # Pillow merges a frame that equals the one before it and adds their times.
    duration = [ms] * len(rest) + [hold_last_ms]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    first.save(path, kind, save_all=True, append_images=rest, duration=duration, loop=0, **lossless)


def _palette(film: Image.Image) -> Image.Image:
    return film.quantize(256, Quantize.MEDIANCUT, kmeans=1)
