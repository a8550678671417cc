"""A square of a picture is made anew and put back; the rest stays what it was, to the last bit."""

import numpy as np
import pytest
import torch
from PIL import Image

from phosphene.families.placed import Placed, placed, square
from phosphene.families.sampled import Sampled
from phosphene.recipes.tasks import InpaintingTask, NoTask
from tests.families.test_generator import MEAN, Noise
from tests.families.test_questions import Sees, asked, half, line, picture


@pytest.mark.parametrize("method", [None, "pigdm"])
@pytest.mark.parametrize(("crop", "wide"), [(None, 4), (0, 4), (3, 4), (None, 30), (0, 38)])
def test_a_part_of_a_larger_picture_is_made_anew_and_put_back(
    method: str | None, crop: int | None, wide: int
):
    task, network = (InpaintingTask(), Sees()) if method is None else (NoTask(), Noise("flow"))
    image, mask = picture(40, 24), Image.new("L", (40, 24), 0)
    mask.paste(255, (2, 5, 2 + wide, 9))
    generator = asked(task, network, prediction="eps")
    made = generator.inpaint(image, mask, n=64, batch=64, method=method, steps=20, crop=crop)
    assert made.values.shape == (64, 1, 24, 40)
    missing = np.array(mask) >= 128
    for one in list(made)[:3]:
        assert np.array_equal(np.array(one)[~missing], np.array(image)[~missing])
    assert float(made.values[..., 5:9, 2:6].mean()) == pytest.approx(MEAN, abs=0.08)
    assert made.seen is not None
    assert torch.equal(made.seen[0, 0] == 0, torch.from_numpy(missing))
    made.sheet()


def test_the_square_that_is_shown():
    missing = np.zeros((24, 40), bool)
    missing[5:9, 2:6] = True
    assert square(missing, None) == (2, 0, 26, 24)  # nearest to the middle, (8, 0), that holds it
    assert square(missing, 0) == (2, 5, 6, 9)
    assert square(missing, 3) == (0, 2, 10, 12)  # not beyond the left edge
    assert square(missing, 100) == (0, 0, 24, 24)
    missing[5:9, 38] = True
    # Of 37: no square of the picture holds it.
    assert square(missing, None) == square(missing, 0) == (2, -6, 39, 31)
    assert square(missing, 1) == (1, -7, 40, 32)
    assert square(missing, 9) == (0, -8, 40, 32)
    assert square(missing.T, None) == (-6, 2, 31, 39)
    missing[:, :38] = False
    assert square(missing, None) == (15, 0, 39, 24)
    assert square(missing, 1) == (34, 4, 40, 10)
    missing = np.zeros((8, 8), bool)
    missing[0, 7] = True
    assert square(missing, None) == (0, 0, 8, 8)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("side", [8, 16])
def test_what_is_made_of_a_square_beyond_the_picture_comes_back_where_it_was(side: int, turned: bool):
    """A ramp over the square of 16: the picture has its rows 4 to 11, or its columns."""
    ramp = (torch.arange(side) + 0.5) / side - 0.5
    first = (ramp[:, None] + ramp / 2)[None]
    square_of = torch.stack([first, -first])
    box, shape = (0, -4, 16, 12), (1, 8, 16)
    if turned:
        square_of, box, shape = square_of.mT, (-4, 0, 12, 16), (1, 16, 8)
    missing = torch.ones(shape, dtype=torch.bool)
    missing[:, 3, 3] = False
    back = Placed(torch.zeros(shape), missing, box).put_back(Sampled(square_of, ({}, {}), 1)).values
    fine = (torch.arange(16) + 0.5) / 16 - 0.5
    expected = (fine[:, None] + fine / 2)[4:12]
    expected = expected.mT if turned else expected
    assert back[0, 0, 3, 3] == 0
    expected[3, 3] = 0
    both = torch.stack([expected, -expected])[:, None]
    inner = (..., slice(1, -1), slice(4, -4)) if not turned else (..., slice(4, -4), slice(1, -1))
    torch.testing.assert_close(back[inner], both[inner], rtol=0, atol=0.02)
    if side == 16:
        assert torch.equal(back, both)


def test_a_picture_does_not_darken_at_its_edge():
    white, mask = Image.new("RGB", (128, 64), "white"), Image.new("L", (128, 64), 0)
    mask.paste(255, (0, 30, 128, 34))
    whole = placed(white, mask, None)
    shown = whole.shown(white)
    assert shown.size == (128, 128)
    assert np.asarray(shown).min() == 255
    stripes = Image.fromarray(np.arange(128, dtype=np.uint8)[None].repeat(64, 0))
    assert np.array_equal(
        np.asarray(placed(stripes, mask, None).shown(stripes)), np.arange(128)[None].repeat(128, 0)
    )
    inside = Placed(whole.picture, whole.missing, (3, 5, 9, 11))
    assert np.array_equal(np.asarray(inside.shown(stripes)), np.asarray(stripes)[5:11, 3:9])


def test_a_square_of_more_pixels_than_pictures_have_is_refused():
    with pytest.raises(
        ValueError, match="its white spans 10001 pixels, and a square of so many has more than"
    ):
        square(np.ones((1, 10_001), bool), None)
    assert square(np.ones((1, 10_000), bool), None) == (0, -4999, 10_000, 5001)


@pytest.mark.parametrize("side", [4, 8, 16])
def test_what_is_made_comes_back_at_the_size_of_the_picture(side: int):
    """Calm pictures: whatever the size, the middle of what was made is in the middle of the square."""
    whole = torch.zeros(1, 20, 30)
    missing = torch.zeros(1, 20, 30, dtype=torch.bool)
    missing[:, 2 : 2 + side, 5 : 5 + side] = True
    missing[:, 3, 6] = False
    ramp = torch.linspace(-0.5, 0.5, 9)[:-1] + 1 / 16
    made = Sampled((ramp[None] + ramp[:, None] / 2).expand(3, 1, 8, 8), ({}, {}, {}), 1)
    back = Placed(whole, missing, (5, 2, 5 + side, 2 + side)).put_back(made)
    fine = torch.linspace(-0.5, 0.5, side + 1)[:-1] + 1 / (2 * side)
    expected = whole.clone()
    expected[:, 2 : 2 + side, 5 : 5 + side] = fine[None] + fine[:, None] / 2
    expected[:, 3, 6] = 0
    inner = (..., slice(2 + side // 4, 2 + side - side // 4), slice(5 + side // 4, 5 + side - side // 4))
    torch.testing.assert_close(back.values[inner], expected.expand(3, -1, -1, -1)[inner], rtol=0, atol=0.02)
    assert torch.equal(back.values[:, ~missing], whole.expand(3, -1, -1, -1)[:, ~missing])
    if side == 8:
        assert torch.equal(back.values, expected.expand(3, -1, -1, -1))


def test_the_mean_of_several_is_taken_before_they_are_bytes():
    values = torch.tensor([-0.5, 0.25, 1.0625])[:, None, None, None].expand(3, 1, 4, 4)
    assert Sampled(values, ({}, {}, {}), 1).mean().getpixel((0, 0)) == 162  # of 0.2708; cut first, 159


def test_a_pixel_of_the_model_is_missing_where_any_of_it_is():
    image, mask = picture(64, 64), line(64, 64)  # one column of 64
    whole = placed(image, mask, None)
    keep = whole.known(8)
    assert torch.equal(keep[0], torch.ones(8, 8).index_fill(1, torch.tensor([0]), 0))
    small = placed(picture(8, 8), half(), None)
    assert torch.equal(small.known(8), torch.cat([torch.ones(1, 8, 4), torch.zeros(1, 8, 4)], 2))
    # Beyond the picture all is missing: of 16x8 and its square of 16, the first and the last quarter.
    top = line(8, 16).transpose(Image.Transpose.TRANSPOSE)
    long = placed(picture(16, 8), top, None)
    assert long.box == (0, -4, 16, 12)
    known = torch.ones(8, 8)
    known[:2] = known[6:] = 0
    known[2] = 0  # the line's own
    assert torch.equal(long.known(8)[0], known)
    larger = placed(picture(4, 4), half(4, 4), None)  # smaller than the model's
    assert torch.equal(larger.known(8), small.known(8))
