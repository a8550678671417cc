"""Low-rank changes: nothing at first, then what the factors say; what is frozen stays."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from phosphene.diffusion.condition import Condition
from phosphene.networks.build import Config, build
from phosphene.networks.layers import ConvHalf
from phosphene.networks.lora import Adapted, Factors, LowRank, changed, matrices
from phosphene.networks.transformer import TransformerConfig
from phosphene.networks.unet import UNetConfig
from tests.networks.perturbed import normal, perturbed, question

UNET = UNetConfig(
    2, 2, (8, 16), (False, True), blocks=1, head_width=8, classes=5, token_width=7, augment=9, dropout=0.1
)
TRANSFORMER = TransformerConfig(
    2, 2, patch=2, width=16, depth=2, head_width=8, classes=5, token_width=7, augment=9
)
both = pytest.mark.parametrize("config", [UNET, TRANSFORMER], ids=["unet", "transformer"])


def adapted(config: Config, rank: int = 3, alpha: float = 6.0, learned: bool = True) -> Adapted:
    """A network and a change of it; learned: the change is not zero."""
    torch.manual_seed(0)
    network = Adapted(perturbed(build(config)), rank, alpha)
    if learned:
        for i, weight in enumerate(network.low.parameters()):
            weight.data = normal(*weight.shape, seed=i) / 4
    return network.eval()


@contextmanager
def beside(network: nn.Module, factors: dict[str, Factors], scale: float) -> Iterator[None]:
    """Every layer answers W x + scale B (A x): the change as layers of its own, a convolution's as one to r
    channels and a 1x1 one back."""

    def hook(layer: nn.Linear | nn.Conv2d, pair: Factors):
        def more(_: nn.Module, inputs: tuple[Tensor, ...], options: dict[str, Any], answer: Tensor) -> Tensor:
            x = inputs[0]
            if isinstance(layer, nn.Linear):
                return answer + scale * (x @ pair.a.T) @ pair.b.T
            assert not isinstance(layer.padding, str)
            a, border = pair.a.view(-1, *layer.weight.shape[1:]), layer.padding
            if options.get("twice"):
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
            if isinstance(layer, ConvHalf) and layer.below:
                x, border = functional.pad(x, (0, 1, 0, 1)), (0, 0)
            low = functional.conv2d(x, a, None, layer.stride, border)
            return answer + scale * functional.conv2d(low, pair.b[:, :, None, None])

        return more

    with ExitStack() as stack:
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                handle = layer.register_forward_hook(hook(layer, factors[f"{name}.weight"]), with_kwargs=True)
                stack.callback(handle.remove)
        yield


@both
@torch.no_grad()
def test_at_first_the_network_is_the_base_bit_for_bit(config: Config):
    network, asked = adapted(config, learned=False), question(5, 2, 8, 8)
    for grad in (False, True):  # gradients are taken by other operators
        with torch.set_grad_enabled(grad):
            assert torch.equal(network(*asked), network.base(*asked))


@both
def test_merged_is_the_base_and_the_change_beside_it(config: Config):
    network, asked = adapted(config).double(), question(5, 2, 8, 8)
    x, noise, condition = asked[0].double(), asked[1], asked[2].each(wide)
    with torch.no_grad():
        plain = network.base(x, noise, condition)
        with beside(network.base, network.factors(), 2.0):
            wanted = network.base(x, noise, condition)
        said = network(x, noise, condition)
    assert (wanted - plain).abs().max() > 0.1
    # Times in the embedding are float32 in both.
    torch.testing.assert_close(said, wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(network(x, noise, condition), wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(network.merged()(x, noise, condition), wanted, rtol=1e-9, atol=1e-9)


def wide(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


@both
def test_gradients_reach_the_factors_alone(config: Config):
    """At B = 0: dL/dA = 0, and dL/dB = scale dL/dW A'."""
    network, asked = adapted(config, learned=False).double(), question(5, 2, 8, 8)
    x, noise, condition = asked[0].double(), asked[1], asked[2].each(wide)
    network(x, noise, condition).square().sum().backward()
    assert all(weight.grad is None for weight in network.base.parameters())

    base = network.merged().requires_grad_()
    base(x, noise, condition).square().sum().backward()
    own = matrices(base)
    assert set(own) == set(network.factors())
    for name, (a, b) in network.factors().items():
        gradient = own[name].grad
        assert gradient is not None
        assert a.grad is not None
        assert not a.grad.any()
        torch.testing.assert_close(b.grad, 2.0 * gradient.flatten(1) @ a.T, rtol=1e-9, atol=1e-9)


def test_what_is_frozen_stays_while_the_change_learns():
    network, asked = adapted(UNET, learned=False), question(5, 2, 8, 8)
    before = {name: weight.clone() for name, weight in network.base.state_dict().items()}
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    assert {id(weight) for weight in learned} == {id(weight) for weight in network.low.parameters()}
    steps = torch.optim.AdamW(learned, lr=1e-2, weight_decay=0.1)
    network.train()
    for _ in range(3):
        steps.zero_grad()
        network(*asked).square().mean().backward()
        steps.step()
    assert all(torch.equal(value, before[name]) for name, value in network.base.state_dict().items())
    assert any(pair.b.any() for pair in network.factors().values())


def test_a_merged_network_is_kept_until_the_factors_change():
    network, asked = adapted(UNET), question(5, 2, 8, 8)
    with torch.inference_mode():
        first = network(*asked)
        kept = network._merged
        assert torch.equal(network(*asked), first)
        assert network._merged is kept
    with torch.no_grad():
        for weight in network.low.parameters():
            weight.mul_(0)
    with torch.inference_mode():
        assert torch.equal(network(*asked), network.base(*asked))
        assert not torch.equal(network(*asked), first)


def test_a_low_rank_change_of_a_linear_map_is_found():
    """Full-batch least squares to a target that is a rank-2 change of W: its exact change."""
    torch.manual_seed(0)
    weight, x = normal(6, 5).double(), normal(40, 5, seed=2).double()
    change = normal(6, 2, seed=3).double() @ normal(2, 5, seed=4).double()
    low = LowRank(weight, rank=2).double()
    pair = Factors(low.a, low.b)
    wanted = x @ (weight + change).T
    steps = torch.optim.LBFGS(
        low.parameters(), max_iter=400, line_search_fn="strong_wolfe", tolerance_grad=1e-12
    )

    def loss() -> Tensor:
        steps.zero_grad()
        loss = functional.mse_loss(x @ changed(weight, pair, 0.5).T, wanted)
        loss.backward()
        return loss

    steps.step(loss)
    torch.testing.assert_close(0.5 * low.b @ low.a, change, rtol=0, atol=1e-5)


def test_no_more_rank_than_a_matrix_has():
    low = LowRank(torch.zeros(3, 2, 3, 3), rank=8)
    assert (low.a.shape, low.b.shape) == ((3, 18), (3, 3))


def test_the_scale_is_alpha_over_rank():
    network = adapted(UNET, rank=4, alpha=6.0)
    for name, (a, b) in network.factors().items():
        own = matrices(network.base)[name]
        torch.testing.assert_close(network.weights()[name], own + 1.5 * (b @ a).view(own.shape))


def test_a_condition_that_is_not_heard_is_still_refused():
    network = adapted(UNetConfig(2, 2, (8,), (False,)))
    with pytest.raises(ValueError, match="classes = 0"):
        network(normal(2, 2, 8, 8), torch.zeros(2), Condition(label=torch.zeros(2, dtype=torch.int64)))


@both
def test_weights_that_want_no_gradient_are_left(config: Config):
    base = build(config)
    kept = dict(list(matrices(base).items())[::3])
    for weight in kept.values():
        weight.requires_grad_(False)
    assert Adapted(base, 2, 2.0).factors().keys() == matrices(base).keys() - kept.keys()
