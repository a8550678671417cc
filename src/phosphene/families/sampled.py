"""Pictures that were made, with all that is needed to make each of them again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from phosphene.pictures.animation import write_animation
from phosphene.pictures.embedded import write_png
from phosphene.pictures.pixels import to_pillow
from phosphene.pictures.sheet import sheet

MOST_FRAMES = 60
FILM_SIDE = 32  # pixels that a small picture is enlarged to in an animation


@dataclass(frozen=True)
class Sampled(Sequence[Image.Image]):
    """A sequence of Pillow pictures. values: the same as a tensor, in [-1, 1] but for what was overshot.

    settings: for each picture how it was made. frames: the noisy pictures on the way, if asked for. seen:
    what each was made from, if from a picture.
    """

    values: Float[Tensor, "n c h w"]
    settings: tuple[Mapping[str, Any], ...]
    evaluations: int
    frames: tuple[Float[Tensor, "n c h w"], ...] = field(default=(), repr=False)
    seen: Float[Tensor, "n c h w"] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.settings)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image.Image]: ...
    def __getitem__(self, index: int | slice) -> Image.Image | list[Image.Image]:
        if isinstance(index, slice):
            return to_pillow(self.values[index])
        return to_pillow(self.values[range(len(self))[index]][None])[0]

    def __iter__(self) -> Iterator[Image.Image]:
        return iter(to_pillow(self.values))

    def mean(self) -> Image.Image:
        """All in one: of answers to one question the nearest to the truth, and, as blur is, no picture
        itself."""
        return to_pillow(self.values.mean(0, keepdim=True))[0]

    @property
    def pairs(self) -> list[Image.Image]:
        """Each picture behind what it was made from; the pictures alone where that is nothing."""
        if self.seen is None:
            return list(self)
        return [image for pair in zip(to_pillow(self.seen), self, strict=True) for image in pair]

    def sheet(self, columns: int | None = None, row_titles: Sequence[str] | None = None) -> Image.Image:
        """All on one picture, enlarged so that a person can read it; each behind what it was made from."""
        each = 1 if self.seen is None else 2
        return sheet(self.pairs, each * (columns or columns_for(len(self))), row_titles=row_titles)

    @property
    def names(self) -> tuple[str, ...]:
        """Of each picture's file."""
        return tuple(f"seed{said['seed']}-{said['picture']:06d}.png" for said in self.settings)

    @property
    def films(self) -> Mapping[str, Callable[[Path], None]]:
        """What writes each animation that belongs to the pictures, by the name of its file."""
        return {"trajectory.gif": self.animate} if self.frames else {}

    def save(self, folder: Path | str) -> list[Path]:
        """sheet.png, the films (with frames, trajectory.gif) and a PNG for each picture with its settings
        inside; returns where. Raises ValueError rather than write over a file."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        films = {folder / name: write for name, write in self.films.items()}
        pictures = [folder / name for name in self.names]
        paths = [folder / "sheet.png", *films, *pictures]
        for path in paths:
            if path.exists():
                raise ValueError(f"out {folder}: {path.name} is there already; choose another --out")
        self.sheet().save(paths[0])
        for path, write in films.items():
            write(path)
        for image, settings, path in zip(self, self.settings, pictures, strict=True):
            write_png(image, path, settings)
        return paths

    def animate(self, path: Path, columns: int | None = None) -> None:
        """The way from noise to pictures, as a GIF (or WebP, or PNG, by suffix)."""
        write_film(self.frames, path, columns or columns_for(len(self)))


def write_film(frames: Sequence[Float[Tensor, "n c h w"]], path: Path, columns: int) -> None:
    """An animation whose every frame is a sheet of pictures, small enough to send around."""
    film = []
    for frame in frames:
        images = to_pillow(frame)
        page = sheet(images, columns, enlarge=max(1, FILM_SIDE // images[0].width), gap=2)
        film.append(page.convert("L") if images[0].mode == "L" else page)
    write_animation(film, path, ms=80, hold_last_ms=2000)


def columns_for(count: int) -> int:
    """As square a sheet as the count allows, wider than high."""
    return max(1, round(count**0.5 + 0.499))
