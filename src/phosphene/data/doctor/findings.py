"""From what is known to what somebody should do: each rule looks at one part and says one sentence.

error: cannot be trained on. warning: worth attention before training. note: good to know.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from phosphene.data.doctor.result import Examined, Finding, Severity

NAMED = 100  # names in a finding
UNBALANCED = 10.0  # largest class / smallest
STRAY = 0.01  # of the pictures: fewer grey ones among coloured ones, or the other way, are a note
SQUARE = 0.25  # of the area, on average: cropping takes much
SOME = 0.1  # of the pictures
SAID = 0.2  # of the captions are one and the same

Rule = Callable[[Examined], Iterator[Finding]]


def findings(about: Examined) -> tuple[Finding, ...]:
    """Gravest first."""
    order = ("error", "warning", "note")
    found = [finding for rule in RULES for finding in rule(about)]
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _finding(
    kind: str, severity: Severity, what: str, advice: str, count: int, names: Iterable[str] = ()
) -> Finding:
    return Finding(kind, severity, what, advice, count, tuple(names)[:NAMED])


def _unreadable(about: Examined) -> Iterator[Finding]:
    if bad := about.unreadable:
        what = f"{len(bad):,} of {_pictures(about.found)} cannot be read; training leaves them out."
        yield _finding(
            "unreadable",
            "warning",
            what,
            "Replace or remove them.",
            len(bad),
            (f"{one.name}: {one.reason}" for one in bad),
        )


def _copies(about: Examined) -> Iterator[Finding]:
    for kind, words in (
        ("same bytes", "byte for byte"),
        ("near", "resized, recompressed, brighter or mirrored"),
    ):
        some = [cluster for cluster in about.clusters if cluster.kind == kind]
        more = sum(len(cluster.names) - 1 for cluster in some)
        if some:
            yield _finding(
                "copies" if kind == "same bytes" else "near-copies",
                "warning",
                f"{_pictures(more)} more than needed: copies of others, {words}, in "
                f"{_number(len(some), 'group')}.",
                "Keep one of each, unless it is meant: what is there several times is learned by heart "
                "first, and a copy on the other side of the held-out split flatters the held-out loss.",
                more,
                (" = ".join(cluster.names[:4]) for cluster in some),
            )
    torn = [cluster for cluster in about.clusters if cluster.labels > 1]
    if torn:
        yield _finding(
            "label-conflict",
            "warning",
            f"{_number(len(torn), 'group')} of copies bear different labels.",
            "Decide which is right.",
            sum(len(cluster.names) for cluster in torn),
            (" = ".join(cluster.names[:4]) for cluster in torn),
        )


def _captions(about: Examined) -> Iterator[Finding]:
    if (captions := about.captions) is None:
        return
    for kind, count, words in (
        ("missing-captions", captions.missing, "have no caption, though others do"),
        ("empty-captions", captions.empty, "have a caption that is blank"),
    ):
        if count:
            yield _finding(kind, "warning", f"{_pictures(count)} {words}.", "Write captions for them.", count)
    if captions.frequent and captions.count >= 20 and captions.frequent[0][1] > SAID * captions.count:
        words, count = captions.frequent[0]
        yield _finding(
            "same-caption",
            "note",
            f"{_pictures(count)} have the same caption: {words[:80]!r}.",
            "A caption teaches what it says only where captions differ.",
            count,
        )


def _labels(about: Examined) -> Iterator[Finding]:
    if (labels := about.labels) is None:
        return
    if labels.unlabelled:
        yield _finding(
            "unlabelled",
            "warning",
            f"{_pictures(labels.unlabelled)} have no label, though others do.",
            "Label them or take them out.",
            labels.unlabelled,
        )
    if labels.imbalance > UNBALANCED:
        names = sorted(labels.counts, key=lambda name: labels.counts[name])
        few, many = names[0], names[-1]
        yield _finding(
            "imbalance",
            "warning",
            f"Classes are very unequal: {many} has {_pictures(labels.counts[many])}, "
            f"{few} {labels.counts[few]:,}.",
            "Rare classes are learned late and by heart; gather more of them or join classes.",
            len(names),
            (f"{name}: {labels.counts[name]:,}" for name in names),
        )


def _colour(about: Examined) -> Iterator[Finding]:
    colours, used = about.colours, about.used
    less = min(colours.grey, used - colours.grey)
    if less and colours.training != "L":
        kind = "grey" if colours.grey == less else "coloured"
        yield _finding(
            "grey-and-colour",
            "warning" if less >= STRAY * used else "note",
            f"Grey and colour are mixed: {less:,} of {_pictures(used)} {_are(less)} {kind}.",
            "The model will make both; take one kind out, or train on grey with --set data.channels=L.",
            less,
        )
    if colours.transparent and colours.training in ("LA", "RGBA") and colours.transparent < used:
        yield _finding(
            "transparency",
            "warning" if colours.transparent < used / 2 else "note",
            f"{colours.transparent:,} of {_pictures(used)} {'has' if colours.transparent == 1 else 'have'} "
            "transparency, so all are trained with it.",
            "--set data.channels=RGB lays them over white.",
            colours.transparent,
        )


def _outliers(about: Examined) -> Iterator[Finding]:
    rules: tuple[tuple[tuple[str, ...], str, Severity, str, str], ...] = (
        (("blank",), "blank", "warning", "nearly blank", "Blanks are quickly learned."),
        (("tiny",), "tiny", "warning", "far smaller than the size of training", "Enlarged, it teaches blur."),
        (("shape",), "long", "warning", "far longer than the rest", "Cut by hand, or take out."),
        (
            ("dark", "bright", "colour", "isolated"),
            "odd",
            "note",
            "unlike the rest in brightness, colour or layout",
            "Have a look: some may belong to another set.",
        ),
    )
    for kinds, name, severity, words, advice in rules:
        some = [outlier for outlier in about.outliers if outlier.kind in kinds]
        if some:
            yield _finding(
                name,
                severity,
                f"{_pictures(len(some))} {_are(len(some))} {words}.",
                advice,
                len(some),
                (f"{outlier.name}: {outlier.why}" for outlier in some),
            )


def _cropping(about: Examined) -> Iterator[Finding]:
    cut = about.cropping
    if cut.mean > SQUARE or cut.heavily > SOME * about.used:
        yield _finding(
            "cropping",
            "warning",
            f"Cropping to squares takes {cut.mean:.0%} of the area on average; "
            f"{_pictures(cut.heavily)} {'loses' if cut.heavily == 1 else 'lose'} a third or more.",
            "Look at what is cut; --set data.fit=pad keeps everything.",
            cut.heavily,
            (f"{one.name}: {one.width}x{one.height}, {one.lost:.0%}" for one in cut.worst),
        )
    tiny = sum(outlier.kind == "tiny" for outlier in about.outliers)
    if cut.enlarged > tiny:
        yield _finding(
            "enlarged",
            "warning" if cut.enlarged > SOME * about.used else "note",
            f"{_pictures(cut.enlarged)} have fewer than {about.size} pixels a side and are enlarged.",
            "Enlarged pictures teach blur: choose a smaller --size or take them out.",
            cut.enlarged,
        )


def _enough(about: Examined) -> Iterator[Finding]:
    enough = about.enough
    if enough.distinct < 2:
        yield _finding(
            "too-few",
            "error",
            f"{_pictures(enough.distinct)} that differ: nothing can be learned and held out.",
            "Gather more.",
            enough.distinct,
        )
    elif enough.verdict != "enough":
        sure = enough.verdict == "too few"
        yield _finding(
            "memorisation",
            "warning" if sure else "note",
            f"{_pictures(enough.distinct)} that differ, for a run that sees {enough.wanted:,}: the model "
            f"{'will' if sure else 'may'} learn them by heart "
            f"(copies from about {enough.low:,} to {enough.high:,} pictures seen).",
            f"Train shorter, with dropout and augmentation, or gather more: {enough.needed:,} are safe.",
            enough.distinct,
        )


def _beside(about: Examined) -> Iterator[Finding]:
    if about.problems:
        yield _finding(
            "annotations",
            "warning",
            f"{_number(len(about.problems), 'problem')} with labels, captions or folders.",
            "See below.",
            len(about.problems),
            about.problems,
        )
    if about.ignored:
        count = sum(about.ignored.values())
        yield _finding(
            "ignored",
            "note",
            f"{_number(count, 'other file')} ignored.",
            "Nothing to do, unless they should be pictures.",
            count,
            (f"{suffix}: {number:,}" for suffix, number in about.ignored.items()),
        )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _pictures(count: int) -> str:
    return _number(count, "picture")


RULES: Sequence[Rule] = (
    _enough,
    _unreadable,
    _copies,
    _labels,
    _captions,
    _colour,
    _outliers,
    _cropping,
    _beside,
)
