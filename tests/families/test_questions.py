"""Questions that begin with a picture: exact where the network is, and refused where they do not fit."""

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.resize import Resize
from phosphene.families import making, opened, questions
from phosphene.families.generator import Generator
from phosphene.networks.unet import UNetConfig
from phosphene.pictures.pixels import from_pillow, to_bytes, to_pillow, to_values
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.recipes.tasks import (
    ColouringTask,
    DenoisingTask,
    InpaintingTask,
    NoTask,
    SuperResolutionTask,
    TaskSettings,
)
from phosphene.store.model import Header, Model
from tests.families.test_generator import MEAN, SD, Noise


class Sees(nn.Module):
    """E[eps | x_t, what is shown], exactly, of data of independent pixels N(MEAN, SD^2): known pixels
    are known. Flow's levels, heard as 1000 t."""

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        assert condition.picture is not None
        mask, picture = condition.picture[:, :1], condition.picture[:, 1:]
        t = (heard.double() / 1000).reshape(-1, 1, 1, 1)
        alpha, sigma = 1 - t, t
        at = x * torch.hypot(alpha, sigma)
        free = sigma / (alpha**2 * SD**2 + sigma**2) * (at - alpha * MEAN)
        return torch.where(mask > 0, (at - alpha * picture) / sigma, free).float()


class Blurs(nn.Module):
    """A velocity that looks one pixel far, of x and of what is shown."""

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        assert condition.picture is not None
        kernel = torch.full((1, 1, 3, 3), 1 / 9)
        shown = functional.conv2d(condition.picture[:, :1], kernel, padding=1)
        return 0.8 * functional.conv2d(x, kernel, padding=1) - shown


class Square(Blurs):
    """The same for pictures of 8 pixels a side alone."""

    def forward(self, x: Tensor, heard: Tensor, condition: Condition) -> Tensor:
        assert x.shape[2:] == (8, 8)
        return super().forward(x, heard, condition)


def asked(task: TaskSettings, network: nn.Module, size: int = 8, channels: int = 1, **more: Any) -> Generator:
    diffusion = DiffusionSettings(schedule="flow", **more)
    header = Header(
        diffusion=diffusion, sampling=SamplingSettings(steps=10), size=size, channels=channels, task=task
    )
    config = UNetConfig(1, 1, widths=(4,), attention=(False,))
    return Generator(Model(header, network, config, "f" * 64), Path("m"), torch.device("cpu"))


def picture(width: int, height: int, mode: str = "L") -> Image.Image:
    channels = {"L": 1, "RGB": 3}[mode]
    generator = torch.Generator().manual_seed(0)
    return to_pillow(torch.rand(1, channels, height, width, generator=generator) * 1.6 - 0.8)[0]


def half(width: int = 8, height: int = 8) -> Image.Image:
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (width // 2, 0, width, height))
    return mask


def line(width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (0, 0, 1, height))
    return mask


def test_what_is_transparent_is_black_in_a_mask_and_white_in_a_picture():
    mask, empty = Image.new("LA", (8, 8), (255, 0)), Image.new("LA", (8, 8), (0, 0))
    mask.paste((255, 255), (4, 0, 8, 8))
    assert opened.mask(mask, (8, 8)).tobytes() == half().tobytes()
    colours = asked(ColouringTask(), nn.Identity(), channels=3)
    shown = questions.restoring(colours, empty, None, None, None).shown
    assert shown is not None
    assert float(shown.picture.min()) == 255 / 256


@pytest.mark.parametrize("method", [None, "mmps", "pigdm", "repaint"])
def test_inpainting_keeps_what_is_known_and_makes_the_rest(method: str | None, tmp_path: Path):
    task, network = (InpaintingTask(), Sees()) if method is None else (NoTask(), Noise("flow"))
    image = picture(8, 8)
    made = asked(task, network, prediction="eps").inpaint(
        image, half(), n=128, batch=128, method=method, steps=40
    )
    assert torch.equal(made.values[..., :4], made.values[:1, ..., :4].expand(128, -1, -1, -1))
    for one in list(made)[:3]:
        assert one.crop((0, 0, 4, 8)).tobytes() == image.crop((0, 0, 4, 8)).tobytes()
    assert float(made.values[..., 4:].mean()) == pytest.approx(MEAN, abs=0.03)
    # DDPM's smaller variance, of which repaint is made, falls short on so coarse a grid; files end at 1.
    assert float(made.values[..., 4:].std()) == pytest.approx(SD, abs=0.06 if method == "repaint" else 0.03)
    assert made.seen is not None
    assert float(made.seen[0, 0, 0, 6]) == 0  # missing parts are grey
    made.sheet()
    made.save(tmp_path)
    with pytest.raises(ValueError, match=r"like .*: made from a picture, which it does not hold"):
        asked(task, network, prediction="eps").sample(like=tmp_path / "seed0-000000.png")


def decibels(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float(((a - b) / 2).square().mean()))


@pytest.mark.parametrize(("width", "height"), [(4, 4), (9, 4), (11, 13), (3, 5)])
def test_upscaled_pictures_shrink_to_the_picture(width: int, height: int):
    # Calm, so that nothing that measures so lies outside [-1, 1].
    image = picture(width, height).point([112 + byte // 8 for byte in range(256)])
    made = asked(SuperResolutionTask(factor=2), Blurs()).upscale(image, n=2, overlap=4, threshold="clip")
    assert made.values.shape[2:] == (2 * height, 2 * width)
    small = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(1, 1, height, width)
    y = (2 * small.float() - 255) / 256
    assert decibels(Resize(2).apply(made.values), y.expand(2, -1, -1, -1)) > 45
    assert made.seen is not None
    assert made.seen.shape == made.values.shape


def test_upscaled_by_tiles_is_upscaled_whole():
    """A network that looks a pixel far, asked of tiles of 8 with a halo of 1, and of one of 24."""
    image = picture(12, 12)
    task = SuperResolutionTask(factor=2)
    tiles = asked(task, Blurs(), size=8).upscale(image, overlap=4, batch=5).values
    whole = asked(task, Blurs(), size=24).upscale(image).values
    torch.testing.assert_close(tiles, whole, rtol=0, atol=1e-5)


def test_a_weaker_model_is_asked_of_tiles_too(monkeypatch: pytest.MonkeyPatch):
    """Away from itself is nowhere."""
    monkeypatch.setattr(making, "weaker_than", lambda ready, named: making.Weaker(named, ready))
    enlarges = asked(SuperResolutionTask(factor=2), Square())
    image = picture(12, 12)
    plain = enlarges.upscale(image, overlap=4).values
    led = enlarges.upscale(image, overlap=4, weaker=0.05, guidance=3.0).values
    torch.testing.assert_close(led, plain, rtol=0, atol=1e-5)


def test_a_small_picture_is_shown_as_it_is():
    """Not as it was padded for the network."""
    made = asked(SuperResolutionTask(factor=2), Blurs()).upscale(image := picture(3, 2))
    assert made.seen is not None
    enlarged = from_pillow([image]).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(made.seen, enlarged)


def test_without_training_a_picture_is_upscaled_and_coloured():
    plain = asked(NoTask(), Noise("flow"), prediction="eps")
    image = picture(4, 4)
    made = plain.upscale(image, factor=2, n=2, method="pigdm")
    y = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(1, 1, 4, 4)
    assert decibels(Resize(2).apply(made.values), ((2 * y.float() - 255) / 256).expand(2, -1, -1, -1)) > 80
    coloured = asked(NoTask(), Noise("flow"), channels=3, prediction="eps").restore(
        picture(8, 8, "RGB"), what="colouring"
    )
    assert coloured.values.shape == (1, 3, 8, 8)
    luma = torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114]), coloured.values)
    grey = picture(8, 8, "RGB").convert("L")
    y = torch.frombuffer(bytearray(grey.tobytes()), dtype=torch.uint8).reshape(1, 8, 8)
    torch.testing.assert_close(luma, (2 * y.float() - 255) / 256, rtol=0, atol=1e-4)


def test_a_picture_of_pillow_is_that_of_its_file():
    lying = picture(8, 4).convert("RGBA")
    lying.getexif()[0x0112] = 6
    file = io.BytesIO()
    lying.save(file, "PNG", exif=lying.getexif())
    found = opened.picture("image", Image.open(file), 3)
    assert (found.mode, found.size) == ("RGB", (4, 8))


def test_denoising_without_training_is_bayes_rule():
    """Every pixel measured with noise SD, of data N(MEAN, SD^2): half-way, with half of the variance."""
    plain = asked(NoTask(), Noise("flow"), prediction="eps")
    image = Image.new("L", (8, 8), 191)  # 0.496
    made = plain.restore(image, what="denoising", method="mmps", strength=SD, n=64, batch=64, steps=100)
    assert float(made.values.mean()) == pytest.approx((191 * 2 / 256 - 255 / 256 + MEAN) / 2, abs=0.02)
    assert float(made.values.var()) == pytest.approx(SD**2 / 2, rel=0.12)


@pytest.mark.parametrize(
    ("task", "channels", "question", "words"),
    [
        (
            InpaintingTask(),
            1,
            ("inpaint", picture(8, 8), half(8, 9)),
            "mask : 8x9 pixels, the picture has 8x8",
        ),
        (
            InpaintingTask(),
            1,
            ("inpaint", picture(8, 8), Image.new("L", (8, 8))),
            "mask: it is black everywhere",
        ),
        (
            InpaintingTask(),
            1,
            ("inpaint", picture(8, 8), half(), {"crop": -1}),
            "crop -1: give pixels around what is missing, 0 or more",
        ),
        (
            InpaintingTask(),
            1,
            ("inpaint", picture(8, 8, "RGB"), half()),
            "image : it is colour (RGB), this model",
        ),
        (
            InpaintingTask(),
            1,
            ("upscale", picture(8, 8)),
            "this model was trained for inpainting, not for super",
        ),
        (InpaintingTask(), 1, ("inpaint", "no.png", half()), "image no.png: cannot be read: No such file"),
        (
            NoTask(),
            1,
            ("upscale", picture(8, 8)),
            "image: 8x8 pixels; without training for it this model makes",
        ),
        (NoTask(), 1, ("restore", picture(8, 8)), "what: this model was not trained for one; give one of"),
        (
            InpaintingTask(),
            1,
            ("restore", picture(8, 8)),
            "this model was trained for inpainting, not for restoring",
        ),
        (
            NoTask(),
            1,
            ("restore", picture(8, 8), {"what": "colour"}),
            "what 'colour': accepted are colouring",
        ),
        (
            NoTask(),
            1,
            ("restore", picture(8, 8), {"what": "colouring"}),
            "what 'colouring': it is of pictures in RGB, this model's have 1 channels",
        ),
        (
            NoTask(),
            1,
            ("restore", picture(8, 8), {"what": "denoising", "strength": -1.0}),
            "strength -1.0: give the noise's deviation, 0 or more",
        ),
        (
            NoTask(),
            1,
            ("restore", picture(8, 8), {"what": "deblurring", "strength": -1.0}),
            "strength -1.0: give the blur's deviation in pixels",
        ),
        (
            NoTask(),
            1,
            ("restore", picture(8, 8), {"what": "denoising", "method": "repaint"}),
            "method 'repaint': it takes no noise, which denoising has; mmps and pigdm do",
        ),
        (
            SuperResolutionTask(),
            1,
            ("upscale", picture(4, 4), {"factor": 2}),
            "factor 2: this model was trained for factor 4",
        ),
        (
            SuperResolutionTask(),
            1,
            ("upscale", picture(4, 4), {"augmentation": 0.7}),
            "augmentation 0.7: this model was trained from 0 to 0.5",
        ),
        (
            SuperResolutionTask(),
            1,
            ("upscale", picture(4, 4), {"method": "mmps"}),
            "method 'mmps': this model was trained for super-resolution; leave the method out",
        ),
        (
            NoTask(),
            1,
            ("inpaint", picture(8, 8), half(), {"method": "trained"}),
            "method 'trained': this model",
        ),
        (NoTask(), 1, ("inpaint", picture(8, 8), half(), {"n": 0}), "n 0: give 1 or more"),
        (
            DenoisingTask(),
            1,
            ("restore", picture(8, 8), {"strength": 0.1}),
            "strength 0.1: it is an option of a model that was not trained for denoising",
        ),
        (
            ColouringTask(),
            3,
            ("sample", 1),
            "this model makes a picture of one that it is shown: phosphene rest",
        ),
    ],
)
def test_what_does_not_fit_is_refused(task: TaskSettings, channels: int, question: Any, words: str):
    name, *given = question
    how = given.pop() if isinstance(given[-1], dict) else {}
    with pytest.raises(ValueError, match=f"^{re.escape(words)}[^\n]*$"):
        getattr(asked(task, nn.Identity(), channels=channels), name)(*given, **how)


def test_upscaled_pictures_shrink_to_the_picture_in_bytes_too():
    """Black and white to the edge of what bytes hold, where projecting alone would be clipped by the file."""
    generator = torch.Generator().manual_seed(0)
    truth = to_values(torch.randint(0, 2, (1, 1, 16, 16), generator=generator, dtype=torch.uint8) * 255)
    small = to_pillow(Resize(2).apply(truth))[0]
    y = from_pillow([small])
    plain = asked(NoTask(), Noise("flow"), size=16, prediction="eps")
    for made in (
        asked(SuperResolutionTask(factor=2), Blurs()).upscale(small, overlap=4),
        plain.upscale(small, factor=2, method="pigdm"),
    ):
        assert float(made.values.abs().max()) <= 1
        assert decibels(Resize(2).apply(to_values(to_bytes(made.values))), y) > 45
