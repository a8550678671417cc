"""The models that are shipped: of what they learn, what they are aimed at, and how that is measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.quality import text, upscaling
from phosphene.families import clip
from phosphene.families.generator import Generator
from phosphene.measures.interval import Interval
from phosphene.store.shipped import Score


@dataclass(frozen=True)
class Extent:
    """How much of it. budget: of training; count: prompts of a kind, or pictures; candidates: for each;
    pictures: made to train on, None for the plan's; threads: of the CPU, None for all. ranker: a run of the
    recipe clip that chooses among candidates."""

    budget: str
    count: int
    candidates: int
    pictures: int | None
    device: str
    threads: int | None
    ranker: Path | None = None


Scores = Callable[[Generator, Path, Extent], Iterator[Score]]


@dataclass(frozen=True)
class Planned:
    """A model to ship. data: the set that it learns of, `count` pictures. scores: of a generator and the
    set's folder."""

    name: str
    data: str
    count: int
    about: str
    licence: str
    example: str
    measured: str
    scores: Scores


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

    def scores(generator: Generator, data: Path, extent: Extent) -> Iterator[Score]:
        ranker, kinds = extent.ranker and clip.load(extent.ranker, extent.device), {}
        for one in text.measure(generator, data, extent.count, 1, extent.candidates, ranker):
            kinds[one.kind] = one
            print(f"{one.kind}: {text.shown(one.right)}% right", flush=True)
        for aim in aims:
            one = kinds.get(aim.kind)
            figure: Interval | float | None = one and getattr(one, aim.figure)
            if one is None or figure is None:  # not asked for
                continue
            value, *ends = figure if isinstance(figure, Interval) else (figure,)
            low, high = (round(100 * end, 1) for end in ends) if ends else (None, None)
            yield Score(
                name=aim.name, value=round(100 * value, 1), low=low, high=high, of=one.of, target=aim.target
            )

    return scores


MOST = 200  # photographs that are enlarged; as many others are compared with


def enlarged(generator: Generator, data: Path, extent: Extent) -> Iterator[Score]:
    """Of super-resolution, beside bicubic enlargement."""
    count, ways = min(extent.count, MOST), {}
    for way in upscaling.measure(generator, data / "held-out", count, 4):
        ways[way.name] = way
        print(f"{way.name}: {way.psnr:.2f} dB, KID {way.distribution.kernel}", flush=True)
    ours, bicubic = ways[upscaling.TRAINED], ways[upscaling.BICUBIC]
    yield score("PSNR", ours.psnr, count, "dB", round(bicubic.psnr, 2))
    yield score("consistency", ours.consistency, count, "dB", 45)
    for name, one in (("KID x 1000", ours), ("KID x 1000 of bicubic", bicubic)):
        kid = one.distribution.kid
        found = score(name, kid.value, count, "")
        yield found.model_copy(update={"low": round(kid.low, 2), "high": round(kid.high, 2)})


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
    "Tiles of held-out photographs, made smaller and larger again; KID on the shipped encoder, to others.",
    enlarged,
)
PLANNED = {planned.name: planned for planned in (SHAPES, FACES, SUPERRES)}
