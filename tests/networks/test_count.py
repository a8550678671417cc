import torch
from torch import nn

from phosphene.diffusion.condition import Condition
from phosphene.networks.count import multiply_adds, parameters
from phosphene.networks.transformer import Transformer, TransformerConfig
from phosphene.networks.unet import UNet, UNetConfig


def test_parameters_that_are_frozen_are_not_counted() -> None:
    network = nn.Linear(3, 4)
    assert parameters(network) == 16
    network.bias.requires_grad_(False)
    assert parameters(network) == 12


def test_multiply_adds_of_a_transformer_are_the_closed_form() -> None:
    width, hidden, depth, patch, places = 16, 24, 3, 2, 3 * 4
    config = TransformerConfig(2, 5, patch, width, depth, head_width=8, hidden=hidden)
    time = 256 * width + width**2
    ends = places * width * patch**2 * (2 + 5) + 2 * width**2
    attention = places * 4 * width**2 + 2 * places**2 * width
    layer = 6 * width**2 + attention + places * 3 * width * hidden
    assert multiply_adds(Transformer(config), 2, 6, 8) == time + ends + depth * layer


def test_multiply_adds_of_tokens_are_the_closed_form() -> None:
    width, hidden, depth, said, places, tokens = 16, 24, 3, 7, 4, 5
    config = TransformerConfig(
        1, 1, 2, width, depth, 8, hidden, token_width=said, token_depth=2, shared_modulation=True
    )
    null = tokens + 1  # the row's null is among them
    time = 256 * width + width**2 + 6 * width**2
    ends = places * width * 2**2 * (1 + 1) + 2 * width**2
    feed, attention = 3 * width * hidden, 4 * width**2
    cross = places * 2 * width**2 + null * 2 * width**2 + 2 * places * null * width
    layer = places * (attention + feed) + 2 * places**2 * width + cross
    heard = tokens * said * width + 2 * (null * (attention + feed) + 2 * null**2 * width)
    network, condition = Transformer(config), Condition(tokens=torch.zeros(1, tokens, said))
    assert multiply_adds(network, 1, 4, 4, condition) == time + ends + depth * layer + heard
    assert all(weight.requires_grad for weight in network.parameters())
    assert multiply_adds(network, 1, 4, 4) < multiply_adds(network, 1, 4, 4, condition)


def test_multiply_adds_of_a_u_net_are_the_closed_form() -> None:
    # One level, one layer, no attention: enter, down, two in the middle, two up, leave.
    config = UNetConfig(3, 2, widths=(8,), attention=(False,), blocks=1, middle_attention=False)
    pixels, width, e = 4 * 4, 8, 32
    block = pixels * 2 * 9 * width**2 + e * width
    wide = pixels * (9 * 2 * width**2 + 9 * width**2 + 2 * width**2) + e * width
    time = width * e + e * e
    assert multiply_adds(UNet(config), 3, 4, 4) == time + pixels * 9 * width * (3 + 2) + 3 * block + 2 * wide


def test_a_network_without_memory_counts_the_same() -> None:
    config = UNetConfig(3, 3, widths=(8, 16), attention=(False, True), blocks=1, head_width=8)
    with torch.device("meta"):
        empty = UNet(config)
    assert parameters(empty) == parameters(UNet(config))
    assert multiply_adds(empty, 3, 8, 8) == multiply_adds(UNet(config), 3, 8, 8)
