"""The generator that made a picture, found by what the picture says of it."""

from pathlib import Path

from phosphene.families.adapting import Adapters
from phosphene.families.generator import Generator, load
from phosphene.families.like import applied
from phosphene.pictures.embedded import read_settings


def load_like(
    picture: Path,
    device: str = "auto",
    ema: float | None = None,
    precision: str = "auto",
    text: str | None = None,
    adapters: Adapters | None = None,
) -> Generator:
    """The generator that made a picture, by the place, average and adapters that the picture names."""
    said = read_settings(picture)
    place, length = said.get("run"), said.get("ema") if ema is None else ema
    if not isinstance(place, str):
        raise ValueError(f"like {picture}: it does not say which run made it; give the run too")
    if not isinstance(length, float | None):
        raise ValueError(f"like {picture}: ema {length!r}: a number is accepted")
    if adapters is None:
        adapters = {one.place: one.weight for one in applied(said, picture)}
    return load(place, device, length, precision, text=text, adapters=adapters)
