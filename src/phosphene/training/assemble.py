"""From a recipe and a data set to the parts of a run: the network's exact configuration, family and task."""

import math
from collections.abc import Collection, Iterator, Sequence

import torch

from phosphene.data.dataset import Dataset
from phosphene.families.contrast import Contrast
from phosphene.families.diffusion import Diffusion
from phosphene.networks.build import AnyConfig, build
from phosphene.networks.clip import ClipConfig
from phosphene.networks.transformer import TransformerConfig
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import ClipSettings, Recipe, TransformerSettings
from phosphene.recipes.tasks import EditingTask
from phosphene.store.clip import ClipHeader
from phosphene.store.model import AnyHeader, Header
from phosphene.tasks.sights import extra, refuse_for, sight
from phosphene.tasks.task import Task
from phosphene.tasks.text import Text
from phosphene.training import text

AUGMENT = 9  # numbers that tell the network what augmentation did

# Widths of the levels by picture size: each halves the picture, and the last sees it at 4 pixels or more.
MULTIPLIERS = {8: (1, 2), 16: (1, 2, 2), 32: (1, 2, 2, 2), 64: (1, 2, 3, 4), 128: (1, 1, 2, 3, 4)}

# Of a CLIP's stages: the last one sees the picture at 4 pixels or more.
CLIP_MULTIPLIERS = {8: (1,), 16: (1, 2), 32: (1, 2, 4), 64: (1, 1, 2, 4), 128: (1, 1, 2, 4, 4)}


def network_config(recipe: Recipe, size: int, channels: int, classes: int, token_width: int = 0) -> AnyConfig:
    """The network of a recipe for pictures of this size. Raises ValueError for a size that it cannot take."""
    settings = recipe.network
    if isinstance(settings, ClipSettings):
        return clip_config(settings, size, channels, token_width)
    out = channels * (2 if recipe.diffusion.learned_variance else 1)
    augment = AUGMENT if recipe.data.augment else 0
    refuse_for(recipe.task, channels, size)
    taken = channels + extra(recipe.task, channels)
    if isinstance(settings, TransformerSettings):
        if size % settings.patch:
            raise ValueError(
                f"data.size {size}: network.patch {settings.patch} does not divide it; "
                f"take a size that is a multiple of {settings.patch}"
            )
        if settings.token_depth and not token_width:
            raise ValueError(
                f"network.token_depth {settings.token_depth}: layers for captions, of which none are heard; "
                "set data.text, or 0"
            )
        return TransformerConfig(
            taken,
            out,
            settings.patch,
            settings.width,
            settings.depth,
            settings.head_width,
            dropout=settings.dropout,
            classes=classes,
            token_width=token_width,
            augment=augment,
            token_depth=settings.token_depth,
            shared_modulation=settings.shared_modulation,
        )
    multipliers = settings.multipliers or _multipliers(size)
    multiple = 2 ** (len(multipliers) - 1)
    if size % multiple:
        raise ValueError(
            f"data.size {size}: network.multipliers {list(multipliers)} halve the picture "
            f"{len(multipliers) - 1} times; take a multiple of {multiple}"
        )
    if not isinstance(settings.blocks, int) and len(settings.blocks) != len(multipliers):
        raise ValueError(
            f"network.blocks {list(settings.blocks)}: at {size} pixels there are {len(multipliers)} levels; "
            "give a number for each, or one for all"
        )
    widths = tuple(settings.width * m for m in multipliers)
    if widths[0] % 2:
        raise ValueError(f"network.width {settings.width}: give an even number of channels at full size")
    return UNetConfig(
        taken,
        out,
        widths=widths,
        attention=attending(tuple(size // 2**level for level in range(len(multipliers))), settings.attention),
        blocks=settings.blocks,
        scaled_skips=settings.scaled_skips,
        head_width=settings.head_width and fitting_head(settings.head_width, widths),
        dropout=settings.dropout,
        scale_shift=settings.scale_shift,
        classes=classes,
        token_width=token_width,
        augment=augment,
    )


def clip_config(settings: ClipSettings, size: int, channels: int, token_width: int) -> ClipConfig:
    """The towers for pictures of this size. Raises ValueError for a size that they cannot take."""
    usual = next((m for largest, m in CLIP_MULTIPLIERS.items() if size <= largest), (1, 1, 2, 4, 4, 4))
    multipliers = settings.multipliers or usual
    multiple = 2 ** len(multipliers)
    if size % multiple:
        raise ValueError(
            f"data.size {size}: network.multipliers {list(multipliers)} halve the picture {len(multipliers)} "
            f"times; take a multiple of {multiple}"
        )
    return ClipConfig(
        channels,
        size,
        tuple(settings.width * m for m in multipliers),
        token_width,
        settings.blocks,
        settings.text_width,
        settings.head_width,
        settings.embedding,
        settings.dropout,
    )


def attending(sizes: Sequence[int], wanted: Collection[int]) -> tuple[bool, ...]:
    """Which levels attend: for each wanted size the first level that is not larger.

    So 48 pixels, whose levels are 48, 24, 12 and 6, attend at 12 and 6 where 64 pixels do at 16 and 8.
    """
    met = {next((size for size in sizes if size <= want), None) for want in wanted}
    return tuple(size in met for size in sizes)


def fitting_head(wanted: int, widths: Sequence[int]) -> int:
    """The largest number of channels a head, up to the wanted one, that divides all widths."""
    common = math.gcd(*widths)
    return next(width for width in range(wanted, 0, -1) if common % width == 0)


def _multipliers(size: int) -> tuple[int, ...]:
    """As many levels as the size can be halved, up to the number that suits it."""
    fitting = next((m for largest, m in MULTIPLIERS.items() if size <= largest), (1, 1, 2, 2, 4, 4))
    levels = 1
    while levels < len(fitting) and size % 2**levels == 0:
        levels += 1
    return fitting[:levels]


def header(recipe: Recipe, dataset: Dataset, hears: Text | None = None) -> AnyHeader:
    """What a model's config.json says besides the network."""
    text, ema = None if hears is None else hears.find().header, recipe.training.ema
    size, channels = dataset.size, dataset.channels
    if isinstance(recipe.network, ClipSettings):
        assert text is not None
        return ClipHeader(ema=ema, size=size, channels=channels, text=text)
    return Header(
        diffusion=recipe.diffusion,
        sampling=recipe.sampling,
        ema=ema,
        size=size,
        channels=channels,
        classes=classes(dataset),
        text=text,
        task=recipe.task,
    )


def classes(dataset: Dataset) -> tuple[str, ...]:
    return dataset.classes if dataset.labels is not None else ()


def family(recipe: Recipe, config: AnyConfig) -> Diffusion | Contrast:
    """The family with fresh weights: a function of the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.training.seed)
        if isinstance(config, ClipConfig):
            return Contrast(build(config))
        return Diffusion(build(config), recipe.diffusion)


def task(recipe: Recipe, dataset: Dataset, device: torch.device) -> Task:
    """How the run's conditions are made; captions that are not in the cache are encoded now."""
    encoder = text.encoder(recipe, device)
    hears = None if encoder is None else Text(encoder.width, lambda: encoder)
    said = text.captioned(recipe, dataset, device)
    if isinstance(recipe.network, ClipSettings):
        return Task((), 0.0, hears, said)
    shows, hides = sight(recipe.task), isinstance(recipe.task, EditingTask)
    return Task(classes(dataset), recipe.diffusion.drop, hears, said, shows, hides)


def parts(rows: int, accumulate: int) -> Iterator[slice]:
    """Slices that split a batch into nearly equal parts, none empty."""
    count = min(accumulate, rows)
    for i in range(count):
        yield slice(i * rows // count, (i + 1) * rows // count)
