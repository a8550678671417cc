"""The doctor's report as one HTML page: what was found, with pictures of it."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageOps

from phosphene.data.doctor.result import Cluster, Diagnosis, Finding, Spread
from phosphene.data.doctor.wording import clean, duration
from phosphene.data.source import Source
from phosphene.pages import blocks, charts
from phosphene.pages.blocks import Kind
from phosphene.pages.page import Block, Section, macro, page
from phosphene.pictures.fitting import fit
from phosphene.pictures.opening import open_picture

SIDE = 96  # pixels of a preview
CLUSTERS, TOGETHER = 24, 6  # groups of copies that are shown, and pictures of each
ODD = 24
RANDOM = 24
LISTED = 200  # rows of a long list
DECADES = (10, 1000, 100_000, 10_000_000)
KIND: Mapping[str, Kind] = {"error": "bad", "warning": "warning", "note": "plain"}
SCORE = (
    "z is a robust score: the deviation from the median, in units of 1.4826 times the median deviation. "
    "Above 6 a picture is named; whether it belongs to the set, only a person can say."
)
VERDICT = {
    0: "Healthy: nothing that needs attention.",
    1: "Some things are worth attention before training.",
    2: "This cannot be trained on.",
}


def report(about: Diagnosis, source: Source) -> str:
    """The page. source: the one that was examined; the pictures that are shown are opened again."""
    look = _Looking(source)
    sections = [
        _summary(about),
        _pictures(about, look),
        _copies(about, look),
        _outliers(about, look),
        _cropping(about, look),
        _words(about),
        _enough(about),
        _unreadable(about),
    ]
    under = f"{about.used:,} pictures of {clean(about.source)}, recipe {about.recipe}, {about.size} pixels"
    return page("Doctor's report", [section for section in sections if section is not None], under=under)


class _Looking:
    """Small pictures of files, by name."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.number = {name: number for number, name in enumerate(source.names)}

    def whole(self, name: str, side: int = SIDE) -> Image.Image:
        """The picture with its longer side at `side`."""
        image = open_picture(self.source.read(self.number[name]), least=side).image
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        return image

    def cut(self, name: str) -> Image.Image:
        """The picture with what cropping takes away made pale, and the square that stays outlined."""
        image = self.whole(name, 3 * SIDE // 2).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = (left, top, left + side, top + side)
        shown = Image.blend(image, Image.new("RGB", image.size, "white"), 0.65)
        shown.paste(image.crop(square), square[:2])
        box = (left, top, left + side - 1, top + side - 1)
        ImageDraw.Draw(shown).rectangle(box, outline=(220, 40, 40), width=2)
        return shown


def _summary(about: Diagnosis) -> Section:
    counts = {
        severity: sum(finding.severity == severity for finding in about.findings)
        for severity in ("error", "warning", "note")
    }
    said = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items() if count)
    kinds: tuple[Kind, ...] = ("good", "warning", "bad")
    verdict = blocks.note(
        f"{VERDICT[about.code]} {said.capitalize()}." if said else VERDICT[about.code], kinds[about.code]
    )
    return Section("Findings", [verdict, *map(_finding, about.findings), *_proposal(about)])


def _finding(finding: Finding) -> Markup:
    more = Markup()
    if finding.names:
        lines = [clean(name) for name in finding.names]
        left = finding.count - len(lines)
        tail = [f"and {left:,} more"] if left > 0 and len(lines) == 100 else []
        more = blocks.details("which", blocks.code(*lines, *tail))
    words = Markup("{} {}").format(finding.advice, more)
    return blocks.note(words, KIND[finding.severity], finding.what)


def _proposal(about: Diagnosis) -> list[Block]:
    if (proposal := about.proposal) is None:
        return []
    steps = proposal.images // proposal.batch
    facts = {
        "recipe": proposal.recipe,
        "size": f"{proposal.size}x{proposal.size}, {about.colours.training}",
        "network": f"{proposal.parameters / 1e6:.1f} million weights",
        "pictures seen": f"{proposal.images:,}: {steps:,} steps of {proposal.batch}",
        "time": f"about {duration(proposal.seconds)} on {proposal.device}",
        "a picture": f"{duration(proposal.each)}, {proposal.how}",
    }
    return [
        blocks.heading("What to train"),
        blocks.facts(facts),
        blocks.code(clean(proposal.command)),
        *(["Why: " + "; ".join(proposal.why) + "."] if proposal.why else []),
    ]


def _pictures(about: Diagnosis, look: _Looking) -> Section:
    sizes, colours = about.sizes, about.colours
    step = max(1, len(look.source.names) // RANDOM)
    bad = {one.name for one in about.unreadable}
    some = [name for name in look.source.names[::step] if name not in bad][:RANDOM]
    shown = [fit(look.whole(name, 4 * SIDE), min(SIDE, about.size), about.cropping.fit)[0] for name in some]
    kept = min(SIDE, about.size)
    which = "Some pictures" if step == 1 else f"One picture in {step:,}"
    facts: dict[str, str] = {
        "pictures": f"{about.used:,} of {about.found:,} can be read",
        "files": f"{sizes.bytes / 1e6:,.1f} MB: {_counts(about.formats)}",
        "modes": _counts(colours.modes) + f"; trained as {colours.training}",
        "without colour": f"{colours.grey:,}, of them {colours.grey_in_colour:,} stored as colour",
        "transparent": f"{colours.transparent:,}",
        **({"what was done to them": _counts(about.notes)} if about.notes else {}),
        **({"other files": _counts(about.ignored)} if about.ignored else {}),
    }
    common = [(f"{width}x{height}", float(count)) for width, height, count in sizes.common]
    return Section(
        "Pictures",
        [
            blocks.facts(facts),
            blocks.gallery(shown, caption=f"{which}, as training sees them, {kept} pixels a side"),
            _spreads({"width": sizes.width, "height": sizes.height, "width / height": sizes.ratio}),
            charts.bars(
                "Most common sizes",
                [name for name, _ in common],
                [count for _, count in common],
                x="pictures",
            ),
        ],
    )


def _copies(about: Diagnosis, look: _Looking) -> Section | None:
    if not about.clusters:
        return None
    near = sum(cluster.kind == "near" for cluster in about.clusters)
    same = len(about.clusters) - near
    rows: list[Block] = [
        f"Groups that are equal byte for byte: {same:,}; that differ in size, compression, light or side: "
        f"{near:,}. Candidates come from a perceptual hash and are verified by their pixels."
    ]
    # Near copies first: nobody needs to look at equal bytes.
    for cluster in sorted(about.clusters, key=lambda cluster: cluster.kind == "same bytes")[:CLUSTERS]:
        names = cluster.names[:TOGETHER]
        captions = [clean(name) + (" (mirrored)" if name in cluster.mirrored else "") for name in names]
        shown = [look.whole(name) for name in names]
        rows.append(blocks.strip(shown, captions, caption=_about_cluster(cluster)))
    if len(about.clusters) > CLUSTERS:
        rows.append(f"and {len(about.clusters) - CLUSTERS:,} groups more, in the JSON.")
    return Section("Copies", rows)


def _about_cluster(cluster: Cluster) -> str:
    words = f"{len(cluster.names):,} pictures, " + (
        "equal byte for byte" if cluster.kind == "same bytes" else "nearly equal"
    )
    words += f", {len(cluster.names) - TOGETHER} not shown" if len(cluster.names) > TOGETHER else ""
    words += f"; {cluster.labels} labels" if cluster.labels > 1 else ""
    return words + (f"; {cluster.captions} captions" if cluster.captions > 1 else "")


def _outliers(about: Diagnosis, look: _Looking) -> Section | None:
    if not about.outliers:
        return None
    some = about.outliers[:ODD]
    # A line around them: a blank picture is as white as the page.
    shown = [ImageOps.expand(look.whole(outlier.name).convert("RGB"), 1, (128, 128, 128)) for outlier in some]
    captions = [Markup("{}: {}").format(clean(outlier.name), outlier.why) for outlier in some]
    left = len(about.outliers) - len(some)
    return Section(
        "Unlike the rest",
        [
            blocks.gallery(shown, captions),
            *([f"and {left:,} more, in the JSON."] if left else []),
            *([SCORE] if any(outlier.score is not None for outlier in some) else []),
        ],
    )


def _cropping(about: Diagnosis, look: _Looking) -> Section:
    cut = about.cropping
    facts = {
        "fit": "crop to the centred square" if cut.fit == "crop" else "pad to a square",
        "area lost, on average": f"{cut.mean:.1%}",
        "pictures that lose any": f"{cut.cropped:,}",
        "that lose a third or more": f"{cut.heavily:,}",
        f"enlarged to {about.size} pixels": f"{cut.enlarged:,}",
    }
    shown = [look.cut(one.name) for one in cut.worst]
    captions = [f"{clean(one.name)}: {one.width}x{one.height}, {one.lost:.0%} lost" for one in cut.worst]
    worst = blocks.gallery(shown, captions, caption="The worst, with the square that stays") if shown else ""
    return Section("Cropping", [blocks.facts(facts), *([worst] if worst else [])])


def _words(about: Diagnosis) -> Section | None:
    if about.captions is None and about.labels is None:
        return None
    rows: list[Block] = []
    if (labels := about.labels) is not None:
        facts = {
            "classes": f"{len(labels.counts):,}, worth {labels.effective:.1f} of equal size",
            "without a label": f"{labels.unlabelled:,}",
            "largest / smallest": f"{labels.imbalance:.1f}",
        }
        order = sorted(labels.counts.items(), key=lambda pair: -pair[1])
        shown = order if len(order) <= 30 else [*order[:20], *order[-10:]]
        title = "Pictures a class" if len(order) <= 30 else "Pictures a class, the largest 20 and smallest 10"
        names, counts = [clean(name) for name, _ in shown], [float(count) for _, count in shown]
        rows += [
            blocks.heading("Labels"),
            blocks.facts(facts),
            charts.bars(title, names, counts, x="pictures"),
        ]
    if (captions := about.captions) is not None:
        rows += [
            blocks.heading("Captions"),
            blocks.facts(
                {
                    "captions": f"{captions.count:,}, {captions.distinct:,} of them different",
                    "missing": f"{captions.missing:,}",
                    "blank": f"{captions.empty:,}",
                    "shared with another picture": f"{captions.repeated:,}",
                }
            ),
        ]
        if captions.characters and captions.words:
            rows.append(_spreads({"characters": captions.characters, "words": captions.words}))
        if captions.frequent:
            frequent = [[clean(words), count] for words, count in captions.frequent]
            rows.append(blocks.table(["caption", "pictures"], frequent, "The most frequent"))
    return Section("Labels and captions", rows)


def _enough(about: Diagnosis) -> Section:
    enough = about.enough
    verdicts: Mapping[str, tuple[Kind, str]] = {
        "enough": ("good", "Large enough: no copying is expected in a run as long as the recipe's."),
        "borderline": ("warning", "Borderline: towards the end of the recipe's run copying may begin."),
        "too few": ("warning", "Too few for the recipe's whole run: copying is expected before it ends."),
    }
    kind, verdict = verdicts[enough.verdict]
    facts = {
        "pictures that differ": f"{enough.distinct:,}",
        "pictures that the run sees": f"{enough.wanted:,}, each {enough.wanted / enough.distinct:,.0f} times",
        "copying expected from": f"{enough.low:,} to {enough.high:,} pictures seen",
        "none expected with": f"{enough.needed:,} pictures or more",
    }
    low, high = (edge / enough.distinct for edge in (enough.low, enough.high))
    ends = np.array([10.0, 1e6])
    with charts.drawing("When copying begins") as (axes, chart):
        axes.fill_between(ends, low * ends, high * ends, color=charts.COLOUR["s0"], alpha=0.3, linewidth=0)
        axes.axhline(enough.wanted, color=charts.COLOUR["s1"], label="the run ends")
        axes.axvline(enough.distinct, color=charts.COLOUR["s2"], linestyle="--", label="this set")
        axes.loglog()
        axes.minorticks_off()
        axes.set_xticks(DECADES[:3], [f"{value:,}" for value in DECADES[:3]])
        axes.set_yticks(DECADES[1:], [f"{value:,}" for value in DECADES[1:]])
        axes.set_xlabel("pictures that differ")
        axes.set_ylabel("pictures seen")
        axes.legend(loc="lower right")
    band = macro("figure", chart[0], f"Band: {enough.formula}.", "chart")
    return Section(
        "Large enough?",
        [
            blocks.note(verdict, kind),
            blocks.facts(facts),
            band,
            enough.uncertainty,
        ],
    )


def _unreadable(about: Diagnosis) -> Section | None:
    if not about.unreadable and not about.problems:
        return None
    rows: list[Block] = []
    if about.unreadable:
        listed = [[clean(one.name), clean(one.reason)] for one in about.unreadable[:LISTED]]
        left = len(about.unreadable) - len(listed)
        rows.append(
            blocks.table(["file", "reason"], listed, f"and {left:,} more, in the JSON" if left else "")
        )
    if about.problems:
        rows += [
            blocks.heading("Labels, captions, folders"),
            blocks.code(*map(clean, about.problems[:LISTED])),
        ]
    return Section("Unreadable files and other problems", rows)


def _spreads(spreads: Mapping[str, Spread]) -> Markup:
    columns = ["", "least", "5%", "median", "95%", "most"]
    rows: Sequence[Sequence[str]] = [
        [name, *map(_figure, (s.least, s.low, s.median, s.high, s.most))] for name, s in spreads.items()
    ]
    return blocks.table(columns, rows)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else blocks.number(value)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {clean(name)}" for name, count in counts.items())
