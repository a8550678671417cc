"""Restoring through the generator: on a network that is a known function, and on a real one."""

import re

import pytest
import torch

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.measurement import Mask, Measurement, downsampling, grey
from phosphene.families.asked import Asked
from phosphene.families.generator import Generator
from phosphene.families.restoring import Restoring, frozen
from phosphene.families.rows import Row
from phosphene.kernels.library import plain
from phosphene.networks.build import build
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import DiffusionSettings
from phosphene.tasks.request import Request
from tests.families.test_generator import MEAN, SD, Noise, generator
from tests.oracles import levels

LEFT = Mask(torch.cat([torch.ones(1, 4, 2), torch.zeros(1, 4, 2)], dim=2))
SMALLER = downsampling(1, 4, 4, 2)
PICTURE = torch.linspace(-0.6, 0.8, 16).reshape(1, 4, 4)
METHODS = ("mmps", "pigdm", "repaint")


def of(measurement: Measurement, method: str = "mmps", noise: float = 0.0) -> Restoring:
    return Restoring(measurement, measurement.apply(PICTURE[None])[0], method, noise)


def exact() -> Generator:
    return generator(Noise("flow"), DiffusionSettings(schedule="flow", prediction="eps"))


def unet() -> Generator:
    torch.manual_seed(0)
    config = UNetConfig(1, 1, widths=(8, 8), attention=(False, True), blocks=1, head_width=8)
    network = build(config).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return generator(network, DiffusionSettings(schedule="flow", prediction="velocity"))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_known_is_exact_and_the_rest_is_of_the_data(method):
    values = exact().sample(128, around=of(LEFT, method), batch=128, steps=40).values
    assert torch.equal(values[..., :2], PICTURE[None, ..., :2].expand(128, -1, -1, -1))
    # Pixels are independent here: of the right half nothing is known.
    assert float(values[..., 2:].mean()) == pytest.approx(MEAN, abs=0.03)
    # DDPM's smaller variance, of which repaint is made, falls short on so coarse a grid.
    assert float(values[..., 2:].std()) == pytest.approx(SD, abs=0.05 if method == "repaint" else 0.03)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_made_measures_the_same(method):
    known = of(SMALLER, method)
    values = exact().sample(8, around=known, steps=10).values
    torch.testing.assert_close(SMALLER.apply(values), known.picture.expand(8, -1, -1, -1), rtol=0, atol=1e-5)
    assert float((values[0] - values[1]).abs().max()) > 0.1


def test_a_noisy_measurement_is_believed_in_part():
    """Every pixel measured with noise SD, of data N(MEAN, SD^2): half-way, with half of the variance."""
    everything = Mask(torch.ones(1, 4, 4))
    values = exact().sample(256, around=of(everything, noise=SD), batch=256, steps=50).values
    torch.testing.assert_close(values.mean(0), (PICTURE + MEAN) / 2, rtol=0, atol=0.06)
    assert float(values.var(0).mean()) == pytest.approx(SD**2 / 2, rel=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_a_real_network_is_differentiated_by_its_fast_operators(method):
    asked = unet()
    fast = asked.sample(2, around=of(SMALLER, method), steps=3).values
    with plain():
        slow = asked.sample(2, around=of(SMALLER, method), steps=3).values
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-3)
    weights = list(asked.model.network.parameters())
    assert all(weight.requires_grad and weight.grad is None for weight in weights)


def test_a_picture_does_not_depend_on_its_batch():
    asked = unet()
    together = asked.sample(3, around=of(LEFT), steps=3)
    alone = asked.sample(1, around=of(LEFT), steps=3, first=2)
    torch.testing.assert_close(alone.values[0], together.values[2], rtol=0, atol=1e-4)
    assert together.settings[0]["restored"] == "mmps"
    assert together.settings[0]["solver"] == "dpmpp_2m_sde"


def test_what_does_not_fit_is_refused():
    def refused(words: str, restoring: Restoring) -> None:
        with pytest.raises(ValueError, match=re.escape(words)):
            exact().sample(1, around=restoring)

    refused("picture: 1x4x4 values, but this model and measurement take 1x2x2", Restoring(SMALLER, PICTURE))
    for words, method, noise in (
        ("method 'pigmd': did you mean pigdm? accepted are mmps, pigdm, repaint", "pigmd", 0.0),
        ("noise -1.0: give a deviation", "mmps", -1.0),
        ("noise 0.1: repaint takes none", "repaint", 0.1),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            Restoring(LEFT, PICTURE, method, noise)


def test_no_backward_pass_goes_to_the_weights():
    family = unet().family
    level = levels([0.6], [0.8])
    assert family.denoise(PICTURE[None], level, Condition()).requires_grad
    assert not frozen(family)(PICTURE[None], level, Condition()).requires_grad


def test_of_luma_a_sheet_shows_grey():
    """The least picture of that luma is green where it is light: nobody measured that."""
    measured = grey(4, 4).apply(torch.rand(1, 3, 4, 4) * 2 - 1)[0]
    rows = [Row(0, Request(), Asked("ddim", 1, "trailing"))]
    seen = Restoring(grey(4, 4), measured).seen(rows, (4, 4), 3)
    assert torch.equal(seen, measured.expand(1, 3, 4, 4))
