"""The data set of a recipe: decoded once into the cache, or streamed."""

import hashlib
from collections import Counter

import numpy as np

from phosphene.data.annotations import Columns
from phosphene.data.cache import Progress, prepare
from phosphene.data.dataset import Dataset, Report, fingerprint, paired
from phosphene.data.decoding import Channels, Decoded, Settings, decode, own_size
from phosphene.data.source import Source
from phosphene.data.sources import find
from phosphene.data.streamed import Streamed
from phosphene.pictures import fitting
from phosphene.recipes.settings import DataSettings

LOOKED_AT = 256  # pictures of a streamed set, before training begins


def columns(settings: DataSettings) -> Columns:
    """The fields that hold captions and classes, as the recipe names them."""
    return Columns(
        settings.text_column,
        settings.label_column,
        settings.pairs,
        settings.before_column,
        settings.image_column,
    )


def load(settings: DataSettings, on_progress: Progress | None = None) -> Dataset:
    """What the recipe's data section names. on_progress(done, total) is called while decoding.

    Raises ValueError for what is not there or cannot be read, and for labels that are of no wanted class.
    """
    source = find(settings.source, columns(settings))
    if settings.stream:
        found = stream(source, settings.size, settings.fit, settings.channels)
    else:
        found = prepare(source, settings.size, settings.fit, settings.channels, on_progress)
    return found if settings.classes is None else found.of_classes(settings.classes)


def stream(
    source: Source,
    size: int | None = None,
    fit: fitting.Fit = "crop",
    channels: Channels = "keep",
    threads: int | None = None,
) -> Dataset:
    """The source's pictures as a data set that decodes them when they are asked for.

    Some pictures at even distances are looked at first: they decide what channels are kept, and stand for all
    in the fingerprint. Which pictures cannot be read is known only when they are met.
    Raises ValueError if none of those can be read.
    """
    chosen, notes = own_size(source, size)
    count = len(source.names)
    some = np.arange(min(count, LOOKED_AT)) * count // min(count, LOOKED_AT)
    look, reasons = Settings(chosen, fit, channels), list[str]()
    modes, content = Counter[str](), hashlib.sha256(f"streamed {look}\n".encode())
    for number in some.tolist():
        picture = source.read(number)
        content.update(picture if isinstance(picture, bytes) else str(picture.stat().st_size).encode())
        if isinstance(seen := decode(picture, look), Decoded):
            modes[seen.mode] += 1
        else:
            reasons.append(f"{source.names[number]}: {seen}")
    if not modes:
        raise ValueError(f"none of {len(some)} pictures of {source.name} can be read: {reasons[0]}")
    mode = fitting.common_mode(modes) if channels == "keep" else channels
    if channels == "keep" and count > len(some):
        notes = {**notes, f"streamed as {mode}, which suits {len(some)} that were looked at": count}
    content.update("\0".join(source.names).encode("utf-8", "surrogateescape"))
    return Dataset(
        pictures=Streamed(source, Settings(chosen, fit, mode), threads),
        labels=None if source.labels is None else np.array(source.labels, np.int64),
        classes=source.classes,
        captions=source.captions,
        names=source.names,
        fingerprint=fingerprint(content.hexdigest(), source),
        report=Report(
            found=count,
            used=count,
            unreadable=(),
            duplicates=0,
            ignored=source.ignored,
            notes=notes,
            problems=source.problems,
        ),
        before=paired(source, range(count)),
    )
