"""Averages of the weights with power-function profiles, several lengths at once.

Karras et al. 2024, "Analyzing and improving the training dynamics of diffusion models" (EDM2), section 3 and
appendix C. The average after t steps gives the weights of step tau the share (Equation 121)

    p_t(tau) = (gamma + 1) tau^gamma / t^(gamma + 1)      on [0, t]

so that it grows with the run and soon forgets the start. It is tracked by

    average_t = beta_t average_{t-1} + (1 - beta_t) weights_t,   beta_t = (1 - 1/t)^(gamma + 1)

which gives step tau exactly the integral of p_t over [tau - 1, tau]. Its `length`, sigma_rel in the paper,
is the standard deviation of p_t as a share of t: 0.05 to 0.10 is common. The profiles are known functions,
so a length that was not tracked is found afterwards as a combination of stored averages.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

LONGEST = 1 / math.sqrt(12)  # gamma = 0: all steps count the same


class Profile(NamedTuple):
    """The profile of one average: after how many steps (t > 0), and its length (sigma_rel)."""

    step: float
    length: float


def exponent(length: float) -> float:
    """gamma of a length in (0, LONGEST]: length^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)) (Equation 126).

    With s = gamma + 2 that is the cubic s^3 + s^2 - s / length^2 + 1 / length^2 = 0; all its roots are real
    and gamma belongs to the largest.
    """
    if not 0 < length <= LONGEST:
        raise ValueError(
            f"ema length must be above 0 and at most {LONGEST:.4f}, not {length}: 0.05 to 0.10 is common"
        )
    k = length**-2
    return float(np.roots([1, 1, -k, k]).real.max()) - 2


def beta(step: int, gamma: float) -> float:
    """What the average keeps of itself at a step counted from 1 (Equation 127); nothing at the first."""
    assert step >= 1
    return (1 - 1 / step) ** (gamma + 1)


def overlap(a: Profile, b: Profile) -> float:
    """The inner product of two profiles (Equation 151)."""
    gamma_a, gamma_b = exponent(a.length), exponent(b.length)
    shorter, longer = min(a.step, b.step), max(a.step, b.step)
    share = (shorter / a.step) ** gamma_a * (shorter / b.step) ** gamma_b
    return (gamma_a + 1) * (gamma_b + 1) / (gamma_a + gamma_b + 1) * share / longer


def reconstruct(stored: Sequence[Profile], wanted: Profile) -> Float64[Tensor, " n"]:
    """Factors of the stored averages whose sum has the profile nearest to the wanted one (Algorithm 3).

    Least squares over the profiles as functions, then scaled so that the factors sum to 1, as shares must.
    Some may be negative. No stored average knows of steps after its own: a wanted step beyond the last of
    them gets the nearest there is.
    """
    if not stored:
        raise ValueError("reconstruct needs at least one stored average")
    gram = torch.tensor([[overlap(a, b) for b in stored] for a in stored], dtype=torch.float64)
    onto = torch.tensor([overlap(a, wanted) for a in stored], dtype=torch.float64)
    # Late profiles are flatter than early ones; on unit norms the equations are better conditioned.
    norm = gram.diagonal().sqrt()
    gram, onto = gram / norm / norm[:, None], onto / norm
    factors = torch.linalg.lstsq(gram, onto[:, None], driver="gelsd").solution[:, 0] / norm
    return factors / factors.sum()


def mismatch(stored: Sequence[Profile], wanted: Profile) -> float:
    """What `reconstruct` misses of a profile: the norm of the difference over that of the profile, 0 to 1."""
    factors = reconstruct(stored, wanted)
    gram = torch.tensor([[overlap(a, b) for b in stored] for a in stored], dtype=torch.float64)
    onto = torch.tensor([overlap(a, wanted) for a in stored], dtype=torch.float64)
    square = 1 + (factors @ gram @ factors - 2 * factors @ onto) / overlap(wanted, wanted)
    return math.sqrt(max(float(square), 0.0))


def combine(factors: Float64[Tensor, " n"], averages: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The stored averages times their factors, summed in float64. What is not floating is the last one's."""
    last = averages[-1]
    total = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in last.items()}
    for factor, average in zip(factors.tolist(), averages, strict=True):
        for name, value in average.items():
            total[name].add_(value, alpha=factor)
    return {
        name: total[name].to(value.dtype) if value.is_floating_point() else value.clone()
        for name, value in last.items()
    }


class Averages:
    """Averages of one network's weights, in float32, one for each length."""

    def __init__(self, network: nn.Module, lengths: Sequence[float]) -> None:
        self._network = network
        self._exponents = {length: exponent(length) for length in lengths}
        self._averages = {
            length: {name: weight.float().clone() for name, weight in self._weights().items()}
            for length in lengths
        }

    @property
    def lengths(self) -> tuple[float, ...]:
        return tuple(self._averages)

    def update(self, step: int) -> None:
        """Takes the network's weights in, after optimizer step number `step`, counted from 1."""
        now = [weight.float() for weight in self._weights().values()]
        for length, average in self._averages.items():
            # torch's own name for one fused kernel over all the weights
            blend = get_ema_multi_avg_fn(beta(step, self._exponents[length]))
            blend(list(average.values()), now, 0)

    def weights(self, length: float) -> dict[str, Tensor]:
        """A state_dict for the network, copied: averaged parameters (float32), all else as it is now."""
        if length not in self._averages:
            raise ValueError(f"ema length {length} is not tracked, only {', '.join(map(str, self.lengths))}")
        average = self._averages[length]
        whole = self._network.state_dict() | average
        return {name: value.clone() for name, value in whole.items()}

    def export_state(self) -> dict[str, Tensor]:
        """All that a resumed run needs, named `LENGTH/WEIGHT`; the averages themselves, not copies."""
        return {
            f"{length}/{name}": value
            for length, average in self._averages.items()
            for name, value in average.items()
        }

    def import_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies exported tensors in. Raises ValueError if they are not of these lengths and weights."""
        own = self.export_state()
        if odd := sorted(own.keys() ^ tensors.keys()):
            raise ValueError(
                f"ema state: {odd[0]} is {'missing' if odd[0] in own else 'of no weight or length here'}"
            )
        for name, value in own.items():
            if tensors[name].shape != value.shape:
                shape = tuple(tensors[name].shape)
                raise ValueError(f"ema state: {name} has shape {shape}, the weight has {tuple(value.shape)}")
            value.copy_(tensors[name])

    def _weights(self) -> dict[str, Tensor]:
        """Those that are learned, under every name they have: a tied weight is averaged under both, as a
        state_dict lists it."""
        named = self._network.named_parameters(remove_duplicate=False)
        return {name: weight.detach() for name, weight in named if weight.requires_grad}
