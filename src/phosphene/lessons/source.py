"""A lesson's source: a script in cells, as editors and notebooks know them.

    # %% [markdown]          text: one string in triple quotes
    # %%                     code
    # %% knobs               code whose assignments the reader may change:
    steps = 1000  # @param {type:"slider", min:10, max:4000, step:10}

The comment behind a knob is that of Colab's forms, which shows a slider; the page and `--set` keep to its
range too.
"""

import ast
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from phosphene.families.asked import known

TEXTS = Path(__file__).parent / "texts"
HEAD = re.compile(r"^# %%(?: \[(markdown)\]| (knobs))?\n", re.MULTILINE)
KNOB = re.compile(r"^(\w+) = (\S+)  # @param (\{.*\}|\[.*\])$", re.MULTILINE)
BARE = re.compile(r"([{,]\s*)(\w+):")

Value = int | float | str


class Cell(NamedTuple):
    """kind: what it is. source: the text without its quotes, or the code. line: of the file, from 1."""

    kind: Literal["markdown", "knobs", "code"]
    source: str
    line: int


class Knob(NamedTuple):
    """A value that the reader may change: between low and high, or one of the choices."""

    name: str
    value: Value
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] = ()

    def accepts(self) -> str:
        if self.choices:
            return f"accepted are {', '.join(map(str, self.choices))}"
        return f"{self.low:g} to {self.high:g} is accepted"

    def takes(self, value: Value) -> bool:
        if self.choices:
            return value in self.choices
        assert self.low is not None
        assert self.high is not None
        numbers = int if isinstance(self.value, int) else int | float
        return isinstance(value, numbers) and self.low <= value <= self.high


class Source(NamedTuple):
    """A lesson as it is written."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        return self.cells[0].source.splitlines()[0].removeprefix("# ")

    @property
    def summary(self) -> str:
        """The first paragraph below the title."""
        return self.cells[0].source.split("\n\n")[1].replace("\n", " ")

    @property
    def knobs(self) -> Mapping[str, Knob]:
        found = (_knob(*match.groups()) for c in self.cells if c.kind == "knobs" for match in _lines(c))
        return {knob.name: knob for knob in found}

    def with_values(self, values: Mapping[str, Value]) -> "Source":
        """The same with other values of its knobs. Raises ValueError for one that it has not or that is out
        of its range."""
        knobs = self.knobs
        for name, value in values.items():
            if name not in knobs:
                raise ValueError(f"{name}: {self.name} has no such knob; accepted are {', '.join(knobs)}")
            if not knobs[name].takes(value):
                raise ValueError(f"{name} {value}: {knobs[name].accepts()}")

        def changed(match: re.Match[str]) -> str:
            name, old, about = match.groups()
            return f"{name} = {values.get(name, ast.literal_eval(old))!r}  # @param {about}"

        cells = (
            c._replace(source=KNOB.sub(changed, c.source)) if c.kind == "knobs" else c for c in self.cells
        )
        return self._replace(cells=tuple(cells))


def _lines(cell: Cell) -> list[re.Match[str]]:
    found = list(KNOB.finditer(cell.source))
    assigned = [line for line in cell.source.splitlines() if line and not line.startswith("#")]
    assert len(found) == len(assigned), f"line {cell.line}: a knob is `name = value  # @param {{...}}`"
    return found


def _knob(name: str, value: str, about: str) -> Knob:
    said = json.loads(BARE.sub(r'\1"\2":', about))
    start = ast.literal_eval(value)
    if isinstance(said, list):
        return Knob(name, start, choices=tuple(said))
    return Knob(name, start, said["min"], said["max"])


def parse(name: str, text: str) -> Source:
    """The cells of a script."""
    heads = list(HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    cells = []
    for head, end in zip(heads, ends, strict=True):
        body, line = text[head.end() : end].strip("\n"), text.count("\n", 0, head.end()) + 1
        kind = "markdown" if head[1] else "knobs" if head[2] else "code"
        cells.append(Cell(kind, ast.literal_eval(body).strip() if kind == "markdown" else body, line))
    return Source(name, tuple(cells))


@cache
def lessons() -> Mapping[str, Source]:
    """All lessons by name, in their order: texts/2_reverse.py is "reverse"."""
    paths = sorted(TEXTS.glob("[0-9]*_*.py"), key=lambda path: int(path.stem.split("_")[0]))
    names = {path.stem.split("_", 1)[1].replace("_", "-"): path for path in paths}
    return {name: parse(name, path.read_text("utf-8")) for name, path in names.items()}


def find(name: str) -> Source:
    """Raises ValueError, with the nearest name, for a lesson that does not exist."""
    known("lesson", name, lessons())
    return lessons()[name]
