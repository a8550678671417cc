"""Which precision "auto" takes."""

import pytest
import torch

from phosphene.families import device
from phosphene.recipes.settings import TrainingSettings

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("amx", "width", "expected"),
    [(True, 64, "bf16"), (True, 32, "fp32"), (False, 64, "fp32")],
)
def test_auto_takes_bf16_on_a_cpu_where_it_has_units_for_it(monkeypatch, amx, width, expected):
    monkeypatch.setattr(device, "has_amx", lambda: amx)
    assert device.choose_precision(TrainingSettings(), CPU, width) == expected


def test_what_was_asked_for_is_taken():
    assert device.choose_precision(TrainingSettings(precision="bf16"), CPU, 8) == "bf16"


def test_bf16_is_where_products_are_and_nowhere_else():
    x = torch.randn(4, 4)
    with device.computing_in("bf16", CPU):
        assert (x @ x).dtype == torch.bfloat16
        assert (x + x).dtype == torch.float32
    with device.computing_in("fp32", CPU):
        assert (x @ x).dtype == torch.float32


def test_made_ready_changes_the_layout_only():
    convolution = torch.nn.Conv2d(3, 8, 3)
    layer = torch.nn.Sequential(convolution, torch.nn.Linear(4, 4))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert device.made_ready(layer, CPU) is layer
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
