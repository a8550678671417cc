"""Photographs in tiles, for super-resolution, inpainting and restoration.

A photograph is halved (each pixel the mean of 2 x 2, which takes away most of JPEG's blocks and the colour
filter's guesses) and cut into tiles that do not overlap. A tile is kept if it shows texture: the root mean
square of the differences between neighbouring pixels' luma, right and down, is at least TEXTURE of 255.
Sky and blur are below. Whole photographs are held out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from phosphene.data.made.folder import HELD_OUT, TRAIN, Making, Order, Picture
from phosphene.data.made.gathered.credits import Credit, link
from phosphene.data.made.gathered.origin import Found, credited, gather, held_out_groups, shuffled
from phosphene.pictures.fitting import to_mode
from phosphene.pictures.opening import PictureError, open_picture

TEXTURE = 4.0
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
STREAM = 0x70686F74
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
UNKNOWN = Credit("unknown", "unknown")

# The photographs of each package; its other wallpapers are drawn. KDE's are named by their folders.
PHOTOGRAPHS = {
    "lomiri-wallpapers-16.04": (
        "Bridge_by_Sander_Klootwijk",
        "Dragonfly_by_Bolly",
        "Picture_0B_by_freespace",
        "Picture_1A_by_freespace",
        "Wine_by_Jakkub_Mede",
        "aitzgorri_by_Aitzol_Berasategi",
        "free_by_Peter_Nerlich",
        "friends_by_Aitzol_Berasategi",
        "greentock_by_Peter_Nerlich",
        "life_by_Aitzol_Berasategi",
        "picosdeeuropa_by_Aitzol_Berasategi",
        "seeding_by_Clements_Engelhardt",
        "sunset_by_Aitzol_Berasategi",
    ),
    "mate-backgrounds": (
        "Aqua",
        "Blinds",
        "Dune",
        "FreshFlower",
        "Garden",
        "GreenMeadow",
        "LadyBird",
        "RainDrops",
        "Storm",
        "TwoWings",
        "Wood",
        "YellowFlower",
    ),
    "plasma-workspace-wallpapers": (
        "BytheWater",
        "ColdRipple",
        "ColorfulCups",
        "DarkestHour",
        "EveningGlow",
        "FallenLeaf",
        "Grey",
        "Kite",
        "OneStandsOut",
        "Path",
        "summer_1am",
    ),
}

WORDS = """Tiles of photographs at half their size, cut without overlap, in colour.

Kept are tiles with texture: the root mean square of the differences between neighbouring pixels' luma is at
least {texture:g} of 255. Fields: `photo` (which), `x` and `y` (of the tile's left upper corner in the halved
photograph), `texture` (that figure). There are no captions. Held out are whole photographs.

## Attribution

Changes: halved, cut into tiles. Each photograph's licence holds for its tiles.

{table}

{origin}"""


class Photo(NamedTuple):
    """A photograph: what it is called, its file, whose it is."""

    name: str
    found: Found
    credit: Credit


class Tile(NamedTuple):
    """A tile of the halved photograph of that number, by its left upper corner."""

    photo: int
    x: int
    y: int
    texture: float


def photos(order: Order) -> Making:
    """Tiles of the photographs of three of Debian's packages of wallpapers, or of all pictures in the user's
    folders. Each photograph is looked at once before the first tile is written.

    Raises ValueError if no tile of that size shows texture.
    """
    origin = gather(order.sources, tuple(PHOTOGRAPHS))
    known = list(_photographs(origin.files(*SUFFIXES)))
    order.sources.say(f"looking for texture in {len(known)} pictures")
    tiles = [
        Tile(number, x, y, texture)
        for number, photo in enumerate(known)
        for x, y, texture in textured(_opened(photo.found.path), order.size)
    ]
    if not tiles:
        raise ValueError(
            f"photos from {origin.named}: no tile of {order.size} pixels with texture in {len(known)}"
        )
    counts = Counter(known[tile.photo].name for tile in tiles)
    out = held_out_groups(counts, order.held_out)
    chosen = [tiles[i] for i in shuffled(len(tiles), order.seed, STREAM)[: order.count]]
    used = [photo for photo in known if counts[photo.name]]
    words = WORDS.format(texture=TEXTURE, table=_table(used, counts, out), origin=origin.words)
    settings = {**origin.settings, "photos": len(used), "tiles": len(tiles), "texture": TEXTURE}
    return Making(len(chosen), _pictures(known, chosen, out, order.size), words, settings)


def halved(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """An RGB picture at half its size, each pixel the mean of 2 x 2, rounded; an odd edge is cut."""
    pixels = np.asarray(image)
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    corners = pixels[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
    return ((corners.sum(axis=(1, 3), dtype=np.uint16) + 2) // 4).astype(np.uint8)


def texture(tiles: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, " n"]:
    """The root mean square of the differences of luma between neighbours, right and down, a figure a tile."""
    luma = tiles.astype(np.float32) @ LUMA
    across, down = np.diff(luma, axis=2), np.diff(luma, axis=1)
    both = (across**2).sum(axis=(1, 2)) + (down**2).sum(axis=(1, 2))
    return np.sqrt(both / (across[0].size + down[0].size))


def textured(pixels: UInt8[np.ndarray, "h w 3"], size: int) -> list[tuple[int, int, float]]:
    """Corners x, y of the tiles that show texture, and how much; what is left over is cut on both sides."""
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    top, left = (pixels.shape[0] - rows * size) // 2, (pixels.shape[1] - columns * size) // 2
    found = []
    if not columns:
        return found
    for y in range(top, top + rows * size, size):
        strip = pixels[y : y + size, left : left + columns * size]
        tiles = strip.reshape(size, columns, size, 3).swapaxes(0, 1)
        figures = texture(tiles)
        found += [
            (left + size * column, y, round(float(figures[column]), 2))
            for column in np.flatnonzero(figures >= TEXTURE).tolist()
        ]
    return found


def _pictures(
    known: Sequence[Photo], chosen: Sequence[Tile], out: frozenset[str], size: int
) -> Iterator[Picture]:
    """Photograph by photograph, so that one is open at a time; a tile's number is its place in `chosen`."""
    by_photo = sorted(enumerate(chosen), key=lambda numbered: numbered[1].photo)
    for photo, tiles in groupby(by_photo, key=lambda numbered: numbered[1].photo):
        name, whole = known[photo].name, _opened(known[photo].found.path)
        for number, tile in tiles:
            pixels = np.ascontiguousarray(whole[tile.y : tile.y + size, tile.x : tile.x + size])
            fields = {"photo": name, "x": tile.x, "y": tile.y, "texture": tile.texture}
            yield Picture(pixels, fields, HELD_OUT if name in out else TRAIN, f"{number:06}")


def _opened(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """A picture, halved; nothing of a file that is no picture."""
    try:
        return halved(to_mode(open_picture(path).image, "RGB"))
    except PictureError:
        return np.zeros((0, 0, 3), np.uint8)


def _photographs(files: Iterator[Found]) -> Iterator[Photo]:
    """Of Debian's packages those that are known as photographs, each once, the largest file; of the user's
    folders all."""
    best: dict[str, Found] = {}
    for found in files:
        name = _name(found)
        if found.package is not None and name not in PHOTOGRAPHS[found.package.name]:
            continue
        if name not in best or found.path.stat().st_size > best[name].path.stat().st_size:
            best[name] = found
    for name in sorted(best):
        yield Photo(name, best[name], credited(best[name]) or UNKNOWN)


def _name(found: Found) -> str:
    """NAME of NAME.jpg, or of KDE's NAME/contents/images/1920x1080.jpg; in folders of the user's the path."""
    if found.path.parts[-3:-1] == ("contents", "images"):
        return found.path.parts[-4]
    return found.path.stem if found.package is not None else found.name


def _table(photos: Sequence[Photo], counts: Counter[str], out: frozenset[str]) -> str:
    lines = ["| photograph | side | tiles in all | by | licence |", "|---|---|---|---|---|"]
    for photo in photos:
        licence = photo.credit.licence
        shown = f"[{licence}]({link(licence)})" if link(licence) else licence
        side = HELD_OUT if photo.name in out else TRAIN
        cells = (photo.name, side, f"{counts[photo.name]:,}", photo.credit.holders.replace("|", "/"), shown)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
