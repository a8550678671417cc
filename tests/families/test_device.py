"""A network in a precision on a device."""

import torch
from torch import nn

from phosphene.diffusion.condition import Condition
from phosphene.families import device
from phosphene.networks.unet import UNet, UNetConfig

CPU = torch.device("cpu")


def test_rounding_the_weights_once_changes_nothing():
    """Autocast rounds them at every call: the answers are the same bits."""
    torch.manual_seed(0)
    network = UNet(UNetConfig(3, 3, (8, 16), (False, True), classes=4)).eval()
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.3)
    x, t, condition = torch.randn(2, 3, 8, 8), torch.rand(2), Condition(label=torch.tensor([1, 4]))
    with torch.no_grad(), device.computing_in("bf16", CPU):
        before = network(x, t, condition)
        after = device.in_halves(network, "bf16")(x, t, condition)
    assert torch.equal(before, after)
    assert network.norm.weight.dtype == torch.float32
    assert device.in_halves(nn.Linear(2, 2), "fp32").weight.dtype == torch.float32


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
