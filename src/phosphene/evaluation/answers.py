"""Exact answers, where the data has them: digits that are read, scenes and faces that an oracle reads back.

What was asked of a sample is its label. Where classes are values of an attribute (a colour, a kind of hair),
the share of samples that show theirs is exact. And whatever was asked, samples should be as clear as real
pictures are, with attributes as frequent: half the sum of differences of shares (total variation) says how
far they are off.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from phosphene.data.made.folder import read_made
from phosphene.evaluation.record import Better, Figure
from phosphene.evaluation.sets import Chosen
from phosphene.evaluation.singles import Found
from phosphene.evaluation.subject import Samples, Subject
from phosphene.evaluation.told import ALL, JUDGES
from phosphene.measures.interval import Interval, share
from phosphene.pictures.pixels import to_values

Attributes = Mapping[str, str]
"""What is read in one picture: a value for each attribute; "unclear" where none can be read."""

UNCLEAR = "unclear"
SURE = 0.9  # probability from which an attribute of a face counts as clear


def which(subject: Subject) -> str | None:
    """The set of the data whose answers are known: digits, shapes, faces; None for others."""
    if subject.data.where == "digits":
        return "digits"
    made = read_made(Path(subject.data.where)) if Path(subject.data.where).is_dir() else None
    name = made.get("set") if made else None
    return name if name in READERS else None


def answers(subject: Subject, samples: Samples) -> Found:
    """Figures against exact answers; none where there are none."""
    name = which(subject)
    if name == "digits":
        return digits_read(subject, samples)
    if name is None:
        return Found()
    try:
        return read_back(READERS[name], name, subject, samples)
    except ValueError as error:  # pictures too small for its oracle
        return Found(left_out=((f"{name} read back", str(error)),))


def digits_read(subject: Subject, samples: Samples) -> Found:
    """The share of digits that a classifier reads as they were asked for, in all and by class."""
    from phosphene.measures import digits

    if samples.labels is None or samples.pictures.shape[1:] != (1, 8, 8):
        return Found(left_out=(("digits read", "for 8x8 digits with labels"),))
    begun = time.perf_counter()
    labels = samples.labels.tolist()
    found = digits.read(to_values(torch.from_numpy(samples.pictures)), labels)
    reference = subject.sets.reference
    assert reference.labels is not None
    real = digits.read(to_values(torch.from_numpy(reference.pictures)), reference.labels.tolist())
    counts = Counter(map(str, labels))
    figures = []
    shares = {"digits read": (found.accuracy, len(labels), real.accuracy)}
    shares |= {f"digits read: {c}": (s, counts[c], real.by_class[c]) for c, s in found.by_class.items()}
    for name, (value, count, floored) in shares.items():
        figures.append(
            _figure(
                name,
                share(round(value * count), count),
                floored,
                "higher",
                "share that a classifier of real digits reads as asked; floor: of the reference's digits",
                digits.read,
                subject,
                samples,
                begun,
            )
        )
        begun = time.perf_counter()
    return Found(tuple(figures))


def read_by(subject: Subject) -> str | None:
    """The network that reads attributes of this data, by the hash of its weights; None where none does."""
    if which(subject) != "faces":
        return None
    from phosphene.measures import attributes

    return attributes.name()


def shapes_seen(pictures: UInt8[np.ndarray, "n c h w"]) -> list[Attributes]:
    """Background, number, and all colours, shapes, sizes and places of things, as the oracle reads them."""
    from phosphene.data.made.shapes import oracle

    found = []
    for picture in pictures:
        rgb = np.broadcast_to(picture[:3] if len(picture) >= 3 else picture[:1], (3, *picture.shape[1:]))
        seen = oracle.read(np.ascontiguousarray(rgb.transpose(1, 2, 0)))
        one = {"background": seen.background, "count": str(len(seen.things)) if seen.things else UNCLEAR}
        for field in ("colour", "shape", "size", "place"):
            values = {getattr(thing, field) for thing in seen.things} or {UNCLEAR}
            one[field] = UNCLEAR if UNCLEAR in values else " and ".join(sorted(values))
        found.append(one)
    return found


def faces_seen(pictures: UInt8[np.ndarray, "n c h w"]) -> list[Attributes]:
    """The ten attributes as the shipped reader reads them; unclear below 90%."""
    from phosphene.measures import attributes

    rgb = np.ascontiguousarray(np.broadcast_to(pictures[:, :3], (len(pictures), 3, *pictures.shape[2:])))
    readings = attributes.read(torch.tensor(rgb))
    rows: list[dict[str, str]] = [{} for _ in pictures]
    for name, probabilities in readings.probabilities.items():
        sure = (probabilities.max(1).values >= SURE).tolist()
        for row, value, is_sure in zip(rows, readings.values(name), sure, strict=True):
            row[name] = value if is_sure else UNCLEAR
    return list(rows)


Reader = Callable[[UInt8[np.ndarray, "n c h w"]], list[Attributes]]
READERS: Mapping[str, Reader] = {"shapes": shapes_seen, "faces": faces_seen}


def read_back(reader: Reader, name: str, subject: Subject, samples: Samples) -> Found:
    """Clear pictures, frequencies of attributes, and labels that are shown."""
    begun = time.perf_counter()
    sets = subject.sets
    made, real, twin = (
        reader(some) for some in (samples.pictures, sets.reference.pictures, sets.twin.pictures)
    )
    clear, floored = ([UNCLEAR not in one.values() for one in seen] for seen in (made, real))
    figures = [
        _figure(
            f"{name}: clear",
            share(sum(clear), len(clear)),
            sum(floored) / len(floored),
            "higher",
            "share of samples in which every attribute can be read; floor: of real pictures",
            reader,
            subject,
            samples,
            begun,
        )
    ]
    for attribute in real[0]:
        begun = time.perf_counter()
        values = [[one[attribute] for one in seen] for seen in (made, real, twin)]
        off = variation(values[0], values[1])
        figures.append(
            _figure(
                f"{name}: balance of {attribute}",
                off,
                variation(values[2], values[1]),
                "lower",
                "total variation between the attribute's frequencies in samples and in real pictures",
                variation,
                subject,
                samples,
                begun,
            )
        )
    asked = _as_asked(name, reader, made, real, sets.reference, subject, samples)
    return Found((*figures, *asked, *_as_told(name, subject, samples)))


def variation(a: Sequence[str], b: Sequence[str]) -> float:
    """Half the sum of differences of shares: the share of pictures that would have to change."""
    one, other = Counter(a), Counter(b)
    return sum(abs(one[value] / len(a) - other[value] / len(b)) for value in one | other) / 2


def _as_asked(
    name: str,
    reader: Reader,
    made: list[Attributes],
    real: list[Attributes],
    reference: Chosen,
    subject: Subject,
    samples: Samples,
) -> list[Figure]:
    """The share of samples that show their label, where the classes are values of an attribute."""
    classes = subject.generator.classes
    if samples.labels is None or reference.labels is None or not classes:
        return []
    for attribute in real[0]:
        if set(classes) <= {one[attribute] for one in (*real, *made)}:
            begun = time.perf_counter()
            right, sure = (
                [one[attribute] == classes[i] for one, i in zip(seen, labels.tolist(), strict=True) if i >= 0]
                for seen, labels in ((made, samples.labels), (real, reference.labels))
            )
            about = f"share of samples whose {attribute} is read as asked; floor: of real pictures"
            value, floored = share(sum(right), len(right)), sum(sure) / len(sure)
            return [
                _figure(f"{name}: as asked", value, floored, "higher", about, reader, subject, samples, begun)
            ]
    return []


def _as_told(name: str, subject: Subject, samples: Samples) -> list[Figure]:
    """The share of samples that show what their prompts say, in all and by aspect."""
    if not any(prompt is not None for prompt in samples.prompts):
        return []
    begun, judge, like = time.perf_counter(), JUDGES[name], subject.like
    prompts = [request.prompt for request in subject.requests(like)]
    made, real = judge(samples.pictures, samples.prompts), judge(like.pictures, prompts)
    figures = []
    for aspect, right in made.items():
        sure = real[aspect]
        about = "share of samples that show what their captions say; floor: of the real pictures described"
        value, floored = share(sum(right), len(right)), sum(sure) / len(sure)
        title = f"{name}: as told" if aspect == ALL else f"{name}: as told, {aspect}"
        figures.append(_figure(title, value, floored, "higher", about, judge, subject, samples, begun))
        begun = time.perf_counter()
    return figures


def _figure(
    name: str,
    value: float | Interval,
    floored: float,
    better: Better,
    about: str,
    function: Callable[..., object],
    subject: Subject,
    samples: Samples,
    begun: float,
) -> Figure:
    given = isinstance(value, Interval)
    sets = subject.sets
    return Figure(
        name=name,
        value=value.value if given else value,
        low=value.low if given else None,
        high=value.high if given else None,
        floor=floored,
        better=better,
        about=about,
        function=f"{function.__module__}.{function.__qualname__}",
        encoder=read_by(subject),
        samples=samples.record,
        reference=sets.reference.record,
        twin=sets.twin.record,
        seconds=time.perf_counter() - begun,
    )
