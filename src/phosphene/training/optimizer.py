"""Which optimizer moves which weight, how fast at each step, and its state as plain tensors.

Hidden matrices go to Muon if it is asked for. The rest, and everything otherwise, goes to AdamW: first and
last layers, embeddings, biases and gains. Vectors and embeddings are not decayed.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from phosphene.networks.embedding import LabelEmbedding
from phosphene.training.muon import Muon

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag, LabelEmbedding)  # tables: a row is a thing's own vector


@dataclass(frozen=True)
class Optimizers:
    """The optimizers of one network, which share a learning rate. No weight is in two of them."""

    parts: tuple[Optimizer, ...]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad()

    def multiply_in(self, dtype: torch.dtype) -> None:
        """The precision of Muon's products in the steps to come."""
        for part in self.parts:
            if isinstance(part, Muon):
                for group in part.param_groups:
                    group["dtype"] = dtype

    def set_rate(self, learning_rate: float) -> None:
        """The learning rate of the steps to come."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = learning_rate


def build(
    network: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    muon: bool = False,
    momentum: float = 0.95,
    outer: Collection[str] = (),
    dtype: torch.dtype = torch.float32,
) -> Optimizers:
    """Optimizers for every weight of a network that wants a gradient.

    betas, eps: AdamW's. momentum, dtype: Muon's; dtype is that of its Newton-Schulz products.
    muon: give Muon the hidden weights: two or more dimensions, neither an embedding's nor outer.
    outer: names of the first and last layers, as in `network.named_modules()`, or of single weights (a table
        of positions held as a bare parameter).

    Raises ValueError if no weight wants a gradient, or a name in `outer` is that of no weight and no layer.
    """
    names = [name for name, _ in network.named_parameters()]
    for prefix in outer:
        if not any(_within(name, prefix) for name in names):
            raise ValueError(
                f"outer: {network.__class__.__name__} has no weights in {prefix!r}{_near(prefix, names)}"
            )
    embedded = {
        weight
        for module in network.modules()
        if isinstance(module, EMBEDDINGS)
        for weight in module.parameters()
    }
    hidden, decayed, free = [], [], []
    for name, weight in network.named_parameters():
        if not weight.requires_grad:
            continue
        if weight.ndim < 2 or weight in embedded:
            free.append(weight)
        elif muon and not any(_within(name, prefix) for prefix in outer):
            hidden.append(weight)
        else:
            decayed.append(weight)
    if not hidden + decayed + free:
        raise ValueError(f"{network.__class__.__name__} has no weight that wants a gradient")

    parts: list[Optimizer] = []
    if hidden:
        parts.append(Muon(hidden, learning_rate, weight_decay, momentum, dtype))
    if decayed + free:
        groups = [
            {"params": group, "weight_decay": decay}
            for group, decay in ((decayed, weight_decay), (free, 0.0))
            if group
        ]
        fused = all(weight.device.type in {"cpu", "cuda"} for weight in decayed + free)
        parts.append(AdamW(groups, lr=learning_rate, betas=betas, eps=eps, fused=fused))
    return Optimizers(tuple(parts))


def rate(step: int, warmup: int, total: int, decay: float) -> float:
    """The learning rate of a step as a share of the full one: linear warm-up, constant, then a line to 0.

    step: how many updates came before, in [0, total). The first has 1 / warmup, update number `warmup` the
    full rate; the last share `decay` (in [0, 1]) of the `total` updates falls, and would reach 0 at
    `total`.
    """
    left = (total - step) / (decay * total) if decay > 0 else 1.0
    return min((step + 1) / max(warmup, 1), 1.0) * min(max(left, 0.0), 1.0)


def export_state(optimizers: Optimizers, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a resumed run needs of the optimizers, as tensors named `WEIGHT/KEY` (`out.weight/exp_avg`).

    weights: the network's, by name: `dict(network.named_parameters())`. The tensors are the optimizers' own,
    not copies. Rates, decays and betas are not state: they follow from the recipe and the step.
    """
    names = {weight: name for name, weight in weights.items()}
    return {
        f"{names[weight]}/{key}": value
        for part in optimizers.parts
        for weight, state in part.state.items()
        for key, value in state.items()
    }


def import_state(
    optimizers: Optimizers, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Sets the optimizers' state to copies of exported tensors; what follows equals bit for bit.

    Raises ValueError if the tensors are not those of these optimizers on these weights.
    """
    names = {weight: name for name, weight in weights.items()}
    left = dict(tensors)
    for part in optimizers.parts:
        keys = ("momentum_buffer",) if isinstance(part, Muon) else ("step", "exp_avg", "exp_avg_sq")
        packed = part.state_dict()
        packed["state"] = {}
        for index, weight in enumerate(_weights(part)):
            name = names[weight]
            # A weight without any has not had a gradient yet.
            found = {key: left.pop(f"{name}/{key}") for key in keys if f"{name}/{key}" in left}
            if found and len(found) < len(keys):
                missing = next(key for key in keys if key not in found)
                raise ValueError(f"optimizer state: {name}/{missing} is missing")
            for key, value in found.items():
                if key != "step" and value.shape != weight.shape:
                    raise ValueError(
                        f"optimizer state: {name}/{key} has shape {tuple(value.shape)}, "
                        f"the weight has {tuple(weight.shape)}"
                    )
            if found:
                packed["state"][index] = {key: _like(value, weight) for key, value in found.items()}
        part.load_state_dict(packed)
    if left:
        raise ValueError(f"optimizer state: {min(left)} belongs to no weight of these optimizers")


def _weights(part: Optimizer) -> list[Tensor]:
    """In the order in which torch numbers them in a state_dict."""
    return [weight for group in part.param_groups for weight in group["params"]]


def _like(value: Tensor, weight: Tensor) -> Tensor:
    """A copy; one of the weight's shape also gets its memory format, which files do not keep."""
    if value.shape != weight.shape:
        return value.clone()
    return torch.empty_like(weight, dtype=value.dtype, requires_grad=False).copy_(value)


def _within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _near(prefix: str, names: Collection[str]) -> str:
    """A hint at the layer that may have been meant."""
    parts = [name.split(".") for name in names]
    layers = {".".join(path[:depth]) for path in parts for depth in range(1, len(path) + 1)}
    close = difflib.get_close_matches(prefix, sorted(layers), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; its layers are {sorted({p[0] for p in parts})}"
