"""What is asked of a batch row by row: one value for all pictures, or one for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from torch import Tensor

from phosphene.families.asked import Asked
from phosphene.tasks.request import Label, Request

T = TypeVar("T")

Numbers = np.generic | np.ndarray | Tensor
Labels = Label | Sequence[Label | None] | Numbers | None
Texts = str | Sequence[str | None] | None
Scales = float | Sequence[float] | None


@dataclass(frozen=True)
class Row:
    """One picture: its number under the seed, what it should be, how it is made."""

    number: int
    request: Request
    asked: Asked


def plain(value: Any) -> Any:
    """NumPy's numbers and arrays, and torch's, as Python's, which files can hold."""
    if isinstance(value, Numbers):
        return value.tolist()
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def each(field: str, value: T | Sequence[T | None] | Numbers | None, n: int) -> list[T | None]:
    """One value a picture."""
    value = plain(value)
    if value is None or isinstance(value, str | int | float):
        return [cast("T | None", value)] * n
    values = list(cast("Sequence[T | None]", value))
    if len(values) != n:
        raise ValueError(f"{field}: {len(values)} for {n} pictures; give one, or one a picture")
    return values


def listed(value: T | Sequence[T]) -> list[T]:
    """One value as a list of it."""
    value = plain(value)
    return [cast("T", value)] if isinstance(value, str | int) else list(cast("Sequence[T]", value))


def representative(guidance: Scales) -> float | None:
    """One guidance for all that is checked of the whole: the first that guides."""
    if guidance is None or isinstance(guidance, int | float):
        return guidance
    return next((scale for scale in guidance if scale != 1), 1.0)


def scaled(asked: Asked, guidance: Scales, n: int, image_guidance: Scales = None) -> list[Asked]:
    """How each picture is made, with its own guidance. Beside others, some may be unguided."""
    ways = zip(each("guidance", guidance, n), each("image_guidance", image_guidance, n), strict=True)
    rows = []
    for scale, of_picture in ways:
        own = replace(
            asked,
            guidance=asked.guidance if scale is None else scale,
            image_guidance=asked.image_guidance if of_picture is None else of_picture,
            interval=None,
        )
        rows.append(replace(own, interval=asked.interval) if own.guides else own)
    return rows


def leading(ways: Sequence[Asked]) -> Asked:
    """What holds for all rows: that of the first one that is guided."""
    return next((asked for asked in ways if asked.guides), ways[0])
