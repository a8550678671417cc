"""Draws faces: the art of python-avatars, rasterised by resvg once for each part, then laid over each other.

"Over" is associative (Porter and Duff 1984): the parts of a drawing, each rasterised alone and laid over each
other in its order, are the drawing, but for roundings of 1/255. All faces together have about 500 parts, so a
thousand a second can be drawn where the whole drawing takes 10 ms.

The art is Avataaars by Pablo Stanley (avataaars.com), free for personal and commercial use. Parts that
python-avatars took from elsewhere are not used.
"""

import io
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import python_avatars as pa
import resvg_py
from PIL import Image

from phosphene.data.made.faces.attributes import HIDDEN, Face

VIEW = (12, 6, 240, 240)
"""Left, top, width, height of what is shown, in the drawing's units: head, hair and collar."""

HAIR_PLACE = "Top"
SLOTS = ("Facial-Hair", "Accessory")
"""Where the art has its parts, by id; the slots are inside the hair."""

ASIDE = {"title", "desc", "defs", "mask", "filter"}
"""Elements of SVG that draw nothing themselves."""

HAIR: Mapping[str, str] = {
    "short": "SHORT_FLAT",
    "buzz cut": "CAESAR",
    "tuft": "FRIZZLE",
    "mullet": "SHAGGY_MULLET",
    "bob": "BOB",
    "bun": "BUN",
    "straight": "STRAIGHT_STRAND",
    "wavy": "BIG_HAIR",
    "curly": "CURLY",
    "afro": "FRO",
    "dreadlocks": "SHORT_DREADS_2",
    "flower crown": "FRIDA",
}
ACCESSORY: Mapping[str, str] = {
    "none": "NONE",
    "square glasses": "PRESCRIPTION_2",
    "round glasses": "ROUND",
    "sunglasses": "SUNGLASSES",
    "white sunglasses": "KURT",
}
BEARD: Mapping[str, str] = {
    "none": "NONE",
    "short beard": "BEARD_LIGHT",
    "long beard": "BEARD_MAGESTIC",
    "moustache": "MOUSTACHE_MAGNUM",
}
MOUTH: Mapping[str, str] = {
    "smile": "SMILE",
    "straight": "SERIOUS",
    "frown": "SAD",
    "scream": "SCREAM_OPEN",
    "tongue": "TONGUE",
    "gritted teeth": "GRIMACE",
}
EYES: Mapping[str, str] = {
    "open": "DEFAULT",
    "happy": "HAPPY",
    "closed": "CLOSED",
    "wide": "SURPRISED",
    "rolling": "EYE_ROLL",
    "wink": "WINK",
    "hearts": "HEART",
    "crosses": "X_DIZZY",
    HIDDEN: "DEFAULT",
}
CLOTHES: Mapping[str, str] = {
    "t-shirt": "SHIRT_CREW_NECK",
    "v-neck": "SHIRT_V_NECK",
    "hoodie": "HOODIE",
    "overalls": "OVERALL",
    "sweater": "COLLAR_SWEATER",
    "blazer": "BLAZER_SHIRT",
}
"""What python-avatars calls the parts."""

HAIR_COLOUR: Mapping[str, str] = {
    "black": "#2C1B18",
    "brown": "#724133",
    "blonde": "#D6B370",
    "red": "#C93305",
    "gray": "#E8E1E1",
    "pink": "#F59797",
}
SKIN: Mapping[str, str] = {
    "pale": "#FFDBB4",
    "light": "#EDB98A",
    "tan": "#D08B5B",
    "brown": "#AE5D29",
    "dark": "#573A2D",
}
CLOTHES_COLOUR: Mapping[str, str] = {
    "black": "#262E33",
    "white": "#FFFFFF",
    "gray": "#929598",
    "red": "#FF5C5C",
    "blue": "#5199E4",
    "green": "#3FA866",
    "yellow": "#FFD84D",
    "pink": "#FF8FC4",
}
BACKGROUND: Mapping[str, str] = {
    "blue": "#A9D2F5",
    "green": "#A8DDB5",
    "yellow": "#F7E7A1",
    "purple": "#C9B8EC",
    "gray": "#C9CDD2",
    "pink": "#F7BBD0",
}
"""Hair and skin have python-avatars' colours, but for dark skin, on which its brown hair was not seen; the
others are ours, farther apart."""


class Look(NamedTuple):
    """What the art is asked for: names of parts in python-avatars, colours as #RRGGBB."""

    hair: str = "NONE"
    hair_colour: str = "#000000"
    skin: str = "#000000"
    accessory: str = "NONE"
    beard: str = "NONE"
    mouth: str = "DEFAULT"
    eyes: str = "DEFAULT"
    clothes: str = "NONE"
    clothes_colour: str = "#000000"


def look(face: Face) -> Look:
    """What shows a face."""
    return Look(
        HAIR[face.hair],
        HAIR_COLOUR[face.hair_colour],
        SKIN[face.skin],
        ACCESSORY[face.accessory],
        BEARD[face.beard],
        MOUTH[face.mouth],
        EYES[face.eyes],
        CLOTHES[face.clothes],
        CLOTHES_COLOUR[face.clothes_colour],
    )


def render(face: Face, size: int) -> Image.Image:
    """The picture of a face, RGB, `size` pixels a side."""
    asked = look(face)
    picture = Image.new("RGBA", (size, size), BACKGROUND[face.background])
    for place, looks in _places(asked):
        picture.alpha_composite(_layer(place, looks, size))
    return picture.convert("RGB")


def render_whole(face: Face, size: int) -> Image.Image:
    """The same from one drawing: slower, but for roundings equal."""
    drawing = ElementTree.fromstring(_drawing(look(face)))
    return _raster(drawing, size, BACKGROUND[face.background]).convert("RGB")


def _places(asked: Look) -> list[tuple[str, Look]]:
    """The places of a drawing from the bottom up, each with what its content depends on and nothing else, so
    that it is drawn once for all looks that share it."""
    top = Look(hair=asked.hair)
    content = {
        HAIR_PLACE: top._replace(hair_colour=asked.hair_colour),
        "Facial-Hair": top._replace(beard=asked.beard, hair_colour=asked.hair_colour),
        "Accessory": top._replace(accessory=asked.accessory),
    }
    return [
        ("Body", Look(skin=asked.skin)),
        ("Clothing", Look(clothes=asked.clothes, clothes_colour=asked.clothes_colour)),
        ("Mouth", Look(mouth=asked.mouth)),
        ("Nose", Look()),
        ("Eyes", Look(eyes=asked.eyes)),
        ("Eyebrow", Look()),
        *((place, content[place]) for place in _order(asked.hair)),
    ]


@cache
def _layer(place: str, asked: Look, size: int) -> Image.Image:
    """What a drawing shows in one place, RGBA."""
    drawing = ElementTree.fromstring(_drawing(asked))
    _keep_only(drawing, place)
    return _raster(drawing, size, None)


@cache
def _order(hair: str) -> tuple[str, ...]:
    """Hair, beard and accessory from the bottom up, in which hair styles differ."""
    drawing = ElementTree.fromstring(_drawing(Look(hair=hair, beard="BEARD_LIGHT", accessory="ROUND")))
    top = next(element for element in drawing.iter() if _named(element, HAIR_PLACE))
    return tuple(dict.fromkeys(_drawn(top, HAIR_PLACE)))


def _drawn(element: Element, place: str) -> Iterator[str]:
    """The place of each thing that is drawn, in the order of drawing."""
    for child in element:
        if _tag(child) in ASIDE:
            continue
        inside = next((slot for slot in SLOTS if _named(child, slot)), place)
        if not len(child):
            yield inside
        yield from _drawn(child, inside)


def _keep_only(element: Element, place: str) -> bool:
    """Removes what is not in a place. Whether the element has the place in it."""
    if _named(element, place):
        return True
    kept = [child for child in element if _tag(child) in ASIDE or _keep_only(child, place)]
    element[:] = kept
    return any(_tag(child) not in ASIDE for child in kept)


def _named(element: Element, place: str) -> bool:
    """python-avatars puts a part's name and "_" before every id in it."""
    return element.get("id", "").endswith(f"_{place}")


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _drawing(asked: Look) -> str:
    """The SVG of a look."""
    avatar = pa.Avatar(
        style=pa.AvatarStyle.TRANSPARENT,
        top=pa.HairType[asked.hair],  # pyright: ignore[reportArgumentType]  # tops are hair or hats
        hair_color=asked.hair_colour,
        eyebrows=pa.EyebrowType.DEFAULT_NATURAL,
        eyes=pa.EyeType[asked.eyes],
        nose=pa.NoseType.DEFAULT,
        mouth=pa.MouthType[asked.mouth],
        facial_hair=pa.FacialHairType[asked.beard],
        facial_hair_color=asked.hair_colour,
        skin_color=asked.skin,
        accessory=pa.AccessoryType[asked.accessory],
        clothing=pa.ClothingType[asked.clothes],
        clothing_color=asked.clothes_colour,
    )
    return avatar.render()


def _raster(drawing: Element, size: int, background: str | None) -> Image.Image:
    drawing.attrib |= {"width": f"{size}", "height": f"{size}", "viewBox": " ".join(map(str, VIEW))}
    text = ElementTree.tostring(drawing, "unicode")
    png = resvg_py.svg_to_bytes(svg_string=text, background=background, skip_system_fonts=True)
    return Image.open(io.BytesIO(png)).convert("RGBA")
