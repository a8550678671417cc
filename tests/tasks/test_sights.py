"""What is shown: a request of what training drew is the same question, to the last bit."""

import math
import re

import pytest
import torch
from torch.nn import functional

from phosphene.data.loader import Rows
from phosphene.diffusion import noise
from phosphene.diffusion.measurement import LUMA, blur, downsampling
from phosphene.diffusion.noise import keys
from phosphene.pictures.pixels import from_pillow, to_bytes, to_pillow, to_values
from phosphene.recipes.tasks import (
    ColouringTask,
    DeblurringTask,
    DenoisingTask,
    InpaintingTask,
    NoTask,
    SuperResolutionTask,
    TaskSettings,
)
from phosphene.tasks.filling import smooth
from phosphene.tasks.request import NOTHING, Request
from phosphene.tasks.sight import Shown, Sight, face, together
from phosphene.tasks.sights import BLURS, extra, refuse_for, sight
from phosphene.tasks.task import Task

KINDS: list[TaskSettings] = [
    InpaintingTask(),
    InpaintingTask(fill="smooth"),
    SuperResolutionTask(factor=4, augmentation=0.5),
    ColouringTask(),
    DeblurringTask(),
    DenoisingTask(),
]
KEY = keys(7, range(100, 106))


def pictures(count: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return to_values(torch.randint(0, 256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8))


def the(settings: TaskSettings) -> Sight:
    found = sight(settings)
    assert found is not None
    return found


@pytest.mark.parametrize("settings", KINDS, ids=lambda s: f"{s.kind}-{getattr(s, 'fill', '')}")
def test_a_request_of_what_training_drew_is_the_same_condition(settings: TaskSettings):
    """Even by way of a file: what is drawn is rounded to bytes."""
    shows = the(settings)
    x0 = pictures()
    rows = Rows(x0, None, torch.arange(6), torch.arange(6))
    task = Task(sight=shows)
    trained = task.training(rows, x0, KEY, 0).picture
    assert trained is not None
    assert trained.shape == (6, extra(settings, 3), 16, 16)
    known = task.known(rows, KEY).picture
    assert known is not None
    assert torch.equal(trained, known)
    drawn = shows.draw(x0, KEY, 0)
    for i in range(6):
        shown = drawn.shown()[i]
        filed = from_pillow(to_pillow(shown.picture[None]))[0]
        level = 0.0 if drawn.level is None else float(drawn.level[i])
        request = Request(shown=Shown(filed, shown.mask, level))
        asked = task.asked([request], keys(7, [100 + i])).picture
        assert asked is not None
        assert torch.equal(asked, trained[i : i + 1])


@pytest.mark.parametrize("settings", KINDS, ids=lambda s: f"{s.kind}-{getattr(s, 'fill', '')}")
def test_another_step_draws_another_question(settings: TaskSettings):
    task, x0 = Task(sight=sight(settings)), pictures()
    rows = Rows(x0, None, torch.arange(6), torch.arange(6))
    first, second = (task.training(rows, x0, KEY, step).picture for step in (1, 2))
    assert first is not None
    assert second is not None
    assert torch.equal(first, second) == (settings.kind == "colouring")


def test_the_level_that_is_told_is_the_noise_that_is_applied():
    shows = the(SuperResolutionTask(factor=2, augmentation=0.9))
    y = torch.zeros(64, 1, 32, 32)
    level = torch.linspace(0, 0.9, 64)
    shown = shows.show(
        together([Shown(a, level=float(b)) for a, b in zip(y, level, strict=True)]), keys(0, range(64)), 0
    )
    assert torch.equal(shown[:, 1], level[:, None, None].expand(-1, 64, 64))
    eps = noise.normal(keys(0, range(64)), 0, (1, 32, 32), noise.SHOWN)
    sigma = torch.sin(level.double() * math.pi / 2).float()[:, None, None, None]
    larger = functional.interpolate(sigma * eps, scale_factor=2, mode="bicubic")
    torch.testing.assert_close(shown[:, :1], larger, rtol=0, atol=1e-6)
    # Of a picture, what is left is alpha of it.
    one = shows.show(together([Shown(torch.ones(1, 8, 8), level=0.6)]), keys(0, [0]), 0)
    none = shows.show(together([Shown(torch.zeros(1, 8, 8), level=0.6)]), keys(0, [0]), 0)
    left = torch.full((1, 1, 16, 16), math.cos(0.6 * math.pi / 2))
    torch.testing.assert_close((one - none)[:, :1], left, rtol=0, atol=1e-6)


def test_levels_in_training_are_uniform_up_to_the_most():
    shows = the(SuperResolutionTask(factor=2, augmentation=0.5))
    level = shows.draw(torch.zeros(4000, 1, 2, 2), keys(0, range(4000)), 3).level
    assert level is not None
    assert 0 <= float(level.min()) < 0.01
    assert 0.49 < float(level.max()) < 0.5
    assert float(level.mean()) == pytest.approx(0.25, abs=0.01)


def test_each_kind_knows_what_it_says():
    x0 = pictures()
    small, grey, blurs, noisy, inpaints = map(
        the,
        (
            SuperResolutionTask(factor=4),
            ColouringTask(),
            DeblurringTask(),
            DenoisingTask(noise=0.3),
            InpaintingTask(),
        ),
    )
    a = downsampling(3, 16, 16, 4).apply(x0)
    assert (small.draw(x0, KEY, 0).picture - to_values(to_bytes(a))).abs().max() <= 1 / 128 + 1e-6
    luma = sum(weight * x0[:, i : i + 1] for i, weight in enumerate(LUMA))
    torch.testing.assert_close(grey.draw(x0, KEY, 0).picture, luma, rtol=0, atol=1 / 256 + 1e-6)
    drawn = blurs.draw(x0, KEY, 0).picture
    every = torch.stack([blur(3, 16, 16, 2.0 * (i + 1) / BLURS).apply(x0) for i in range(BLURS)])
    nearest = (every - drawn).abs().flatten(2).amax(2).min(0).values
    assert float(nearest.max()) <= 1 / 256 + 1e-6
    flat = noisy.draw(torch.zeros(500, 1, 16, 16), keys(0, range(500)), 0).picture.flatten(1).std(1)
    assert 0.29 < float(flat.max()) < 0.33
    assert float(flat.mean()) == pytest.approx(0.15, abs=0.01)
    seen = inpaints.draw(x0, KEY, 0)
    assert seen.mask is not None
    told = inpaints.show(seen, KEY, 0)
    assert torch.equal(told, torch.cat([seen.mask, seen.mask * x0], 1))
    told = the(InpaintingTask(fill="smooth")).show(seen, KEY, 0)
    assert torch.equal(told, torch.cat([seen.mask, smooth(x0, seen.mask)], 1))


def test_what_is_shown_can_be_looked_at():
    keep = torch.zeros(1, 4, 4)
    keep[:, :2] = 1
    ones = torch.ones(1, 4, 4)
    assert torch.equal(face(Shown(ones, keep), 3, (4, 4)), keep.expand(3, -1, -1))
    small = torch.tensor([[[0.0, 1.0], [0.5, -1.0]]])
    large = face(Shown(small), 1, (4, 4))
    assert torch.equal(large, small.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_what_a_task_cannot_have_is_refused():
    with pytest.raises(
        ValueError, match=re.escape("task.kind 'colouring': it needs pictures in RGB, these have 1")
    ):
        refuse_for(ColouringTask(), 1, 8)
    with pytest.raises(ValueError, match=re.escape("task.factor 4: it does not divide data.size 10")):
        refuse_for(SuperResolutionTask(), 3, 10)
    words = "this model makes a picture of one that it is shown: phosphene inpaint RUN"
    with pytest.raises(ValueError, match=words):
        Task(sight=sight(InpaintingTask())).asked([NOTHING], keys(0, [0]))
    assert sight(NoTask()) is None
    assert extra(NoTask(), 3) == 0
