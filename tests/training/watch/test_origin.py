"""Where a number that is not finite arose: the module and the operator, forward and backward."""

import math

import torch
from torch import Tensor, nn

from phosphene.training.watch.origin import origin


class Divided(nn.Module):
    """x / divisor, then x - x: the infinity becomes NaN one operator later."""

    def __init__(self, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor

    def forward(self, x: Tensor) -> Tensor:
        y = x / self.divisor
        return y - y + x


class Rooted(nn.Module):
    """sqrt(x - x): 0, with a gradient of 0 * infinity."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (x - x).sqrt()


class Masked(nn.Module):
    """Attention's mask: minus infinity on the way, nothing of it in the answer."""

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.eye(x.shape[-1], dtype=torch.bool)
        scores = (x[:, None] * x[:, :, None]).masked_fill(mask, -math.inf)
        return (scores.softmax(-1) @ x[:, :, None])[:, :, 0]


def network(middle: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(Masked(), middle), nn.Linear(4, 4), nn.Tanh())


def place(of: nn.Module, x: Tensor | None = None, factor: float = 1.0) -> str | None:
    given = torch.randn(3, 4) if x is None else x
    return origin(of, [given], lambda: (of(given).square().sum() * factor).backward())


def test_a_finite_step_has_no_such_place():
    assert place(network(nn.Identity())) is None


def test_forward_the_innermost_module_and_the_operator_that_made_it():
    said = place(network(Divided(0.0)))
    assert said == "in module 1.1 (Divided), operator aten::div.Tensor"


def test_pictures_and_weights_come_first():
    x = torch.randn(3, 4)
    x[1, 2] = math.nan
    assert place(network(nn.Identity()), x) == "in the pictures or their condition"
    broken = network(nn.Identity())
    with torch.no_grad():
        broken.get_parameter("2.bias")[0] = math.inf
    assert place(broken) == "in weight 2.bias, before the step"


def test_backward_the_module_that_handed_on_what_is_not_finite():
    assert place(network(Rooted())) == "backward in module 1.1 (Rooted)"


def test_the_gradient_of_one_weight():
    broken = network(nn.Identity())
    broken.get_parameter("0.weight").register_hook(lambda gradient: gradient * math.inf)
    assert place(broken) == "in the gradient of weight 0.weight"


def test_the_loss_itself():
    assert place(network(nn.Identity()), factor=math.inf) == "in the gradient of the loss"


def test_the_network_is_left_as_it_was():
    asked = network(Divided(0.0))
    place(asked)
    for module in asked.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
