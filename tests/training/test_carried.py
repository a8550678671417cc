"""What a network makes of what it is shown goes on where its next task shows it too: equal answers."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from phosphene.diffusion.condition import Condition
from phosphene.diffusion.measurement import LUMA
from phosphene.networks.build import Config, build
from phosphene.networks.transformer import TransformerConfig
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.tasks import (
    ColouringTask,
    DeblurringTask,
    EditingTask,
    InpaintingTask,
    NoTask,
    SuperResolutionTask,
    TaskSettings,
)
from phosphene.tasks.sights import parts
from phosphene.training.base import carried
from tests.networks.perturbed import perturbed

TRANSFORMER = TransformerConfig(3, 3, patch=4, width=16, depth=1, head_width=8)
UNET = UNetConfig(3, 3, widths=(8,), blocks=1, attention=(False,))
PICTURE = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8).sin()
GREY = torch.einsum("c,bchw->bhw", torch.tensor(LUMA), PICTURE)[:, None]
ONES, ZEROS = torch.ones(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
MASK, LEVEL = (PICTURE[:, :1] > 0).float(), 0.3 * ONES
NOTHING, COLOURING = torch.zeros(2, 0, 8, 8), GREY.expand(-1, 3, -1, -1)

SAME: Mapping[str, tuple[TaskSettings, Tensor, TaskSettings, Tensor]] = {
    "nothing before": (NoTask(), NOTHING, EditingTask(), torch.cat([ONES, PICTURE], 1)),
    "nothing after": (DeblurringTask(), 0 * PICTURE, NoTask(), NOTHING),
    "another factor": (
        SuperResolutionTask(factor=4),
        torch.cat([PICTURE, LEVEL], 1),
        SuperResolutionTask(factor=2),
        torch.cat([PICTURE, LEVEL], 1),
    ),
    "a part falls away": (SuperResolutionTask(), torch.cat([PICTURE, ZEROS], 1), DeblurringTask(), PICTURE),
    "another order": (
        SuperResolutionTask(),
        torch.cat([PICTURE, ZEROS], 1),
        InpaintingTask(),
        torch.cat([MASK, PICTURE], 1),
    ),
    "a picture is its luma": (ColouringTask(), GREY, DeblurringTask(), PICTURE),
    "luma is a grey picture": (DeblurringTask(), COLOURING, ColouringTask(), GREY),
}


@pytest.mark.parametrize("config", [TRANSFORMER, UNET], ids=["transformer", "unet"])
@pytest.mark.parametrize("case", SAME)
def test_what_both_are_shown_means_the_same(case: str, config: Config):
    before, shown_before, after, shown = SAME[case]
    own, new = (parts(task, 3) for task in (before, after))
    torch.manual_seed(0)
    taught = perturbed(build(replace(config, in_channels=3 + sum(own.values()))))
    network = build(replace(config, in_channels=3 + sum(new.values())))
    network.load_state_dict(carried(taught.state_dict(), 3, own, new))
    x, noise = torch.randn(2, 3, 8, 8), torch.tensor([0.3, 0.7])
    torch.testing.assert_close(
        network(x, noise, Condition(picture=shown)),
        taught(x, noise, Condition(picture=shown_before)),
        rtol=1e-4,
        atol=1e-5,
    )
