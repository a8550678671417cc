"""The sets that can be made, by name. What makes one is imported when it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phosphene.data.made.folder import Making, Order, Progress, Sources, check_out, silent, write

Maker = Callable[[Order], Making]


@dataclass(frozen=True)
class Made:
    """A set: one line about it, its usual count and size, the sizes it can have, and what makes it.

    make is called before anything is written: it raises ValueError for what cannot be made, and
    ModuleNotFoundError if the extra is missing, whose name is `extra`. edits makes triples (picture,
    instruction, changed picture) instead, where the set has them. gathered: its files come from Debian's
    packages, or from folders of the user's.
    """

    about: str
    count: int
    size: int
    make: Maker
    sizes: range = range(8, 513)
    extra: str | None = None
    edits: Maker | None = None
    gathered: bool = False


def make_set(
    name: str,
    *,
    out: str | Path | None = None,
    count: int | None = None,
    size: int | None = None,
    seed: int = 0,
    held_out: float = 0.1,
    edits: bool = False,
    folders: Sequence[str | Path] = (),
    on_progress: Progress | None = None,
    say: Callable[[str], None] = silent,
) -> Path:
    """Makes a set of MADE and returns its folder, `out` or data/NAME. Same arguments, same bytes.

    folders: that hold the fonts or wallpapers of emoji, glyphs or photos; without any, these are fetched from
    Debian, and `say` is told so a line at a time.

    Raises ValueError with one line for whatever cannot be made, before anything is written.
    """
    if name not in MADE:
        raise ValueError(f"data {name!r}: sets that can be made are {', '.join(MADE)}")
    made = MADE[name]
    folder = Path(out) if out is not None else Path("data", name)
    sources = Sources(tuple(map(Path, folders)), say)
    order = Order(made.count if count is None else count, size or made.size, seed, held_out, sources)
    if order.count < 1:
        raise ValueError(f"count {count}: give at least 1 picture")
    if size is not None and size not in made.sizes:
        raise ValueError(f"size {size} of {name}: give {made.sizes[0]} to {made.sizes[-1]} pixels")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed {seed}: give at least 0 and below 2^63")
    if not 0 <= held_out < 1:
        raise ValueError(f"held_out {held_out}: give a share of at least 0 and below 1")
    if folders and not made.gathered:
        taking = ", ".join(name for name, made in MADE.items() if made.gathered)
        raise ValueError(f"from {folders[0]}: {name} is drawn; only {taking} take folders")
    missing = next((folder for folder in sources.folders if not folder.is_dir()), None)
    if missing is not None:
        raise ValueError(f"from {missing}: no such folder")
    maker = made.edits if edits else made.make
    if maker is None:
        having = " and ".join(name for name, made in MADE.items() if made.edits)
        raise ValueError(f"edits of {name}: only {having} have them")
    check_out(folder)
    try:
        making = maker(order)
    except ModuleNotFoundError as error:
        if made.extra is None:
            raise
        raise ValueError(
            f"data {name} needs {error.name}, which is not installed: pip install 'phosphene[{made.extra}]'"
        ) from error
    return write(name, order, making, folder, on_progress)


def _shapes(order: Order) -> Making:
    from phosphene.data.made.shapes.making import shapes

    return shapes(order)


def _shape_edits(order: Order) -> Making:
    from phosphene.data.made.shapes.making import edits

    return edits(order)


def _faces(order: Order) -> Making:
    from phosphene.data.made.faces.making import faces

    return faces(order)


def _face_edits(order: Order) -> Making:
    from phosphene.data.made.faces.making import edits

    return edits(order)


def _emoji(order: Order) -> Making:
    from phosphene.data.made.gathered.emoji import emoji

    return emoji(order)


def _glyphs(order: Order) -> Making:
    from phosphene.data.made.gathered.glyphs import glyphs

    return glyphs(order)


def _photos(order: Order) -> Making:
    from phosphene.data.made.gathered.photos import photos

    return photos(order)


MADE: Mapping[str, Made] = {
    "shapes": Made(
        "captioned scenes of coloured shapes, with an exact oracle; --edits for edit triples",
        count=10_000,
        size=64,
        make=_shapes,
        sizes=range(32, 513),
        edits=_shape_edits,
    ),
    "faces": Made(
        "cartoon faces with ten exact attributes, captions in varied wording; --edits for edit triples",
        count=10_000,
        size=64,
        make=_faces,
        sizes=range(32, 513),
        extra="faces",
        edits=_face_edits,
    ),
    "emoji": Made(
        "emoji with transparency, captioned; pairs of concept and skin tone are held out",
        count=3_641,
        size=64,
        make=_emoji,
        gathered=True,
    ),
    "glyphs": Made(
        "letters and digits, 62 classes, in some 150 typefaces; whole designs are held out",
        count=9_796,
        size=28,
        make=_glyphs,
        sizes=range(12, 257),
        gathered=True,
    ),
    "photos": Made(
        "textured tiles of photographs, for super-resolution and inpainting; whole photographs are held out",
        count=4_400,
        size=64,
        make=_photos,
        sizes=range(16, 257),
        gathered=True,
    ),
}
