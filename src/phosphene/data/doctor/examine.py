"""A source examined: read once, then looked at from every side."""

import time
from collections.abc import Callable

from phosphene.data.decoding import own_size
from phosphene.data.doctor import duplicates, facts
from phosphene.data.doctor.enough import enough
from phosphene.data.doctor.findings import findings
from phosphene.data.doctor.outliers import outliers
from phosphene.data.doctor.result import VERSION, Cluster, Diagnosis, Examined, Unreadable
from phosphene.data.doctor.survey import survey
from phosphene.data.source import Source
from phosphene.recipes.settings import Recipe

Progress = Callable[[str, int, int], None]


def examine(
    source: Source,
    recipe: Recipe,
    *,
    size: int | None = None,
    wanted: int | None = None,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> Diagnosis:
    """What is known of a source, for a recipe; without a proposal.

    size: pixels a side that pictures will be brought to; by default the recipe's, or as training chooses it.
    wanted: pictures that the run will see, by default the recipe's. on_progress(what, done, total).
    Raises ValueError if no picture can be read.
    """
    begun = time.monotonic()
    say = on_progress or (lambda _what, _done, _total: None)
    size = own_size(source, size or recipe.data.size)[0]
    surveyed = survey(source, threads, lambda done, total: say("reading pictures", done, total))
    rows = surveyed.rows
    if not len(rows.number):
        name, reason = surveyed.unreadable[0]
        raise ValueError(
            f"none of the {len(source.names)} pictures of {source.name} can be read: {name}: {reason}"
        )
    used = rows.number.tolist()
    names = tuple(source.names[number] for number in used)
    groups = duplicates.groups(rows, lambda done, total: say("looking for copies", done, total))
    clusters = tuple(_cluster(group, source, used) for group in groups)
    distinct = len(used) - sum(len(group.rows) - 1 for group in groups)
    about = Examined(
        version=VERSION,
        source=source.name,
        recipe=recipe.name,
        found=len(source.names),
        used=len(used),
        size=size,
        unreadable=tuple(Unreadable(*one) for one in surveyed.unreadable),
        formats=dict(surveyed.formats),
        notes=dict(surveyed.notes),
        ignored=dict(source.ignored),
        problems=source.problems,
        sizes=facts.sizes(rows),
        colours=facts.colours(rows, recipe.data.channels),
        captions=facts.captions(source, used),
        labels=facts.labels(source, used),
        clusters=clusters,
        outliers=outliers(rows, names, size),
        cropping=facts.cropping(rows, names, size, recipe.data.fit),
        enough=enough(distinct, wanted or recipe.training.images or 1_000_000),
        findings=(),
        seconds=0.0,
    )
    parts = vars(about) | {"findings": findings(about), "seconds": round(time.monotonic() - begun, 2)}
    return Diagnosis(**parts)


def _cluster(group: duplicates.Group, source: Source, used: list[int]) -> Cluster:
    numbers = [used[row] for row in group.rows]
    labels = {source.labels[number] for number in numbers} if source.labels else ()
    captions = {said for number in numbers for said in source.captions[number]} if source.captions else ()
    return Cluster(
        kind="same bytes" if group.same else "near",
        names=tuple(source.names[number] for number in numbers),
        mirrored=tuple(source.names[used[row]] for row in group.mirrored),
        labels=len(labels),
        captions=len(captions),
    )
