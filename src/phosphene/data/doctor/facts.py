"""What can be counted: sizes, colours, captions, labels, and what cropping takes."""

from collections import Counter

import numpy as np

from phosphene.data.doctor.result import Captions, Colours, Cropping, Cut, Labels, Sizes, spread
from phosphene.data.doctor.survey import MODES, Survey
from phosphene.data.source import Source
from phosphene.pictures.fitting import Fit, common_mode

COLOURED = 8  # levels between channels, from which a picture has colour; compression adds some to grey
HEAVY = 1 / 3
SHOWN = 12


def sizes(rows: Survey) -> Sizes:
    common = Counter(zip(rows.width.tolist(), rows.height.tolist(), strict=True))
    return Sizes(
        width=spread(rows.width),
        height=spread(rows.height),
        shorter=spread(np.minimum(rows.width, rows.height)),
        ratio=spread(rows.width / rows.height),
        common=tuple((*size, count) for size, count in common.most_common(10)),
        distinct=len(common),
        bytes=int(rows.length.sum()),
    )


def colours(rows: Survey, channels: str) -> Colours:
    """channels: the recipe's, "keep" or a mode."""
    counts = np.bincount(rows.mode, minlength=len(MODES))
    modes = {mode: int(count) for mode, count in zip(MODES, counts, strict=True) if count}
    grey = rows.coloured <= COLOURED
    return Colours(
        modes=modes,
        grey=int(grey.sum()),
        grey_in_colour=int((grey & (rows.mode >= MODES.index("RGB"))).sum()),
        transparent=modes.get("LA", 0) + modes.get("RGBA", 0),
        training=common_mode(modes) if channels == "keep" else channels,
    )


def captions(source: Source, used: list[int]) -> Captions | None:
    """None if no caption is written anywhere."""
    if source.captions is None and not source.blank:
        return None
    written = source.captions or ((),) * len(source.names)
    some = [caption for number in used for caption in written[number]]
    captioned = sum(bool(written[number]) for number in used)
    blank = set(source.blank)
    empty = sum(source.names[number] in blank for number in used)
    repeated = {caption: count for caption, count in Counter(some).most_common() if count > 1}
    return Captions(
        count=captioned,
        missing=len(used) - captioned - empty,
        empty=empty,
        distinct=len(set(some)),
        repeated=sum(repeated.values()),
        characters=spread(np.array([len(caption) for caption in some])) if some else None,
        words=spread(np.array([len(caption.split()) for caption in some])) if some else None,
        frequent=tuple(list(repeated.items())[:10]),
    )


def labels(source: Source, used: list[int]) -> Labels | None:
    """None if no picture has a label. A class whose pictures are all unreadable counts 0."""
    if source.labels is None:
        return None
    numbers = np.array([source.labels[number] for number in used])
    counts = np.bincount(numbers[numbers >= 0], minlength=len(source.classes))
    share = counts[counts > 0] / max(1, counts.sum())
    return Labels(
        counts={name: int(count) for name, count in zip(source.classes, counts, strict=True)},
        unlabelled=int((numbers < 0).sum()),
        imbalance=float(counts.max() / max(1, counts.min())),
        effective=float(np.exp(-(share * np.log(share)).sum())),
    )


def cropping(rows: Survey, names: tuple[str, ...], size: int, fit: Fit) -> Cropping:
    """Of bringing the pictures to squares of `size`. names: of the rows."""
    shorter, longer = np.minimum(rows.width, rows.height), np.maximum(rows.width, rows.height)
    lost = 1 - shorter / longer if fit == "crop" else np.zeros(len(names))
    worst = np.argsort(-lost, kind="stable")[:SHOWN]
    return Cropping(
        fit=fit,
        lost=spread(lost),
        mean=float(lost.mean()),
        cropped=int((lost > 0).sum()),
        heavily=int((lost >= HEAVY).sum()),
        enlarged=int(((shorter if fit == "crop" else longer) < size).sum()),
        worst=tuple(
            Cut(names[row], int(rows.width[row]), int(rows.height[row]), round(float(lost[row]), 4))
            for row in worst
            if lost[row] > 0
        ),
    )
