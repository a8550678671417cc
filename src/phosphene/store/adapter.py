"""An adapter on disk: adapter.json, model.safetensors and a card. It changes the weights of a model that
exists (`networks.lora`), and says by its fingerprint which.

    down.0.layers.0.block.first.weight.lora_A    (r, columns)
    down.0.layers.0.block.first.weight.lora_B    (rows, r)

Adapters are merged into a copy of the model's weights once, each times its weight:

    W' = W + sum_i w_i (alpha_i / r_i) B_i A_i
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import safetensors.torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from phosphene import files
from phosphene.networks import lora
from phosphene.networks.lora import Factors
from phosphene.recipes.settings import Count, Positive, Settings, first_line
from phosphene.store.model import CARD, WEIGHTS, Applied, Model, Provenance, complain, refuse_infinite
from phosphene.store.tensors import write_tensors

CONFIG = "adapter.json"
ENDS = (".lora_A", ".lora_B")


class AdapterHeader(Settings):
    """adapter.json. base: the name of the model that it changes, fingerprint: of that one's weights.

    rank, alpha: B A is multiplied by alpha / rank. size, channels: of the pictures it was learned from. ema:
    the length of the average that its weights are.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    base: str
    fingerprint: str
    rank: Count
    alpha: Positive
    size: Count
    channels: Annotated[int, Field(ge=1, le=4)]
    ema: Positive | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True)
class Adapter:
    """factors: by the name of the weight that they change. place: its folder; fingerprint: of its weights."""

    header: AdapterHeader
    factors: Mapping[str, Factors]
    place: Path
    fingerprint: str


class Weighted(NamedTuple):
    """An adapter, and how much of it: 1 is as it was learned, 0 nothing."""

    adapter: Adapter
    weight: float


def save(folder: Path, header: AdapterHeader, factors: Mapping[str, Factors], card: str) -> None:
    """Writes an adapter's folder; one that stood there is replaced at once or, if that fails, stays as it
    was."""
    named = {
        name + end: factor for name, pair in factors.items() for end, factor in zip(ENDS, pair, strict=True)
    }
    with files.replace_folder(folder) as new:
        (new / CONFIG).write_text(header.model_dump_json(indent=2) + "\n")
        write_tensors(new / WEIGHTS, named)
        (new / CARD).write_text(card)


def load(folder: Path) -> Adapter:
    """Reads an adapter's folder. Raises ValueError, naming file and field, for all that is not as it should
    be."""
    folder = files.standing(folder)
    header = read_header(folder)
    path = folder / WEIGHTS
    try:
        tensors = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise ValueError(f"{folder}: {WEIGHTS} is missing; weights must be safetensors") from None
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file (a pickle is never read): {error}") from None
    refuse_infinite(path, tensors)
    return Adapter(header, _paired(path, tensors), folder, files.sha256(path))


def read_header(folder: Path) -> AdapterHeader:
    """What an adapter's folder says in adapter.json. Raises ValueError as `load` does."""
    path = files.standing(folder) / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder}: no adapter here, an adapter's folder holds {CONFIG} and {WEIGHTS}")
    try:
        settings: Any = json.loads(path.read_bytes())
        return AdapterHeader.model_validate_json(json.dumps(settings))
    except ValidationError as error:
        raise ValueError(f"{path}: {first_line(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None


def _paired(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Factors]:
    """The factors of each weight."""
    names = {name.removesuffix(end) for name in tensors for end in ENDS if name.endswith(end)}
    wanted = {name + end for name in names for end in ENDS}
    complain(path, "is missing", wanted - tensors.keys())
    complain(path, f"is no factor, whose names end in {' or '.join(ENDS)}", tensors.keys() - wanted)
    pairs = {name: Factors(*(tensors[name + end].float() for end in ENDS)) for name in sorted(names)}
    for name, (a, b) in pairs.items():
        if a.ndim != 2 or b.ndim != 2 or b.shape[1] != len(a):
            raise ValueError(
                f"{path}: {name} has factors of shapes {tuple(b.shape)} and {tuple(a.shape)}, which have no "
                "product"
            )
    return pairs


def merged(model: Model, adapters: Sequence[Weighted]) -> Model:
    """A model with the adapters merged into a copy of its weights. Its fingerprint is of all together.

    Raises ValueError for an adapter whose weights are not this network's.
    """
    weights = dict(lora.matrices(model.network))
    for adapter, weight in adapters:
        _fits(adapter, weights, model)
        scale = weight * adapter.header.alpha / adapter.header.rank
        for name, factors in adapter.factors.items():
            weights[name] = lora.changed(weights[name].detach(), factors, scale)
    applied = tuple(Applied(str(one.place), weight, one.fingerprint) for one, weight in adapters)
    content = [model.fingerprint, *(f"{one.fingerprint} {one.weight!r}" for one in applied)]
    return replace(
        model,
        network=lora.merged(model.network, weights),
        fingerprint=sha256("\n".join(content).encode()).hexdigest(),
        adapters=(*model.adapters, *applied),
    )


def _fits(adapter: Adapter, weights: Mapping[str, Tensor], model: Model) -> None:
    base = adapter.header.base
    said = f"adapter {adapter.place}: made for another network than this model's (its base is {base})"
    for name, (a, b) in adapter.factors.items():
        if name not in weights:
            raise ValueError(f"{said}: {name} is no weight here")
        rows, columns = weights[name].flatten(1).shape
        if (len(b), a.shape[1]) != (rows, columns):
            raise ValueError(f"{said}: {name} is {len(b)} x {a.shape[1]} there and {rows} x {columns} here")


def stranger(adapter: Adapter, model: Model) -> str | None:
    """What is to be said of an adapter on another model than the one it was learned on; None on that one."""
    if adapter.header.fingerprint == model.fingerprint:
        return None
    return (
        f"adapter {adapter.place}: learned on other weights ({adapter.header.base}, "
        f"{adapter.header.fingerprint[:16]}) than this model's ({model.fingerprint[:16]}); it may do less, "
        "or harm"
    )
