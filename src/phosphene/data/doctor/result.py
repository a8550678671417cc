"""What the doctor says, as frozen plain data: it goes to JSON and back."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

VERSION = 1
Severity = Literal["note", "warning", "error"]
Oddity = Literal["blank", "tiny", "shape", "dark", "bright", "colour", "isolated"]
EXIT = {"note": 0, "warning": 1, "error": 2}


@dataclass(frozen=True)
class Spread:
    """Least, 5%, median, 95% and largest of some numbers."""

    least: float
    low: float
    median: float
    high: float
    most: float


@dataclass(frozen=True)
class Finding:
    """Something that somebody should know. what: one sentence. advice: what to do. count: of pictures (or
    captions, classes); names: at most 100 of them."""

    kind: str
    severity: Severity
    what: str
    advice: str
    count: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    name: str
    reason: str


@dataclass(frozen=True)
class Sizes:
    """In pixels. ratio: width / height. common: (width, height, pictures), most frequent first, at most 10.
    bytes: of all files together."""

    width: Spread
    height: Spread
    shorter: Spread
    ratio: Spread
    common: tuple[tuple[int, int, int], ...]
    distinct: int
    bytes: int


@dataclass(frozen=True)
class Colours:
    """modes: pictures by L, LA, RGB, RGBA as training reads them. grey: without colour, whatever the mode.
    grey_in_colour: of those, stored as RGB or RGBA. transparent: with something transparent. training: the
    mode that all are brought to, by the recipe."""

    modes: dict[str, int]
    grey: int
    grey_in_colour: int
    transparent: int
    training: str


@dataclass(frozen=True)
class Captions:
    """Of the readable pictures. count: have one or several. empty: a caption is written, and blank; missing:
    none is. repeated: captions that another picture has too. frequent: (caption, pictures) of those, at most
    10."""

    count: int
    missing: int
    empty: int
    distinct: int
    repeated: int
    characters: Spread | None
    words: Spread | None
    frequent: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Labels:
    """counts: by class, in the order of training. imbalance: largest class / smallest. effective: classes of
    equal size that would be as hard to guess (e to the entropy)."""

    counts: dict[str, int]
    unlabelled: int
    imbalance: float
    effective: float


@dataclass(frozen=True)
class Cluster:
    """One picture that is there several times. kind: "same bytes", or "near" where at least one differs in
    size, compression, brightness or side. mirrored: those that are mirror images of the first. labels,
    captions: how many different ones they bear."""

    kind: Literal["same bytes", "near"]
    names: tuple[str, ...]
    mirrored: tuple[str, ...]
    labels: int
    captions: int


@dataclass(frozen=True)
class Outlier:
    """score: robust z, the deviation from the median in units of 1.4826 MAD; None for a plain limit."""

    name: str
    kind: Oddity
    why: str
    score: float | None


@dataclass(frozen=True)
class Cut:
    name: str
    width: int
    height: int
    lost: float


@dataclass(frozen=True)
class Cropping:
    """What bringing pictures to a square takes away. lost: shares of the area. cropped: pictures that lose
    any; heavily: those that lose a third or more; enlarged: those with too few pixels. worst: at most 12."""

    fit: Literal["crop", "pad"]
    lost: Spread
    mean: float
    cropped: int
    heavily: int
    enlarged: int
    worst: tuple[Cut, ...]


@dataclass(frozen=True)
class Enough:
    """Whether the set is large enough for what the recipe wants to see, and when memorisation is expected.

    distinct: pictures, each cluster counted once. wanted: pictures that the run sees, repeats counted. low,
    high: the range, in pictures seen, in which copying is expected to begin. needed: distinct pictures for
    which none is expected in such a run. formula, uncertainty: in words.
    """

    verdict: Literal["enough", "borderline", "too few"]
    distinct: int
    wanted: int
    low: int
    high: int
    needed: int
    formula: str
    uncertainty: str


@dataclass(frozen=True)
class Proposal:
    """How to train. settings: what is changed in the recipe, by dotted name. seconds: of the whole run on
    `device`; each: of a picture in training; how: where that figure is from. command: to be typed."""

    recipe: str
    size: int
    channels: int
    parameters: int
    batch: int
    images: int
    seconds: float
    each: float
    device: str
    how: str
    settings: dict[str, Any]
    why: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Examined:
    """Everything that is known of a source. found = used + len(unreadable). seconds: that it took."""

    version: int
    source: str
    recipe: str
    found: int
    used: int
    size: int
    unreadable: tuple[Unreadable, ...]
    formats: dict[str, int]
    notes: dict[str, int]
    ignored: dict[str, int]
    problems: tuple[str, ...]
    sizes: Sizes
    colours: Colours
    captions: Captions | None
    labels: Labels | None
    clusters: tuple[Cluster, ...]
    outliers: tuple[Outlier, ...]
    cropping: Cropping
    enough: Enough
    findings: tuple[Finding, ...]
    seconds: float


@dataclass(frozen=True)
class Diagnosis(Examined):
    """What `phosphene doctor` says: what is known, and what to train. proposal: None if none was made."""

    proposal: Proposal | None = None

    @property
    def healthy(self) -> bool:
        """Nothing but notes was found."""
        return self.code == 0

    @property
    def code(self) -> int:
        """0 healthy, 1 findings worth attention, 2 cannot be trained on."""
        return max((EXIT[finding.severity] for finding in self.findings), default=0)

    def to_json(self) -> str:
        """Everything, and "code". ASCII: names of files that are no UTF-8 keep their bytes (surrogates)."""
        return json.dumps(asdict(self) | {"code": self.code}, indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> Diagnosis:
    """The inverse of to_json. Raises ValueError for anything else."""
    values = json.loads(text)
    values.pop("code", None)
    return TypeAdapter(Diagnosis).validate_python(values)


def spread(values: np.ndarray) -> Spread:
    """Of at least one number."""
    return Spread(*(float(value) for value in np.quantile(values, [0, 0.05, 0.5, 0.95, 1])))
