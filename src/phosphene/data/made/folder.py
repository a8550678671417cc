"""Writes made pictures as ordinary folders of pictures.

    DIR/train/      000000.png, ..., metadata.jsonl (file_name, text, further exact fields)
    DIR/held-out/   the same; some sets have further sides
    DIR/README.md   what it is, its licence, the command that makes it again
    DIR/made.json   the settings, so that a program knows it too

The folder is there whole or not at all.
"""

import hashlib
import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from phosphene import files
from phosphene.version import __version__

TRAIN, HELD_OUT = "train", "held-out"
Progress = Callable[[int, int], None]
Pixels = Image.Image | UInt8[np.ndarray, "h w"] | UInt8[np.ndarray, "h w c"]


def silent(words: str) -> None:
    """Says nothing."""


class Sources(NamedTuple):
    """Where sets that are gathered rather than drawn (emoji, glyphs, photos) have their files from.

    folders: of the user's, searched to any depth; without any, Debian's packages are fetched. say: is told,
    a line at a time, what takes long.
    """

    folders: tuple[Path, ...] = ()
    say: Callable[[str], None] = silent


FETCHED = Sources()


@dataclass(frozen=True)
class Order:
    """What was asked for: pictures in all, pixels a side, seed, share that is held out, files to use.

    Picture i of a set is a function of (seed, i, size) alone: a larger count adds pictures and changes none.
    """

    count: int
    size: int
    seed: int = 0
    held_out: float = 0.1
    sources: Sources = FETCHED


class Picture(NamedTuple):
    """One picture and what is known of it.

    fields: `text` (a caption) and whatever else is exactly known, as JSON takes it. side: the folder it goes
    to, train or held-out (a set may have more). name: of its file inside that folder, without suffix; A/0001
    puts it into a sub-folder (a class). Its number among all pictures by default.
    """

    pixels: Pixels
    fields: Mapping[str, Any]
    side: str = TRAIN
    name: str | None = None


class Making(NamedTuple):
    """A set that is being made: how many pictures come, and the pictures.

    words: Markdown for README.md: what the pictures are, what the fields mean, licence, attribution.
    settings: what made.json holds beside the order.
    """

    total: int
    pictures: Iterable[Picture]
    words: str
    settings: Mapping[str, Any] = {}


def write(name: str, order: Order, making: Making, out: Path, on_progress: Progress | None = None) -> Path:
    """Writes a set as `out`; on_progress(done, total) after each picture.

    Whatever stops it (Ctrl-C, a full disk) leaves nothing behind. Raises ValueError where `out` is a file or
    holds something, or if no picture is left to train on.
    """
    check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.replace_folder(out) as folder:
        rows: dict[str, list[str]] = {TRAIN: []}
        for number, picture in enumerate(making.pictures):
            file = f"{picture.name or f'{number:06}'}.png"
            path = folder / picture.side / file
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = picture.pixels
            image = opened if isinstance(opened, Image.Image) else Image.fromarray(opened)
            image.save(path, compress_level=1)
            line = json.dumps({"file_name": file, **picture.fields}, ensure_ascii=False)
            rows.setdefault(picture.side, []).append(line)
            if on_progress is not None:
                on_progress(number + 1, making.total)
        if not rows[TRAIN]:
            raise ValueError(f"count {order.count} of {name}: all are held out; ask for more pictures")
        for side, lines in rows.items():
            (folder / side / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        sides = {side: len(lines) for side, lines in rows.items()}
        asked = {"count": order.count, "size": order.size, "seed": order.seed, "held_out": order.held_out}
        made = {"set": name, **asked, **making.settings, "sides": sides, "phosphene": __version__}
        (folder / "made.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (folder / "README.md").write_text(_readme(name, order, making, sides), "utf-8")
    return out


def check_out(out: Path) -> None:
    """Raises ValueError unless `out` is free: not there, or an empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out {out}: something is there already; choose another folder")


def read_made(folder: Path) -> dict[str, Any] | None:
    """made.json of a made set, given its folder or that of one of its sides; None for other folders."""
    for place in (folder, folder.parent):
        if (place / "made.json").is_file():
            return json.loads((place / "made.json").read_text("utf-8"))
    return None


def is_held_out(key: str, share: float) -> bool:
    """Whether whatever bears this key is held out, which happens to a share in [0, 1] of all keys.

    It depends on nothing else: pictures with one key are on one side, whatever the seed and the count.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64


def _readme(name: str, order: Order, making: Making, sides: Mapping[str, int]) -> str:
    options = f"--count {order.count} --size {order.size} --seed {order.seed} --held-out {order.held_out:g}"
    extra = "".join(f" --{key}" for key, value in making.settings.items() if value is True)
    extra += "".join(f" --from {shlex.quote(str(folder))}" for folder in order.sources.folders)
    counts = "\n".join(f"- {side}/: {count:,} pictures" for side, count in sides.items())
    return (
        f"# {name}\n\n{making.words.strip()}\n\n## Pictures\n\n{counts}\n\n"
        f"Each folder has a metadata.jsonl: `file_name` and the fields above.\n\n"
        f"Made by phosphene {__version__}; the same again:\n\n"
        f"    phosphene data {name} --out DIR {options}{extra}\n"
    )
