import math

import pytest
import torch
from scipy import stats
from sklearn.datasets import load_sample_image

from phosphene.data.augment import Geometry, draw, edm_augment, flip, transform
from phosphene.diffusion.noise import keys
from phosphene.pictures.pixels import to_values

PHOTO = torch.tensor(load_sample_image("flower.jpg")).permute(2, 0, 1)
CROPS = to_values(torch.stack([PHOTO[:, 40 * i : 40 * i + 32, 90 * i : 90 * i + 32] for i in range(6)]))
FIELDS = Geometry._fields


def geometry(rows, **given):
    filled = {name: torch.full((rows,), float(given.get(name, 0)), dtype=torch.float64) for name in FIELDS}
    return Geometry(**filled)


def smooth(height=48, width=32):
    """A picture that has a formula: f(x, y) of pixels from the centre, slow enough to be sampled well."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return formula(x - (width - 1) / 2, y - (height - 1) / 2)


def formula(x, y):
    return 0.4 * torch.sin(x / 7 + 0.3) + 0.3 * torch.cos(y / 9) + 0.2 * torch.sin((x + 2 * y) / 15)


def test_nothing_is_exactly_nothing():
    assert torch.equal(transform(CROPS, geometry(6)), CROPS)
    odd = CROPS[..., :30, :27]  # where the sampling grid itself is not exact
    assert torch.equal(transform(odd, geometry(6, mirror_y=1)), odd.flip(-2))
    assert torch.equal(geometry(6).labels(), torch.zeros(6, 9))
    values, labels = edm_augment(CROPS, keys(3, range(6)), 5, 0.0)
    assert torch.equal(values, CROPS)
    assert torch.equal(labels, torch.zeros(6, 9))


def test_zero_labels_mean_an_untouched_picture_and_the_reverse():
    many = CROPS[:1].expand(400, -1, -1, -1)
    values, labels = edm_augment(many, keys(3, range(400)), 5, 0.15)
    same = (values == many).flatten(1).all(1)
    assert torch.equal(same, (labels == 0).all(1))
    assert 0.1 < same.float().mean() < 0.4


@pytest.mark.parametrize(("field", "axis", "column"), [("mirror_x", -1, 0), ("mirror_y", -2, 1)])
def test_mirrors_are_exact(field, axis, column):
    g = geometry(6, **{field: 1})
    assert torch.equal(transform(CROPS, g), CROPS.flip(axis))
    assert torch.equal(g.labels(), torch.eye(9)[column].expand(6, 9))


def test_quarter_turns():
    for turns in (1, 2, 3, 4):
        moved = transform(CROPS, geometry(6, rotate=turns * math.pi / 2))
        # x (right) turns towards y (down): clockwise, and rot90 counts anticlockwise.
        torch.testing.assert_close(moved, CROPS.rot90(-turns, (-2, -1)), atol=3e-5, rtol=0)


def test_two_eighths_are_a_quarter():
    half = smooth(48, 48)[None, None]
    once = transform(half, geometry(1, rotate=math.pi / 4))
    twice = transform(once, geometry(1, rotate=math.pi / 4))
    inner = (..., slice(16, 32), slice(16, 32))
    torch.testing.assert_close(twice[inner], half.rot90(-1, (-2, -1))[inner], atol=1e-2, rtol=0)


def test_whole_shifts_roll_and_reflect_at_the_edge():
    moved = transform(CROPS, geometry(6, shift_x=3 * 8 / 32, shift_y=-2 * 8 / 32))
    torch.testing.assert_close(moved[..., :-2, 3:], CROPS[..., 2:, :-3], atol=3e-5, rtol=0)
    reflected = torch.cat([CROPS[..., :3].flip(-1), CROPS[..., :-3]], -1)
    reflected = torch.cat([reflected[..., 2:, :], reflected[..., -2:, :].flip(-2)], -2)
    torch.testing.assert_close(moved, reflected, atol=3e-5, rtol=0)


def check_formula(g, source, margin=14):
    """The transformed picture is the formula at the points where the inverse says it comes from."""
    height, width = 48, 40
    moved = transform(smooth(height, width)[None, None], g)[0, 0]
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    expected = formula(*source(x - (width - 1) / 2, y - (height - 1) / 2))
    inner = (slice(margin, -margin), slice(margin, -margin))
    torch.testing.assert_close(moved[inner], expected[inner], atol=6e-3, rtol=0)


def test_scale_enlarges_by_two_to_a_fifth_of_the_number():
    for number in (-1.0, 1.5):
        factor = 2 ** (0.2 * number)
        check_formula(geometry(1, scale=number), lambda x, y, f=factor: (x / f, y / f))


def test_rotation_is_about_the_centre_of_an_oblong_picture():
    cos, sin = math.cos(0.4), math.sin(0.4)
    check_formula(geometry(1, rotate=0.4), lambda x, y: (cos * x + sin * y, cos * y - sin * x))


def test_stretch_along_an_axis_and_along_an_angle():
    factor = 2 ** (0.2 * 1.2)
    check_formula(geometry(1, stretch=1.2), lambda x, y: (x / factor, y * factor))
    cos, sin = math.cos(0.7), math.sin(0.7)

    def back(x, y):
        along, across = (cos * x + sin * y) / factor, (cos * y - sin * x) * factor
        return cos * along - sin * across, sin * along + cos * across

    check_formula(geometry(1, stretch=1.2, along=0.7), back)


def test_shift_is_in_eighths_of_width_and_height():
    check_formula(geometry(1, shift_x=0.5, shift_y=-1), lambda x, y: (x - 0.5 * 5, y + 6))


def test_order_mirror_scale_rotate_stretch_shift():
    cos, sin, factor, size = math.cos(0.3), math.sin(0.3), 2 ** (0.2 * -0.8), 2**0.1

    def back(x, y):
        x, y = x - 2.5, y - 3
        x, y = x / factor, y * factor
        x, y = cos * x + sin * y, cos * y - sin * x
        return -x / size, y / size

    g = geometry(1, mirror_x=1, scale=0.5, rotate=0.3, stretch=-0.8, shift_x=0.5, shift_y=0.5)
    check_formula(g, back)


def test_labels_are_those_of_table_6():
    g = geometry(1, mirror_x=1, scale=0.5, rotate=0.3, stretch=2, along=-0.4, shift_x=0.7, shift_y=-3)
    told = [1, 0, 0.5, math.cos(0.3) - 1, math.sin(0.3), 2 * math.cos(-0.4), 2 * math.sin(-0.4), 0.7, -3]
    torch.testing.assert_close(g.labels(), torch.tensor([told]))


def test_values_stay_in_range():
    hard = torch.where(torch.rand(8, 1, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0)
    values, _ = edm_augment(hard, keys(0, range(8)), 0, 1.0)
    assert values.abs().max() <= 1


def test_draws_have_their_distributions():
    n, p = 20000, 0.3
    g = draw(keys(1, range(n)), 7, p)
    slack = 4.5 * math.sqrt(0.25 / n)
    for field, share in (("mirror_x", 0.5), ("mirror_y", p / 2), ("scale", p), ("rotate", p), ("stretch", p)):
        assert abs((getattr(g, field) != 0).double().mean() - share) < slack
    assert torch.equal(g.shift_x != 0, g.shift_y != 0)
    assert abs((g.shift_x != 0).double().mean() - p) < slack
    assert abs((g.along != 0).double().mean() - p / 2) < slack
    assert (g.stretch[g.along != 0] != 0).all()
    for field in ("scale", "stretch", "shift_x", "shift_y"):
        drawn = getattr(g, field)
        assert stats.kstest(drawn[drawn != 0], "norm").pvalue > 1e-4
    for field in ("rotate", "along"):
        drawn = getattr(g, field)
        assert stats.kstest(drawn[drawn != 0], "uniform", (-math.pi, 2 * math.pi)).pvalue > 1e-4
    everything = torch.stack(g).corrcoef() - torch.eye(8)
    assert everything.abs().max() < 4.5 / math.sqrt(n)


@pytest.mark.parametrize("augment", [flip, lambda values, key, step: edm_augment(values, key, step, 0.8)[0]])
def test_a_picture_does_not_depend_on_its_batch_but_on_seed_picture_and_step(augment):
    many = CROPS.repeat(5, 1, 1, 1)
    whole = augment(many, keys(5, range(30)), 9)
    assert torch.equal(whole, augment(many, keys(5, range(30)), 9))
    alone = augment(CROPS[4:5], keys(5, [4]), 9)
    torch.testing.assert_close(alone[0], whole[4], atol=1e-6, rtol=0)
    assert not torch.equal(whole, augment(many, keys(6, range(30)), 9))
    assert not torch.equal(whole, augment(many, keys(5, range(30)), 10))


def test_flip_is_a_fair_coin():
    many = CROPS[:1, :, :4, :4].expand(4000, -1, -1, -1)
    flipped = flip(many, keys(5, range(4000)), 2)
    same = (flipped == many).flatten(1).all(1)
    mirrored = (flipped == many.flip(-1)).flatten(1).all(1)
    assert torch.equal(same, ~mirrored)
    assert abs(same.double().mean() - 0.5) < 4.5 * math.sqrt(0.25 / 4000)


def test_probability_is_checked():
    with pytest.raises(ValueError, match=r"^augmentation probability 1.5: give a number from 0 to 1$"):
        edm_augment(CROPS, keys(5, range(6)), 9, 1.5)
