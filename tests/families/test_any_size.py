"""Restored pictures of any size: tiles agree with the whole, and what is coloured keeps its light."""

import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.measurement import LUMA
from phosphene.families import opened
from phosphene.families.light import tinted
from phosphene.pictures.pixels import from_pillow
from phosphene.recipes.tasks import ColouringTask, DeblurringTask, DenoisingTask, NoTask, TaskSettings
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown
from tests.families.test_questions import Blurs, asked, picture


class Paints(nn.Module):
    """A velocity that leads to one colour, whatever is shown."""

    colour = torch.tensor([0.9, -0.4, 0.1])[:, None, None]

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        t = (heard / 1000).reshape(-1, 1, 1, 1)
        return (x - self.colour) / t


class Reads(nn.Module):
    """A velocity that leads to red where what is shown is bright, to blue where it is dark."""

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        assert condition.picture is not None
        t = (heard / 1000).reshape(-1, 1, 1, 1)
        bright = condition.picture.sign()
        return (x - torch.cat([bright, 0 * bright, -bright], 1) / 2) / t


def luma(values: Tensor) -> Tensor:
    return torch.einsum("c,nchw->nhw", torch.tensor(LUMA).to(values), values)


@pytest.mark.parametrize("task", [DenoisingTask(), DeblurringTask()])
def test_restored_by_tiles_is_restored_whole(task: TaskSettings):
    """By a network that looks a pixel far: tiles of 8 with a halo of 1, and one of 20."""
    image = picture(20, 20)
    tiles = asked(task, Blurs(), size=8).restore(image, overlap=4, batch=5)
    whole = asked(task, Blurs(), size=20).restore(image)
    torch.testing.assert_close(tiles.values, whole.values, rtol=0, atol=1e-5)
    assert tiles.seen is not None
    assert torch.equal(tiles.seen, from_pillow([image]))


@pytest.mark.parametrize("task", [DenoisingTask(), ColouringTask()])
@pytest.mark.parametrize(("width", "height"), [(8, 8), (3, 5), (8, 21), (40, 11)])
def test_a_picture_keeps_its_size(task: TaskSettings, width: int, height: int):
    colours = isinstance(task, ColouringTask)
    restores = asked(task, Paints() if colours else Blurs(), channels=3 if colours else 1)
    made = restores.restore(picture(width, height), n=2)
    assert made.values.shape == (2, 3 if colours else 1, height, width)
    assert [one.size for one in made] == [(width, height)] * 2
    assert made.seen is not None
    assert made.seen.shape == made.values.shape


def test_what_is_coloured_keeps_its_light_and_gets_the_colours():
    image = picture(21, 13)
    y = from_pillow([image])[:, 0]
    made = asked(ColouringTask(), Paints(), channels=3).restore(image).values
    torch.testing.assert_close(luma(made), y, rtol=0, atol=1e-5)
    assert float(made.abs().max()) <= 1 + 1e-6
    light = torch.einsum("c,chw->hw", torch.tensor(LUMA), Paints.colour)
    wanted = Paints.colour - light
    got = made - y[:, None]
    # Less of it where light leaves no room, the same hue everywhere.
    share = (got * wanted).sum(1, keepdim=True) / wanted.square().sum()
    torch.testing.assert_close(got, share * wanted, rtol=0, atol=1e-4)
    free = y.abs() < 0.05  # 0.9 - luma is 0.85: there is room
    assert free.any()
    torch.testing.assert_close(share[:, 0][free], torch.ones(int(free.sum())), rtol=0, atol=1e-4)
    assert float(share[:, 0][y > 0.6].max()) < 0.6


@pytest.mark.parametrize(("width", "height"), [(40, 11), (11, 40), (5, 5)])
def test_all_of_a_picture_is_seen_and_coloured_where_it_lies(width: int, height: int):
    """Bright at one end and dark at the other, both of which the middle square has not."""
    image = Image.new("L", (width, height), 64)
    long = max(width, height)
    image.paste(192, (0, 0, width if height > width else long // 4, height if width >= height else long // 4))
    made = asked(ColouringTask(), Reads(), channels=3).restore(image).values[0]
    ends = made[:, :, [0, -1]].mean(1) if width >= height else made[:, [0, -1]].mean(2)
    redder = ends[0] - ends[2]
    assert redder[0] > 0.5
    assert redder[1] < -0.5


def test_pictures_of_the_models_size_keep_their_light_however_they_are_asked_for():
    """Also where evaluation asks for many at once."""
    colours = asked(ColouringTask(), Paints(), channels=3)
    images = [from_pillow([picture(8, 8)])[0], from_pillow([Image.new("L", (8, 8), 99)])[0]]
    made = colours.make([Request(shown=Shown(one)) for one in images])
    torch.testing.assert_close(luma(made.values), torch.cat(images), rtol=0, atol=1e-5)
    alone = colours.restore(picture(8, 8)).values
    torch.testing.assert_close(made.values[:1], alone, rtol=0, atol=1e-5)


@given(st.integers(0, 2**31))
def test_colours_on_their_own_light_are_themselves(seed: int):
    generator = torch.Generator().manual_seed(seed)
    colours = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64) * 2 - 1
    colours[0, :, 0, 0] = 1.0  # white has no room, and needs none
    colours[0, :, 0, 1] = -1.0
    assert tinted(-torch.ones(1, 1, 1, 1), torch.tensor([0.0, 0.9, -0.3])[None, :, None, None]).eq(-1).all()
    for one in colours:
        torch.testing.assert_close(tinted(luma(one[None])[None], one[None])[0], one, rtol=0, atol=1e-6)
    grey = luma(colours[1:])[None]
    plain = grey.expand(1, 3, -1, -1)
    torch.testing.assert_close(tinted(grey, plain), plain, rtol=0, atol=1e-6)
    other = tinted(grey, colours[:1])
    torch.testing.assert_close(luma(other), grey[0], rtol=0, atol=1e-6)
    assert float(other.abs().max()) <= 1 + 1e-6


@pytest.mark.parametrize(
    ("given_size", "size", "narrow"), [((8, 8), 8, (8, 8)), ((30, 20), 8, (12, 8)), ((5, 9), 10, (10, 18))]
)
def test_the_shorter_side_is_the_models(given_size: Any, size: int, narrow: Any):
    assert opened.narrowed(Image.new("L", given_size), size).size == narrow


@pytest.mark.parametrize(
    ("task", "how", "words"),
    [
        (NoTask(), {"what": "denoising", "overlap": 2}, "overlap 2: it is an option of a model that was"),
        (DenoisingTask(), {"overlap": 5}, "overlap 5: give pixels from 0 to 4, half of a tile"),
        (DenoisingTask(), {"overlap": -1}, "overlap -1: give pixels from 0 to 4"),
    ],
)
def test_overlaps_that_do_not_fit(task: TaskSettings, how: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        asked(task, Blurs()).restore(picture(8, 8), **how)
