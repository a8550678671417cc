"""The models that are shipped: of what they learn, what they are aimed at, and how that is measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.quality import clip as of_clip
from bench.quality import editing, inpainting, nearest, restoration, text, upscaling
from bench.quality.restored import MEANT, Distribution
from phosphene.families import clip
from phosphene.families.generator import load
from phosphene.measures.interval import Interval, share
from phosphene.store.shipped import Score


@dataclass(frozen=True)
class Extent:
    """How much of it. budget: of training; count: prompts of a kind, or pictures; candidates: for each;
    pictures: made to train on, None for the plan's; threads: of the CPU, None for all. ranker: a run of the
    recipe clip that chooses among candidates, None for the plan's."""

    budget: str
    count: int
    candidates: int
    pictures: int | None
    device: str
    threads: int | None
    ranker: Path | None = None


Scores = Callable[[Path, Path, Extent], Iterator[Score]]
"""Of a run's folder and the folder of the set that it learned of."""


@dataclass(frozen=True)
class Planned:
    """A model to ship.

    data: the set that it learns of, `count` pictures, or triples where it edits. of_whole: it learns of the
    textured tiles of those pictures, made with so many pixels a side and halved. begins: the model that it
    begins from, ranker: the CLIP that chooses among its candidates, each one of those planned before it.
    """

    name: str
    data: str
    count: int
    about: str
    licence: str
    example: str
    measured: str
    scores: Scores
    edits: bool = False
    of_whole: int | None = None
    begins: str | None = None
    ranker: str | None = None


@dataclass(frozen=True)
class Aim:
    """A figure that is aimed at. kind: of prompts. figure: right (all that is asked), mean (over aspects),
    ranked (right in all, the best of four by a CLIP) or any_right (at least one of four)."""

    name: str
    kind: str
    figure: str
    target: float | None = None


def heard(*aims: Aim) -> Scores:
    """Of text to image."""

    def scores(run: Path, data: Path, extent: Extent) -> Iterator[Score]:
        generator = load(run, extent.device)
        ranker = extent.ranker and clip.load(extent.ranker, extent.device)
        how = (1, extent.candidates, ranker)
        kinds = text.table(generator, data, extent.count, f"text_{run.name}", *how)
        for aim in aims:
            one = kinds.get(aim.kind)
            figure: Interval | float | None = one and getattr(one, aim.figure)
            if one is None or figure is None:  # not asked for
                continue
            if isinstance(figure, Interval):
                yield percent(aim.name, figure, one.of, aim.target)
            else:
                yield Score(name=aim.name, value=round(100 * figure, 1), of=one.of, target=aim.target)

    return scores


MOST = 200  # pictures that are restored; as many others are compared with


def enlarged(run: Path, data: Path, extent: Extent) -> Iterator[Score]:
    """Of super-resolution, beside bicubic enlargement."""
    count = min(extent.count, MOST)
    held_out, name = data / "held-out", f"upscaling_{run.name}"
    ways = upscaling.table(load(run, extent.device), held_out, count, name)
    ours, mean, bicubic = (ways[name] for name in (upscaling.TRAINED, upscaling.MEAN, upscaling.BICUBIC))
    yield score("PSNR", ours.psnr, count, "dB", round(bicubic.psnr, 2))
    yield score(f"PSNR of the mean of {MEANT}", mean.psnr, count, "dB", round(bicubic.psnr, 2))
    yield score("consistency", ours.consistency, count, "dB", 45)
    for name, one in (("", ours), (f" of the mean of {MEANT}", mean), (" of bicubic", bicubic)):
        yield paired(f"KID x 1000{name}, to the originals", one.distribution, count)


def made_whole(run: Path, data: Path, extent: Extent) -> Iterator[Score]:
    """Of inpainting, beside OpenCV's Telea."""
    count = min(extent.count, MOST)
    held_out, name = data / "held-out", f"inpainting_{run.name}"
    ways = inpainting.table(load(run, extent.device), held_out, count, name)
    ours, mean, telea = (ways[name] for name in (inpainting.TRAINED, inpainting.MEAN, inpainting.TELEA))
    yield score("PSNR inside", ours.inside, count, "dB", round(telea.inside, 2))
    yield score(f"PSNR inside of the mean of {MEANT}", mean.inside, count, "dB", round(telea.inside, 2))
    for name, one in (("", ours), (" of Telea", telea)):
        yield paired(f"KID x 1000{name}, to the originals", one.distribution, count)


def restored(run: Path, data: Path, extent: Extent) -> Iterator[Score]:
    """Of colouring, deblurring, denoising, beside what is shown, or what OpenCV makes of its noise."""
    count = min(extent.count, MOST)
    held_out, name = data / "held-out", f"restoration_{run.name}"
    ways = restoration.table(load(run, extent.device), held_out, count, name)
    ours, mean = ways[restoration.TRAINED], ways[restoration.MEAN]
    other = ways.get(restoration.MEANS, ways[restoration.SHOWN])
    yield score("PSNR", ours.psnr, count, "dB", round(other.psnr, 2))
    yield score(f"PSNR of the mean of {MEANT}", mean.psnr, count, "dB", round(other.psnr, 2))
    for name, one in (("", ours), (f" of {other.name}", other)):
        yield paired(f"KID x 1000{name}, to the originals", one.distribution, count)


def obeyed(run: Path, data: Path, extent: Extent) -> Iterator[Score]:
    """Of editing by instruction: the requested change and no other."""
    names = {
        "held-out": ("asked for changed, all else kept", 90),
        "withheld": ("withheld pairs", None),
        "paraphrased": ("words never trained on", None),
    }
    for one in editing.table(load(run, extent.device), data, extent.count, f"editing_{run.name}"):
        if one.kind in names:
            name, target = names[one.kind]
            yield percent(name, one.both, one.of, target)


def understood(run: Path, data: Path, extent: Extent) -> Iterator[Score]:
    """Of a CLIP."""
    names = {
        of_clip.NEAREST: f"own caption the nearest of {extent.count}",
        of_clip.FIRST: f"of {of_clip.AMONG} real pictures the first is right",
    }
    for line in of_clip.table(clip.load(run, extent.device), data, extent.count, f"clip_{run.name}"):
        if line.what in names:
            yield percent(names[line.what], share(line.right, line.of), line.of, None)


def named(run: Path, data: Path, extent: Extent) -> Iterator[Score]:
    """Of text to image where no judge reads pictures."""
    found = nearest.table(load(run, extent.device), data, extent.count, f"nearest_{run.name}")
    for what, one in found.shares.items():
        yield percent(f"nearest of {found.among} real pictures: {what}", one.right, len(found.asked), None)


def paired(name: str, one: Distribution, of: int) -> Score:
    value, low, high = (round(part, 2) for part in one.paired)
    return Score(name=name, value=value, low=low, high=high, of=of, unit="")


def percent(name: str, found: Interval, of: int, target: float | None) -> Score:
    value, low, high = (round(100 * part, 1) for part in found)
    return Score(name=name, value=value, low=low, high=high, of=of, target=target)


def score(name: str, value: float, of: int, unit: str, target: float | None = None) -> Score:
    return Score(name=name, value=round(value, 2), of=of, target=target, unit=unit and f" {unit}")


FRESH = "Pictures of fresh seeds for prompts that training never saw, read by the set's own judge."
SHAPES = Planned(
    "shapes",
    "shapes",
    40_000,
    "scenes of coloured shapes, 64 pixels, from captions",
    "Apache-2.0",
    'phosphene sample shapes --prompt "a red circle left of a blue star"',
    FRESH,
    heard(
        Aim("captions of seen combinations", "held-out", "right", 95),
        Aim("the same, best of four by a CLIP", "held-out", "ranked", 98),
        Aim("the same, at least one of four", "held-out", "any_right"),
        Aim("withheld pairs of colour and shape", "withheld", "right", 85),
        Aim("words never trained on", "paraphrased", "right", 80),
    ),
    ranker="shapes-clip",
)
FACES = Planned(
    "faces",
    "faces",
    40_000,
    "cartoon faces, 64 pixels, from captions",
    "Apache-2.0; it learned from Avataaars by Pablo Stanley, free for personal and commercial use",
    'phosphene sample faces --prompt "A cartoon smiling person with curly red hair and round glasses."',
    FRESH,
    heard(
        Aim("attributes, mean of ten", "held-out", "mean", 95),
        Aim("all that a caption says", "held-out", "right"),
        Aim("attributes, words never trained on", "paraphrased", "mean"),
    ),
)
SUPERRES = Planned(
    "superres",
    "photos",
    20_000,
    "super-resolution, 4 times, of photographs of any size",
    "Apache-2.0; it learned from photographs among Debian's wallpapers (GPL-2+, LGPLv3, CC-BY, CC-BY-SA); "
    "`phosphene data photos` lists them",
    "phosphene upscale superres --image small.png",
    "Tiles of held-out photographs, made smaller and larger again; KID on the shipped encoder.",
    enlarged,
)
SHAPES_EDITING = Planned(
    "shapes-editing",
    "shapes",
    40_000,
    "scenes of coloured shapes, 64 pixels, changed by instruction",
    "Apache-2.0",
    'phosphene edit shapes-editing --image scene.png --prompt "make the red circle blue"',
    "Scenes that training never began with, read by the scene oracle: the requested change, and no other.",
    obeyed,
    edits=True,
    begins="shapes",
)
SHAPES_CLIP = Planned(
    "shapes-clip",
    "shapes",
    40_000,
    "a CLIP of scenes of coloured shapes, 32 pixels: ranks, scores and finds",
    "Apache-2.0",
    'phosphene sample shapes --prompt "a red circle left of a blue star" --best-of 4 --ranker shapes-clip',
    "Held-out pictures and captions; what ranking picks is read by the scene oracle.",
    understood,
)
FACES_INPAINTING = Planned(
    "faces-inpainting",
    "faces",
    40_000,
    "cartoon faces, 64 pixels, with a part missing, made whole",
    FACES.licence,
    "phosphene inpaint faces-inpainting --image face.png --mask mask.png",
    "Held-out faces, strokes, boxes and borders missing; KID on the shipped encoder.",
    made_whole,
)
FACES_EDITING = Planned(
    "faces-editing",
    "faces",
    20_000,
    "cartoon faces, 64 pixels, changed by instruction",
    FACES.licence,
    'phosphene edit faces-editing --image face.png --prompt "add round glasses"',
    "Held-out faces, read by the shipped reader of attributes: the requested change, and no other.",
    obeyed,
    edits=True,
    begins="faces",
)
FACES_SUPERRES = Planned(
    "faces-superres",
    "faces",
    800,
    "super-resolution, 4 times, of cartoon faces: the second stage of a cascade",
    FACES.licence,
    "phosphene cascade faces faces-superres --out cascade",
    "Tiles of held-out faces, made smaller and larger again; KID on the shipped encoder.",
    enlarged,
    of_whole=512,
    begins="superres",
)
FACES_TO_128 = Planned(
    "faces-to-128",
    "faces",
    2_400,
    "super-resolution, twice, of cartoon faces of 64 pixels: the second of three stages",
    FACES.licence,
    "phosphene cascade faces faces-to-128 faces-to-256 --out cascade",
    FACES_SUPERRES.measured,
    enlarged,
    of_whole=256,
    begins="superres-2x",
)
FACES_TO_256 = replace(
    FACES_TO_128,
    name="faces-to-256",
    count=800,
    about="super-resolution, twice, of cartoon faces of 128 pixels: the last of three stages",
    of_whole=512,
)
PHOTOS_INPAINTING = Planned(
    "photos-inpainting",
    "photos",
    20_000,
    "photographs, 64 pixels, with a part missing, made whole",
    SUPERRES.licence,
    "phosphene inpaint photos-inpainting --image photo.png --mask mask.png",
    "Tiles of held-out photographs, strokes, boxes and borders missing; KID on the shipped encoder.",
    made_whole,
)
PHOTOGRAPHS = "Tiles of held-out photographs, {}; KID on the shipped encoder."
SUPERRES_2X = replace(
    SUPERRES,
    name="superres-2x",
    about="super-resolution, twice, of photographs of any size",
    example="phosphene upscale superres-2x --image small.png",
    begins="superres",
)
SUPERRES_8X = replace(
    SUPERRES,
    name="superres-8x",
    about="super-resolution, 8 times, of photographs of any size",
    example="phosphene upscale superres-8x --image small.png",
    begins="superres",
)
PHOTOS_DENOISING = Planned(
    "photos-denoising",
    "photos",
    20_000,
    "photographs of any size without their noise",
    SUPERRES.licence,
    "phosphene restore photos-denoising --image noisy.png",
    PHOTOGRAPHS.format("noise of any deviation up to 0.5 on them"),
    restored,
    begins="superres",
)
PHOTOS_DEBLURRING = Planned(
    "photos-deblurring",
    "photos",
    20_000,
    "photographs of any size made sharp",
    SUPERRES.licence,
    "phosphene restore photos-deblurring --image blurred.png",
    PHOTOGRAPHS.format("blurred by Gaussians of up to 2 pixels"),
    restored,
    begins="superres",
)
PHOTOS_COLOURING = Planned(
    "photos-colouring",
    "photos",
    20_000,
    "grey photographs of any size in colour",
    SUPERRES.licence,
    "phosphene restore photos-colouring --image grey.png -n 4",
    PHOTOGRAPHS.format("made grey"),
    restored,
    begins="photos-inpainting",
)
EMOJI = Planned(
    "emoji",
    "emoji",
    3_641,
    "emoji with transparency, 64 pixels, from their names",
    "Apache-2.0; it learned from Noto Color Emoji (SIL-1.1)",
    'phosphene sample emoji --prompt "woman firefighter: medium skin tone"',
    "Names that training never had, each a concept and a skin tone that it had apart.",
    named,
)
PLANNED = {
    planned.name: planned
    for planned in (
        SHAPES_CLIP,
        SHAPES,
        FACES,
        SUPERRES,
        SHAPES_EDITING,
        FACES_EDITING,
        FACES_INPAINTING,
        FACES_SUPERRES,
        PHOTOS_INPAINTING,
        SUPERRES_2X,
        FACES_TO_128,
        FACES_TO_256,
        SUPERRES_8X,
        PHOTOS_DENOISING,
        PHOTOS_DEBLURRING,
        PHOTOS_COLOURING,
        EMOJI,
    )
}
