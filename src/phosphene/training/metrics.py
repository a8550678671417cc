"""log/metrics.jsonl: one JSON object a line, each with the step it speaks of."""

import json
from pathlib import Path
from typing import Any

from phosphene.files import sweep, write_atomic


def append(path: Path, line: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The lines; one that was cut off by a kill is left out."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def rewind(path: Path, step: int) -> None:
    """Drops what a resumed run is about to write again: lines after `step`."""
    kept = [line for line in read(path) if line["step"] <= step]
    if path.exists():
        sweep(path.parent)
        write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept))
