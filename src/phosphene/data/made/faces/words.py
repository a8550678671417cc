"""What captions of faces are made of: for each value of an attribute the phrases that say it.

PLAIN phrases are used in training. OTHER phrases are for questions only: each has a word that no training
caption contains, so a model that understands it knows more than it was told.

A phrase stands before "person" (an adjective), after "with", or after "wearing". {c} is where a colour goes;
without a colour it falls away. "a" becomes "an" by the sound that follows, which here its first letter tells.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

Place = Literal["before", "with", "wearing", "background"]


class Phrase(NamedTuple):
    """Words that claim values of attributes, and where in a sentence they stand."""

    text: str
    place: Place
    claims: Mapping[str, str]


class Words(NamedTuple):
    """The phrases of a value, by where they stand."""

    with_: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    wearing: tuple[str, ...] = ()


Vocabulary = Mapping[str, Mapping[str, Words]]

PLAIN: Vocabulary = {
    "hair": {
        "short": Words(("short {c} hair", "short-cut {c} hair")),
        "buzz cut": Words(("a {c} buzz cut", "a close {c} buzz cut")),
        "tuft": Words(("a {c} tuft of hair on top", "a {c} tuft and shaved sides")),
        "mullet": Words(("a {c} mullet", "a shaggy {c} mullet")),
        "bob": Words(("a {c} bob", "{c} hair cut in a bob")),
        "bun": Words(("a {c} bun", "{c} hair in a bun", "{c} hair tied up in a bun")),
        "straight": Words(("long straight {c} hair", "straight long {c} hair")),
        "wavy": Words(("long wavy {c} hair", "long {c} hair in waves")),
        "curly": Words(("curly {c} hair", "{c} curls")),
        "afro": Words(("a {c} afro", "a big {c} afro")),
        "dreadlocks": Words(("{c} dreadlocks", "short {c} dreadlocks")),
        "flower crown": Words(("{c} hair under a flower crown", "a flower crown on {c} hair")),
    },
    "skin": {
        "pale": Words(("pale skin", "a pale face"), ("pale-skinned",)),
        "light": Words(("light skin", "a light complexion"), ("light-skinned",)),
        "tan": Words(("tan skin", "a tan complexion"), ("tan-skinned",)),
        "brown": Words(("brown skin", "a brown complexion"), ("brown-skinned",)),
        "dark": Words(("dark skin", "a dark complexion"), ("dark-skinned",)),
    },
    "accessory": {
        "none": Words(("no glasses",), wearing=("no glasses",)),
        "square glasses": Words(wearing=("square glasses", "glasses with a square frame")),
        "round glasses": Words(wearing=("round glasses", "glasses with a round frame")),
        "sunglasses": Words(wearing=("sunglasses", "dark sunglasses")),
        "white sunglasses": Words(wearing=("white sunglasses", "sunglasses with a white frame")),
    },
    "beard": {
        "none": Words(("no beard",), ("clean-shaven",)),
        "short beard": Words(("a short beard", "a trimmed beard")),
        "long beard": Words(("a long beard", "a full long beard")),
        "moustache": Words(("a moustache", "a mustache")),
    },
    "mouth": {
        "smile": Words(("a big smile", "a smile"), ("smiling",)),
        "straight": Words(("a straight mouth", "a serious mouth"), ("serious",)),
        "frown": Words(("a frown", "a sad mouth"), ("frowning",)),
        "scream": Words(("a wide screaming mouth",), ("screaming",)),
        "tongue": Words(("the tongue out", "the tongue sticking out")),
        "gritted teeth": Words(("gritted teeth", "teeth gritted in a grimace"), ("grimacing",)),
    },
    "eyes": {
        "open": Words(("open eyes", "small open eyes")),
        "happy": Words(("happy eyes", "eyes that are happy arcs")),
        "closed": Words(("closed eyes", "both eyes closed")),
        "wide": Words(("wide eyes", "eyes wide open")),
        "rolling": Words(("rolling eyes", "eyes rolled up")),
        "wink": Words(("a wink", "one eye closed in a wink"), ("winking",)),
        "hearts": Words(("hearts for eyes", "heart-shaped eyes")),
        "crosses": Words(("crosses for eyes", "crossed-out eyes")),
    },
    "clothes": {
        "t-shirt": Words(wearing=("a {c} t-shirt", "a plain {c} t-shirt")),
        "v-neck": Words(wearing=("a {c} v-neck", "a {c} shirt with a v-neck")),
        "hoodie": Words(wearing=("a {c} hoodie", "a {c} top with a hood")),
        "overalls": Words(wearing=("{c} overalls", "a pair of {c} overalls")),
        "sweater": Words(wearing=("a {c} sweater with a white collar", "a {c} sweater over a white collar")),
        "blazer": Words(wearing=("a blazer over a {c} shirt", "a {c} shirt under a blazer")),
    },
}

OTHER: Vocabulary = {
    "hair": {
        "short": Words(("cropped {c} hair",)),
        "buzz cut": Words(("closely shorn {c} hair",)),
        "tuft": Words(("a {c} pompadour",)),
        "mullet": Words(("tousled {c} hair",)),
        "bob": Words(("chin-length {c} hair",)),
        "bun": Words(("a {c} topknot",)),
        "straight": Words(("sleek {c} hair down to the shoulders",)),
        "wavy": Words(("flowing {c} hair",)),
        "curly": Words(("{c} ringlets",)),
        "afro": Words(("a huge ball of {c} hair",)),
        "dreadlocks": Words(("twisted {c} hair",)),
        "flower crown": Words(("{c} hair below a wreath of blossoms",)),
    },
    "skin": {
        "pale": Words(("ivory skin",)),
        "light": Words(("beige skin",)),
        "tan": Words(("bronzed skin",)),
        "brown": Words(("russet skin",)),
        "dark": Words(("ebony skin",)),
    },
    "accessory": {
        "none": Words(("nothing on the nose",)),
        "square glasses": Words(wearing=("rectangular spectacles",)),
        "round glasses": Words(wearing=("circular spectacles",)),
        "sunglasses": Words(wearing=("shades",)),
        "white sunglasses": Words(wearing=("white-rimmed shades",)),
    },
    "beard": {
        "none": Words(("a bare chin",)),
        "short beard": Words(("a stubbly chin",)),
        "long beard": Words(("a bushy beard",)),
        "moustache": Words(("whiskers on the upper lip",)),
    },
    "mouth": {
        "smile": Words(("a beaming grin",)),
        "straight": Words(("an expressionless mouth",)),
        "frown": Words(("downturned lips",)),
        "scream": Words((), ("yelling",)),
        "tongue": Words(("a tongue poking forth",)),
        "gritted teeth": Words(("clenched teeth",)),
    },
    "eyes": {
        "open": Words(("ordinary eyes",)),
        "happy": Words(("joyful eyes",)),
        "closed": Words(("shut eyes",)),
        "wide": Words(("astonished eyes",)),
        "rolling": Words(("eyes that gaze upwards",)),
        "wink": Words(("an eye that blinks",)),
        "hearts": Words(("lovestruck eyes",)),
        "crosses": Words(("x-shaped eyes",)),
    },
    "clothes": {
        "t-shirt": Words(wearing=("a {c} tee",)),
        "v-neck": Words(wearing=("a {c} pullover with a plunging neckline",)),
        "hoodie": Words(wearing=("a hooded {c} sweatshirt",)),
        "overalls": Words(wearing=("{c} dungarees",)),
        "sweater": Words(wearing=("a collared {c} jumper",)),
        "blazer": Words(wearing=("a jacket over a {c} blouse",)),
    },
}

HAIR_ONLY, CLOTHES_ONLY, GROUND = ("{c} hair",), ("{c} clothes", "something {c}"), ("a {c} background",)
OTHER_HAIR, OTHER_CLOTHES, OTHER_GROUND = ("a {c} head of hair",), ("a {c} garment",), ("a {c} backdrop",)
"""Where only a colour is said."""

PLAIN_COLOURS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "hair_colour": {
        "black": ("black",),
        "brown": ("brown",),
        "blonde": ("blonde", "blond"),
        "red": ("red", "ginger"),
        "gray": ("gray", "grey"),
        "pink": ("pink",),
    },
    "clothes_colour": {name: (name,) for name in ("black", "white", "red", "blue", "green", "yellow", "pink")}
    | {"gray": ("gray", "grey")},
    "background": {name: (name, f"pale {name}") for name in ("blue", "green", "yellow", "purple", "pink")}
    | {"gray": ("gray", "grey")},
}

OTHER_COLOURS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "hair_colour": {
        "black": ("raven",),
        "brown": ("chestnut",),
        "blonde": ("golden",),
        "red": ("copper",),
        "gray": ("silver",),
        "pink": ("rose-coloured",),
    },
    "clothes_colour": {
        "black": ("jet",),
        "white": ("snowy",),
        "gray": ("ash",),
        "red": ("scarlet",),
        "blue": ("azure",),
        "green": ("emerald",),
        "yellow": ("lemon",),
        "pink": ("fuchsia",),
    },
    "background": {
        "blue": ("sky-coloured",),
        "green": ("minty",),
        "yellow": ("cream",),
        "purple": ("lilac",),
        "gray": ("ashen",),
        "pink": ("rosy",),
    },
}


class Lexicon(NamedTuple):
    """All that is said in one manner of speaking."""

    words: Vocabulary
    colours: Mapping[str, Mapping[str, tuple[str, ...]]]
    only: Mapping[str, tuple[str, ...]]


SPOKEN = Lexicon(
    PLAIN, PLAIN_COLOURS, {"hair_colour": HAIR_ONLY, "clothes_colour": CLOTHES_ONLY, "background": GROUND}
)
ASKED = Lexicon(
    OTHER,
    OTHER_COLOURS,
    {"hair_colour": OTHER_HAIR, "clothes_colour": OTHER_CLOTHES, "background": OTHER_GROUND},
)

COLOURED = {"hair": "hair_colour", "clothes": "clothes_colour"}
"""Which attribute's colour {c} in the phrases of another is."""
PLACES: Mapping[str, Place] = {"hair_colour": "with", "clothes_colour": "wearing", "background": "background"}


def phrases(lexicon: Lexicon, name: str, value: str, colour: str | None = None) -> list[Phrase]:
    """Every way to say that an attribute has a value; hair and clothes with their colour, if it is given."""
    found: list[tuple[str, Place]]
    if name in lexicon.only:
        place = PLACES[name]
        found = [(text, place) for text in lexicon.only[name]]
        return list(_coloured(found, {}, lexicon, name, value))
    words = lexicon.words[name][value]
    places: dict[Place, tuple[str, ...]] = {
        "with": words.with_,
        "before": words.before,
        "wearing": words.wearing,
    }
    found = [(text, place) for place, texts in places.items() for text in texts]
    if colour is None:
        return [Phrase(text.replace("{c} ", ""), place, {name: value}) for text, place in found]
    return list(_coloured(found, {name: value}, lexicon, COLOURED[name], colour))


def _coloured(
    found: list[tuple[str, Place]], claims: Mapping[str, str], lexicon: Lexicon, name: str, value: str
) -> Iterator[Phrase]:
    for text, place in found:
        for colour in lexicon.colours[name][value]:
            yield Phrase(text.replace("{c}", colour), place, {**claims, name: value})


def everything(lexicon: Lexicon) -> Iterator[Phrase]:
    """All phrases of a lexicon."""
    for name, values in lexicon.colours.items():
        for value in values:
            yield from phrases(lexicon, name, value)
    for name, entries in lexicon.words.items():
        for value in entries:
            yield from phrases(lexicon, name, value)
            if name in COLOURED:
                for colour in lexicon.colours[COLOURED[name]]:
                    yield from phrases(lexicon, name, value, colour)
