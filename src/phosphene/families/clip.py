"""A CLIP that can be asked how alike pictures and texts are, which picture is most so, and where one is.

    similarity    x . y of two unit vectors, from -1 to 1
    logit         e^t' x . y + b; SigLIP reads sigmoid(logit) as the chance that they belong together

Ours (a run of the recipe clip) or a folder of `transformers` (CLIP, SigLIP). Pictures of other sizes and
colours are brought to what the model takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from PIL import Image
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from phosphene import files
from phosphene.data.dataset import Dataset
from phosphene.diffusion.condition import Condition
from phosphene.families.adapting import find_adapter
from phosphene.families.device import choose_device, made_ready
from phosphene.families.place import find_model
from phosphene.pictures import fitting
from phosphene.pictures.opening import as_opened
from phosphene.pictures.pixels import MODES, from_pillow, to_values
from phosphene.store import clip as store
from phosphene.store import foreign_clip, text_encoder
from phosphene.tasks.text import Text

BATCH = 64  # pictures or texts a call

Progress = Callable[[int, int], None]
Pictures = Float[Tensor, "n c h w"] | Sequence[Image.Image]


@runtime_checkable
class Towers(Protocol):
    """What makes vectors. size, channels: of a picture. sharpness: e^t'."""

    @property
    def size(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def sharpness(self) -> float: ...
    @property
    def bias(self) -> float: ...

    def pictures(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Unit vectors of values in [-1, 1], with gradients if these have one."""
        ...

    def texts(self, texts: Sequence[str], field: str = "text") -> Float[Tensor, "b d"]:
        """Unit vectors. Raises ValueError, which calls it by this name, for a text that is too long."""
        ...


@dataclass(frozen=True)
class Own:
    """A network of ours and the text encoder that it was trained with."""

    model: store.ClipModel
    text: Text
    device: torch.device

    @property
    def size(self) -> int:
        return self.model.header.size

    @property
    def channels(self) -> int:
        return self.model.header.channels

    @property
    def fingerprint(self) -> str:
        return self.model.fingerprint

    @property
    def sharpness(self) -> float:
        return float(self.model.network.sharpness.detach().exp())

    @property
    def bias(self) -> float:
        return float(self.model.network.bias.detach())

    @cached_property
    def _weights(self) -> dict[str, Tensor]:
        """Without gradients: these go to pictures only."""
        return {name: weight.detach() for name, weight in self.model.network.picture.named_parameters()}

    def pictures(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        if values.shape[2:] != (self.size, self.size):
            values = functional.interpolate(values, (self.size, self.size), mode="bicubic", antialias=True)
        said = functional_call(self.model.network.picture, self._weights, (values,))
        return functional.normalize(said.float(), dim=1)

    def texts(self, texts: Sequence[str], field: str = "text") -> Float[Tensor, "b d"]:
        states, mask = self.text.of(field, texts)
        condition = Condition(tokens=states.float().to(self.device), mask=mask.to(self.device))
        with torch.no_grad():
            return self.model.network.texts(condition)


class Ranked(NamedTuple):
    """order: numbers of pictures, the most alike first. similarities: in the pictures' own order."""

    order: Int64[np.ndarray, " n"]
    similarities: Float32[np.ndarray, " n"]


class Found(NamedTuple):
    """A picture of a folder, by its name there, and how alike it is."""

    name: str
    similarity: float


@dataclass(frozen=True)
class Clip:
    """Towers, the folder they came from, and the device that they compute on."""

    towers: Towers
    folder: Path
    device: torch.device

    @property
    def fingerprint(self) -> str:
        """Of its weights."""
        return self.towers.fingerprint

    @property
    def named(self) -> str:
        """Where it is, and which weights these are."""
        return f"{self.folder} ({self.fingerprint[:12]})"

    def embed_images(self, pictures: Pictures, on_progress: Progress | None = None) -> Float32[Tensor, "n d"]:
        """Unit vectors, on the CPU. pictures: values in [-1, 1] of one size, or Pillow pictures of any, of
        which the centre square is seen."""

        def values(some: slice) -> Tensor:
            part = pictures[some]
            return part if isinstance(part, Tensor) else self._values(part)

        return self._embedded(values, len(pictures), on_progress)

    def _embedded(
        self, values: Callable[[slice], Tensor], count: int, on_progress: Progress | None
    ) -> Float32[Tensor, "n d"]:
        rows = []
        with torch.no_grad():
            for start in range(0, count, BATCH):
                some = values(slice(start, start + BATCH)).to(self.device)
                rows.append(self.towers.pictures(coloured(some, self.towers.channels)).cpu())
                if on_progress is not None:
                    on_progress(min(start + BATCH, count), count)
        return torch.cat(rows)

    def embed_texts(self, texts: Sequence[str], field: str = "text") -> Float32[Tensor, "n d"]:
        """Unit vectors, on the CPU. field: what the caller calls a text, for errors.

        Raises ValueError for one that is empty or too long.
        """
        for text in texts:
            if not text.strip():
                raise ValueError(f"{field} {text!r}: no words; say what pictures are to be like")
        parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        return torch.cat([self.towers.texts(part, field) for part in parts]).cpu()

    def logits(self, pictures: Pictures, texts: Sequence[str]) -> Float32[Tensor, "n m"]:
        """e^t' x . y + b of every picture with every text."""
        alike = self.embed_images(pictures) @ self.embed_texts(texts).T
        return self.towers.sharpness * alike + self.towers.bias

    def score(self, pictures: Pictures, texts: str | Sequence[str]) -> Float32[np.ndarray, " n"]:
        """The similarity of each picture to its text, or to the one text."""
        said = [texts] * len(pictures) if isinstance(texts, str) else list(texts)
        if len(said) != len(pictures):
            raise ValueError(f"texts: {len(said)} for {len(pictures)} pictures; give one, or one a picture")
        unique = list(dict.fromkeys(said))
        vectors = self.embed_texts(unique)[[unique.index(text) for text in said]]
        return (self.embed_images(pictures) * vectors).sum(1).numpy()

    def rank(self, pictures: Pictures, text: str) -> Ranked:
        """Pictures by their similarity to a text; equal ones stay in order."""
        alike = self.score(pictures, text)
        return Ranked(np.argsort(-alike, kind="stable"), alike)

    def search(
        self, folder: Path | str, text: str, n: int = 16, on_progress: Progress | None = None
    ) -> list[Found]:
        """The n pictures that are most like a text, the best first. folder: as in `phosphene.train`.

        Vectors are computed once for these weights and these pictures, and kept in the user's cache.
        """
        data = self.opened(folder)
        return [
            Found(data.names[number], alike) for number, alike in self.nearest(data, text, n, on_progress)
        ]

    def opened(self, folder: Path | str) -> Dataset:
        """The pictures of a folder as they are seen."""
        from phosphene.data.cache import prepare  # here: sampling needs neither
        from phosphene.data.sources import find

        mode = MODES[self.towers.channels]
        assert mode in ("L", "RGB", "RGBA")
        return prepare(find(folder), self.towers.size, "crop", mode)

    def nearest(
        self, data: Dataset, text: str, n: int, on_progress: Progress | None = None
    ) -> list[tuple[int, float]]:
        """Numbers and similarities of the n pictures of a data set that are most like a text."""
        if n < 1:
            raise ValueError(f"n {n}: give 1 or more")
        asked = self.embed_texts([text])[0].numpy()  # first: a text that cannot be asked costs no time
        alike = self.vectors(data, on_progress) @ asked
        return [(int(i), float(alike[i])) for i in np.argsort(-alike, kind="stable")[:n]]

    def vectors(self, data: Dataset, on_progress: Progress | None = None) -> Float32[np.ndarray, "n d"]:
        """Of all pictures of a data set, from the cache or computed now."""
        place = files.cache() / "clip" / self.fingerprint[:32] / data.fingerprint / "vectors.npy"
        if not place.is_file():

            def values(some: slice) -> Tensor:
                return to_values(torch.from_numpy(np.array(data.pictures[some])))

            rows = self._embedded(values, len(data.pictures), on_progress).numpy()
            place.parent.parent.mkdir(parents=True, exist_ok=True)
            with files.replace_folder(place.parent) as folder:
                np.save(folder / place.name, rows)
        return np.load(place, mmap_mode="r", allow_pickle=False)

    def liking(self, texts: Sequence[str]) -> Callable[[Tensor], Tensor]:
        """How alike each row of values is to its text, for guidance: autograd can follow it to the values."""
        vectors = self.embed_texts(texts).to(self.device)

        def alike(values: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
            seen = self.towers.pictures(coloured(values, self.towers.channels))
            return (seen * vectors).sum(1)

        return alike

    def _values(self, images: Sequence[Image.Image]) -> Float[Tensor, "b c h w"]:
        mode = MODES[self.towers.channels]
        assert mode in ("L", "RGB", "RGBA")
        squares = [fitting.fit(as_opened(image), self.towers.size, "crop")[0] for image in images]
        return from_pillow([fitting.to_mode(square, mode) for square in squares])


def coloured(values: Float[Tensor, "b c h w"], channels: int) -> Float[Tensor, "b c2 h w"]:
    """Values with so many channels: grey is repeated, transparency lies on white, colours become grey by
    their brightness (ITU-R 601), what has no transparency is solid. Autograd can follow it."""
    given = values.shape[1]
    if given == channels:
        return values
    if given in (2, 4):
        share = (256 * values[:, -1:] + 255) / 510
        values = values[:, :-1] * share + (1 - share) * 255 / 256
        return coloured(values, channels)
    if channels in (2, 4):
        return torch.cat([coloured(values, channels - 1), torch.full_like(values[:, :1], 255 / 256)], 1)
    if channels == 3:
        return values.expand(-1, 3, -1, -1)
    weights = torch.tensor([0.299, 0.587, 0.114]).to(values)[:, None, None]
    return (values * weights).sum(1, keepdim=True)


def is_clip(place: Path | str, best: bool = False) -> bool:
    """Whether a CLIP is there rather than a generator. Raises ValueError where there is no model."""
    if find_adapter(place, best) is not None:
        return False
    folder = find_model(place, best)
    return store.is_clip(folder) or foreign_clip.is_foreign(folder)


def opened(clip: Clip | Path | str, device: str) -> Clip:
    """A CLIP, or that of a place."""
    return clip if isinstance(clip, Clip) else load(clip, device)


def load(
    place: Path | str,
    device: str = "auto",
    ema: float | None = None,
    best: bool = False,
    text: Path | str | None = None,
) -> Clip:
    """The CLIP of a run or a model folder, or of a folder of `transformers`; see `phosphene.load`.

    Raises ValueError for what is none, or is damaged.
    """
    folder, where = find_model(place, best), choose_device(device)
    if foreign_clip.is_foreign(folder):
        if ema is not None:
            raise ValueError(
                f"ema {ema}: {folder} is a model of transformers, of one set of weights; leave it out"
            )
        return Clip(foreign_clip.load(folder, where), folder, where)
    if not store.is_clip(folder):
        raise ValueError(
            f"clip {place}: this model makes pictures; give a run of the recipe clip, or a folder of "
            "transformers with a CLIP or SigLIP"
        )
    model = store.load(folder, ema)
    made_ready(model.network.requires_grad_(False), where)
    header, there = model.header.text, None if text is None else str(text)
    hears = Text(header.width, lambda: text_encoder.of_header(header, there, where))
    return Clip(Own(model, hears, where), folder, where)
