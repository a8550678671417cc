"""What a network costs: parameters, and multiply-adds for one picture."""

import torch
from torch import nn
from torch.func import functional_call

from phosphene.diffusion.condition import Condition
from phosphene.kernels.library import plain


def parameters(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def multiply_adds(
    network: nn.Module, channels: int, height: int, width: int, condition: Condition | None = None
) -> int:
    """Multiply-adds of one call for one picture x of this shape, with a condition or none: of convolutions,
    matrix products and attention; norms and activations are not counted."""
    from torch.utils.flop_counter import FlopCounterMode  # brings a compiler, slow to import

    device = next(network.parameters()).device
    x = torch.zeros(1, channels, height, width, device=device)
    # The plain attention is counted as its two matrix products on every device; fused kernels differ.
    attention = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    # Without gradients to follow: the counter takes a parameter's view for an answer that lost its own.
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    asked = (x, torch.zeros(1, device=device), condition or Condition())
    with torch.no_grad(), attention, plain(), FlopCounterMode(display=False) as counter:
        functional_call(network, weights, asked)
    return counter.get_total_flops() // 2
