"""Coverage against areas in closed form and against rectangles; colours mix linearly."""

import math

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from phosphene.data.made.shapes.render import INSIDE, cover, render
from phosphene.data.made.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES, Scene, Thing

# In units of the squared half width. A pentagram: ten triangles between its tips and its inner pentagon.
AREAS = {
    "circle": math.pi,
    "square": 1.76**2,
    "triangle": 0.5 * 2 * 1.85,
    "diamond": 2.0,
    "star": 5 * math.cos(math.tau / 5) / math.cos(math.pi / 5) * math.sin(math.pi / 5),
    "cross": 2 * 2 * 0.64 - 0.64**2,
    "ring": math.pi * (1 - 0.5**2),
    "heart": 3.6619733 / (1.14 * 1.1),
}


def test_every_shape_is_drawn():
    assert tuple(INSIDE) == SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_areas(shape):
    radius = 60.0
    for x, y in ((80.13, 80.29), (80.37, 79.61)):
        patch = cover(shape, radius, x, y)
        assert float(patch.coverage.sum()) / radius**2 == pytest.approx(AREAS[shape], rel=2e-3)
        assert 0 <= patch.coverage.min() <= patch.coverage.max() == 1


@pytest.mark.parametrize("shape", ["circle", "ring"])  # straight edges fall between points
def test_the_centre_is_where_it_was_asked_for(shape):
    x, y = 80.37, 79.61
    patch = cover(shape, 60.0, x, y)
    rows, columns = patch.coverage.sum(axis=1), patch.coverage.sum(axis=0)
    down = (np.arange(len(rows)) + 0.5) @ rows / rows.sum() + patch.top
    across = (np.arange(len(columns)) + 0.5) @ columns / columns.sum() + patch.left
    assert (across, down) == pytest.approx((x, y), abs=0.02)


def test_a_square_covers_what_its_edges_leave():
    x, y, radius = 10.3, 9.8, 5.0
    edge = np.arange(20)
    across, down = (
        np.clip(np.minimum(edge + 1, middle + 4.4) - np.maximum(edge, middle - 4.4), 0, 1)
        for middle in (x, y)
    )
    patch = cover("square", radius, x, y)
    height, width = patch.coverage.shape
    exact = np.outer(down, across)
    shown = exact[patch.top : patch.top + height, patch.left : patch.left + width]
    assert shown.sum() == pytest.approx(exact.sum())
    # An edge falls between two of eight points: at most a sixteenth of a pixel off, each way.
    assert abs(patch.coverage - shown).max() <= 2 / 16


def test_a_star_is_the_polygon_of_its_tips_and_notches():
    inner = math.cos(math.tau / 5) / math.cos(math.pi / 5)
    corners = [
        (
            (1 if k % 2 == 0 else inner) * math.sin(math.pi * k / 5),
            -(1 if k % 2 == 0 else inner) * math.cos(math.pi * k / 5),
        )
        for k in range(10)
    ]
    points = np.random.default_rng(0).uniform(-1, 1, (4000, 2)).astype(np.float32)
    inside = Polygon([*corners, corners[0]]).contains_points(points)
    ours = INSIDE["star"](points[:, :1], points[:, 1:])[:, 0]
    assert inside.any()
    assert (ours == inside).mean() > 0.9995  # points on the edge


@pytest.mark.parametrize("shape", SHAPES)
def test_whole_pixels_move_the_same_coverage(shape):
    here, there = cover(shape, 7.3, 12.25, 11.5), cover(shape, 7.3, 15.25, 9.5)
    assert (there.top - here.top, there.left - here.left) == (-2, 3)
    assert (here.coverage == there.coverage).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_left_is_right(shape):
    coverage = cover(shape, 9.0, 20.0, 20.0).coverage
    assert abs(coverage - coverage[:, ::-1]).max() <= 1 / 8  # points on an edge count on one side only


def test_which_way_is_up():
    """Hearts and triangles stand on different ends; the star's tip points up."""
    rows = {
        shape: cover(shape, 16.0, 20.0, 20.0).coverage.sum(axis=1) for shape in ("triangle", "heart", "star")
    }
    middle = {shape: float((np.arange(len(row)) * row).sum() / row.sum()) for shape, row in rows.items()}
    assert middle["triangle"] > 15.5 + 2
    assert middle["heart"] < 15.5 - 1
    assert rows["star"][1] > 0 == rows["star"][-2]


def test_colours_and_where_things_are():
    scene = Scene(
        "grey", (Thing("red", "square", "large", 0.25, 0.75), Thing("cyan", "circle", "small", 0.5, 0.25))
    )
    picture = render(scene, 80)
    assert picture.shape == (80, 80, 3)
    assert tuple(picture[60, 20]) == COLOURS["red"]
    assert tuple(picture[20, 40]) == COLOURS["cyan"]
    assert tuple(picture[0, 0]) == BACKGROUNDS["grey"]
    away = picture.astype(float) - BACKGROUNDS["grey"]
    for name, area in (
        ("red", AREAS["square"] * SIZES["large"] ** 2),
        ("cyan", AREAS["circle"] * SIZES["small"] ** 2),
    ):
        part = away[40:] if name == "red" else away[:40]
        towards = np.array(COLOURS[name], float) - BACKGROUNDS["grey"]
        assert part.sum(axis=(0, 1)) / towards == pytest.approx([area * 80**2] * 3, rel=0.03)


def test_pixels_between_are_rounded_mixtures():
    scene = Scene("black", (Thing("pink", "ring", "large", 0.5, 0.5),))
    patch = cover("ring", 64 * SIZES["large"], 32.0, 32.0)
    height, width = patch.coverage.shape
    ground, ink = np.array(BACKGROUNDS["black"]), np.array(COLOURS["pink"])
    exact = np.floor(ground + patch.coverage[..., None].astype(float) * (ink - ground) + 0.5)
    drawn = render(scene, 64)[patch.top : patch.top + height, patch.left : patch.left + width]
    assert abs(drawn - exact).max() <= 1  # float32
    assert (drawn == exact).mean() > 0.999
