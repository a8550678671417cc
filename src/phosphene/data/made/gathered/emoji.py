"""Emoji: the pictures of a colour font, captioned with their Unicode names.

One picture a name. Names such as "woman firefighter: medium skin tone" are a concept and a skin tone, so
pairs of the two are held out, while the concept (in other tones) and the tone (of other concepts) stay in
training: who can draw a held-out pair has put two known things together.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from phosphene.data.made.folder import HELD_OUT, TRAIN, Making, Order, Picture
from phosphene.data.made.gathered.colour_font import ColourFont, colour_font
from phosphene.data.made.gathered.credits import Credit, link
from phosphene.data.made.gathered.origin import Found, Origin, credited, gather, hashed, shuffled
from phosphene.pictures.fitting import fit, to_mode
from phosphene.pictures.opening import open_picture

PACKAGES = ("fonts-noto-color-emoji", "unicode-data")
NAMES = "emoji-test.txt"
LINE = re.compile(r"([0-9A-F]+(?: [0-9A-F]+)*) *; fully-qualified +# \S+ E[0-9.]+ (.+)")
TONE = " skin tone"
STREAM = 0x656D6F6A

WORDS = """Emoji with transparency, each with its Unicode name as caption.

Fields: `text` (the name), `concept` (the name without skin tones), `skin_tone` (null; "medium"; "light, dark"
where two people are shown), `group` and `subgroup` of Unicode, `emoji` (the characters themselves), `same`
(further names of which the font has the very same picture).

Held out are pairs of a concept and a skin tone: at least half of a concept's tones stay in training."""


class Emoji(NamedTuple):
    """A name of Unicode's, what it consists of, and the code points it stands for."""

    points: tuple[int, ...]
    name: str
    group: str
    subgroup: str

    @property
    def concept(self) -> str:
        return split(self.name)[0]

    @property
    def tone(self) -> str | None:
        return split(self.name)[1]


class Drawn(NamedTuple):
    """An emoji, its picture (the bytes of a PNG) and the further names of this picture."""

    emoji: Emoji
    png: bytes
    same: tuple[str, ...]


def emoji(order: Order) -> Making:
    """The emoji of Noto, from fonts-noto-color-emoji and unicode-data, or from the user's folders.

    Raises ValueError if there is no font with PNG pictures (table CBDT) or no emoji-test.txt.
    """
    origin = gather(order.sources, PACKAGES)
    listed = _names(origin)
    font, found = colour_font(origin)
    drawn, unknown = draw(parse(listed.path.read_text("utf-8")), font)
    out = held_out([one.emoji for one in drawn], order.held_out)
    chosen = shuffled(len(drawn), order.seed, STREAM)[: order.count]
    settings = {**origin.settings, "font": font.name, "names": len(drawn), "names_without_picture": unknown}
    words = f"{WORDS}\n\n{_attribution(origin, font, found)}"
    return Making(len(chosen), _pictures(drawn, chosen, out, order.size), words, settings)


def parse(text: str) -> list[Emoji]:
    """The fully-qualified emoji of Unicode's emoji-test.txt (UTS 51), in its order."""
    found, group, subgroup = [], "", ""
    for line in text.splitlines():
        if line.startswith("# group:"):
            group = line.partition(":")[2].strip()
        elif line.startswith("# subgroup:"):
            subgroup = line.partition(":")[2].strip()
        elif match := LINE.match(line):
            points = tuple(int(point, 16) for point in match[1].split(" "))
            found.append(Emoji(points, match[2].strip(), group, subgroup))
    return found


def split(name: str) -> tuple[str, str | None]:
    """A name without its skin tones, and these: "kiss: woman, man, light skin tone, dark skin tone" is
    ("kiss: woman, man", "light, dark")."""
    head, _, tail = name.partition(": ")
    parts = tail.split(", ") if tail else []
    tones = [part.removesuffix(TONE) for part in parts if part.endswith(TONE)]
    rest = [part for part in parts if not part.endswith(TONE)]
    return ": ".join([head, ", ".join(rest)] if rest else [head]), ", ".join(tones) or None


def draw(names: Sequence[Emoji], font: ColourFont) -> tuple[list[Drawn], int]:
    """Each picture of the font once, with the first of its names, and how many names have no picture."""
    by_picture: dict[bytes, list[Emoji]] = {}
    unknown = 0
    for one in names:
        png = font.png(one.points)
        if png is None:
            unknown += 1
        else:
            by_picture.setdefault(png, []).append(one)
    drawn = [
        Drawn(first, png, tuple(one.name for one in others)) for png, (first, *others) in by_picture.items()
    ]
    return drawn, unknown


def held_out(drawn: Sequence[Emoji], share: float) -> frozenset[str]:
    """Names that are held out: about a share of all, of those with a skin tone, in the order of their
    hashes, as long as at least half of a concept's tones stay in training."""
    toned = [one for one in drawn if one.tone is not None]
    left = Counter(one.concept for one in toned)
    floor = {concept: (count + 1) // 2 for concept, count in left.items()}
    names: set[str] = set()
    for one in sorted(toned, key=lambda one: hashed(one.name)):
        if len(names) >= round(share * len(drawn)):
            break
        if left[one.concept] > floor[one.concept]:
            left[one.concept] -= 1
            names.add(one.name)
    return frozenset(names)


def _pictures(
    drawn: Sequence[Drawn], chosen: Sequence[int], out: frozenset[str], size: int
) -> Iterator[Picture]:
    for number in chosen:
        one, png, same = drawn[number]
        image = to_mode(open_picture(png).image, "RGBA")
        fields: Mapping[str, object] = {
            "text": one.name,
            "concept": one.concept,
            "skin_tone": one.tone,
            "group": one.group,
            "subgroup": one.subgroup,
            "emoji": "".join(map(chr, one.points)),
            "same": list(same),
        }
        yield Picture(fit(image, size, "pad")[0], fields, HELD_OUT if one.name in out else TRAIN)


def _names(origin: Origin) -> Found:
    for found in origin.files(".txt"):
        if found.path.name == NAMES:
            return found
    raise ValueError(
        f"emoji from {origin.named}: no {NAMES}, which holds Unicode's names; Debian's unicode-data puts it "
        "into /usr/share/unicode: name that with one more --from"
    )


def _attribution(origin: Origin, font: ColourFont, found: Found) -> str:
    said = credited(found) or Credit(font.holders, font.licence)
    where = f", {link(said.licence)}" if link(said.licence) else ""
    return (
        f"## Attribution\n\nPictures: {font.name}. {said.holders}. Licence: {said.licence}{where}\n\n"
        f"Names: Unicode, Inc. (emoji-test.txt), {link('Unicode')}\n\n{origin.words}"
    )
