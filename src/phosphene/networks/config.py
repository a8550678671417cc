"""Configurations of networks are frozen dataclasses of plain values, so that they survive JSON unchanged."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

C = TypeVar("C")


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as JSON writes and reads it: tuples become lists."""
    return json.loads(json.dumps(asdict(config)))


def from_dict(kind: type[C], values: Mapping[str, Any]) -> C:
    """The configuration of `kind` that was written as `values`.

    Raises ValueError for an unknown field, a value of another type, or one that `kind` refuses.
    """
    known = [f.name for f in fields(kind)]  # pyright: ignore[reportArgumentType] -- kind is a dataclass
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"fields are {', '.join(known)}"
            raise ValueError(f"{name}: {kind.__name__} has no such field; {hint}")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(dict(values)), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        if "ctx" in first and isinstance(first["ctx"].get("error"), ValueError):
            raise first["ctx"]["error"] from None
        # Of a field that takes several types, pydantic also says which of them was tried.
        where = ".".join(str(part) for i, part in enumerate(first["loc"]) if not i or isinstance(part, int))
        raise ValueError(f"{where}: {first['msg']}, not {json.dumps(first['input'])}") from None


def at_least(low: int, **values: int | float) -> None:
    """Raises ValueError that names the first value below `low`."""
    for name, value in values.items():
        if value < low:
            raise ValueError(f"{name}: {value} is too small, {low} or more is accepted")


def share(**values: float) -> None:
    """Raises ValueError that names the first value outside [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name}: {value} is outside [0, 1)")
