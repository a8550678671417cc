"""The oracle on thousands of scenes: everything true is accepted, everything false refused, by its aspect."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from phosphene.data.made.shapes import drawing
from phosphene.data.made.shapes.caption import say
from phosphene.data.made.shapes.claims import ASPECTS, Claims, claim, everything, judge
from phosphene.data.made.shapes.drawing import one_of
from phosphene.data.made.shapes.oracle import Seen, accepts, read
from phosphene.data.made.shapes.render import render
from phosphene.data.made.shapes.scene import (
    BACKGROUNDS,
    COLOURS,
    JITTER,
    OPPOSITE,
    PLACES,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    centre,
)


def another(options, than, rng: np.random.Generator):
    return one_of([option for option in options if option not in than], rng)


def wrong(claims: Claims, rng: np.random.Generator) -> dict[str, tuple[Claims, set[str]]]:
    """For each aspect the claims speak of, claims with that aspect wrong, and what must fail."""
    groups = claims.groups
    index = int(rng.integers(len(groups)))
    group = groups[index]

    def changed(**fields) -> Claims:
        return replace(claims, groups=(*groups[:index], replace(group, **fields), *groups[index + 1 :]))

    colour = another(COLOURS, [one.colour for one in groups], rng)
    shape = another(SHAPES, [one.shape for one in groups], rng)
    found = {
        "colours": (changed(colour=colour), {"colours", "objects"}),
        "shapes": (changed(shape=shape), {"shapes", "objects"}),
        "count": (
            replace(changed(count=another(range(1, 5), [group.count], rng), place=None), relation=None),
            {"count", "colours", "shapes", "objects"},
        ),
    }
    if group.size and group.count == 1 and len({one.shape + one.colour for one in groups}) == len(groups):
        found["sizes"] = (changed(size=another(SIZES, [group.size], rng)), {"sizes"})
    if group.place:
        found["places"] = (changed(place=another(PLACES, [group.place], rng)), {"places"})
    if claims.relation:
        found["relation"] = (replace(claims, relation=OPPOSITE[claims.relation]), {"relation"})
    if claims.background:
        ground = another(BACKGROUNDS, [claims.background], rng)
        found["background"] = (replace(claims, background=ground), {"background"})
    if len(groups) == 2 and groups[0].count == groups[1].count == 1:
        one, two = groups
        if one.colour != two.colour and one.shape != two.shape:
            swapped = (replace(one, colour=two.colour), replace(two, colour=one.colour))
            found["objects"] = (replace(claims, groups=swapped), {"objects"})
    return found


def as_drawn(scene: Scene, seen: Seen) -> bool:
    """Whether everything was read, positions to half a pixel of 64."""
    pairs = [
        sorted(things, key=lambda thing: PLACES.index(thing.place)) for things in (scene.things, seen.things)
    ]
    return (
        seen.background == scene.background
        and len(scene.things) == len(seen.things)
        and all(
            one.kind == two.kind and max(abs(one.x - two.x), abs(one.y - two.y)) < 1 / 128
            for one, two in zip(*pairs, strict=True)
        )
    )


def check(size: int, number: int) -> None:
    met: dict[str, int] = dict.fromkeys(ASPECTS, 0)
    for i in range(number):
        rng = np.random.default_rng([11, size, i])
        scene = drawing.scene(rng, withheld=i % 4 == 0)
        seen = read(render(scene, size))
        assert as_drawn(scene, seen), (size, i)
        assert seen.specks == 0
        assert judge(everything(scene), seen.background, seen.things).accepted
        claims = claim(scene, rng)
        assert judge(claims, seen.background, seen.things).accepted
        for aspect, (false, failed) in wrong(claims, rng).items():
            verdict = judge(false, seen.background, seen.things)
            assert set(verdict.failed) >= failed if aspect == "count" else set(verdict.failed) == failed, (
                i,
                aspect,
            )
            met[aspect] += 1
    assert min(met.values()) > number / 30, met


@pytest.mark.parametrize("size", [32, 64])
def test_hundreds_of_scenes_without_an_error(size):
    check(size, 250)


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 48, 64, 100, 256])
def test_thousands_of_scenes_without_an_error(size):
    check(size, 4000)


@pytest.mark.parametrize("size", [32, 48, 64, 100, 128])
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_look_on_every_background(size, background):
    """Every colour, shape and size, four at a time; all of them at 64 pixels, some at the others."""
    kinds = [(colour, shape, half) for colour in COLOURS for shape in SHAPES for half in SIZES]
    rng = np.random.default_rng(size)
    for start in range(0, len(kinds), 4 if size == 64 else 32):
        places = rng.permutation(9)[:4]
        things = [
            drawing.at(rng, drawing.Kind(*kind), PLACES[place])
            for kind, place in zip(kinds[start : start + 4], places, strict=True)
        ]
        scene = Scene(background, tuple(things))
        assert as_drawn(scene, read(render(scene, size)))


@pytest.mark.parametrize("size", [32, 33, 47, 64])
def test_neighbours_as_near_as_they_come_are_four(size):
    """Large crosses at four neighbouring places, each off its place towards the others: a pixel between."""
    places = {"top left": (1, 1), "top": (-1, 1), "left": (1, -1), "center": (-1, -1)}
    for colours in (["red"] * 4, ["red", "orange", "yellow", "green"], ["cyan", "blue", "purple", "pink"]):
        things = []
        for (place, way), colour in zip(places.items(), colours, strict=True):
            x, y = (middle + JITTER * sign for middle, sign in zip(centre(place), way, strict=True))
            things.append(Thing(colour, "cross", "large", x, y))
        for background in BACKGROUNDS:
            scene = Scene(background, tuple(things))
            assert as_drawn(scene, read(render(scene, size)))


def test_captions_and_scenes_are_accepted_from_pixels():
    for i in range(50):
        rng = np.random.default_rng([12, i])
        scene = drawing.scene(rng)
        pixels = render(scene, 64)
        assert accepts(scene, pixels).accepted
        assert accepts(say(claim(scene, rng), rng), pixels).accepted
    with pytest.raises(ValueError, match="cannot read 'dog'"):
        accepts("a dog", np.zeros((64, 64, 3), np.uint8))


def test_what_is_not_seen_fails_all_that_was_said_of_it():
    there, gone = Thing("blue", "ring", "large", 0.2, 0.5), Thing("red", "cross", "small", 0.8, 0.5)
    claims = replace(everything(Scene("white", (there, gone))), relation="left of")
    assert judge(claims, "white", (there, gone)).accepted
    failed = judge(claims, "white", (there,)).failed
    assert failed == tuple(aspect for aspect in ASPECTS if aspect != "background")


def noisy(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(pixels + rng.normal(0, 20, pixels.shape), 0, 255).round().astype(np.uint8)


def shifted(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(pixels + rng.uniform(-40, 40, 3), 0, 255).round().astype(np.uint8)


def soft(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    del rng
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1)))


@pytest.mark.parametrize(
    ("harm", "size", "share"),
    [
        (noisy, 32, 0.98),
        (noisy, 64, 0.98),
        (shifted, 32, 0.93),
        (shifted, 64, 0.93),
        (soft, 32, 0.8),
        (soft, 64, 0.97),
    ],
)
def test_small_faults_of_generated_pictures_are_forgiven(harm, size, share):
    right = 0
    for i in range(60):
        rng = np.random.default_rng([13, i])
        scene = drawing.scene(rng)
        right += accepts(scene, harm(render(scene, size), rng)).accepted
    assert right >= 60 * share


def test_what_is_no_scene_is_not_read_as_one():
    rng = np.random.default_rng(0)
    plain = np.full((64, 64, 3), 128, np.uint8)
    assert read(plain) == Seen("grey", (), 0)
    assert read(np.full((64, 64, 3), (0, 160, 0), np.uint8)).background == "unclear"
    scene = Scene("white", (Thing("blue", "ring", "large", 0.5, 0.5),))
    for dye in ((100, 70, 20), (170, 220, 160)):  # brown and pale green have no name
        dyed = render(scene, 64)
        dyed[(dyed != 245).any(axis=-1)] = dye
        assert "colours" in accepts(scene, dyed).failed
    blot = plain.copy()
    blot[10:50, 12:60] = COLOURS["red"]  # far larger than any shape
    assert read(blot).things[0].shape == "unclear"
    bar = plain.copy()
    bar[20:30, 20:44] = COLOURS["red"]  # a heart, if anything: their cosine is between 0.7 and 0.8
    assert read(bar).things[0].shape == "unclear"
    stroke = plain.copy()
    stroke[30:33, 4:40] = COLOURS["red"]
    assert read(stroke).things[0].shape == "unclear"
    static = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert not accepts(scene, static).accepted
    speck = render(scene, 64)
    speck[2:4, 2:4] = COLOURS["red"]
    assert (read(speck).specks, accepts(scene, speck).accepted) == (1, True)


def test_what_hardly_differs_from_the_ground_is_not_there():
    """Things begin at a distance of 45 in RGB."""
    for distance, there in ((40, 0), (50, 1)):
        faint = np.full((64, 64, 3), 128, np.uint8)
        faint[20:40, 20:40, 0] += distance
        assert len(read(faint).things) == there


def test_what_cannot_be_read_is_said():
    for height, width in ((64, 32), (31, 31)):
        with pytest.raises(
            ValueError, match=rf"^picture of {width}x{height}: give square ones of at least 32 pixels$"
        ):
            read(np.zeros((height, width, 3), np.uint8))
