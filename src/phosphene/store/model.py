"""A model on disk: config.json, model.safetensors and a model card. This folder is what is served and shared.

Training averages the weights over several lengths. model.safetensors holds the first of them, which is the
model unless another is asked for; weights-ema0.05.safetensors holds the one of length 0.05.

A folder that was not made here is data, not code: only JSON and safetensors are read, every field and every
weight is checked, and nothing else in the folder is opened.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import safetensors.torch
import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from phosphene import files
from phosphene.networks.build import AnyConfig, Config, build, describe, understand
from phosphene.networks.clip import ClipConfig
from phosphene.networks.unet import UNetConfig, smallest_multiple
from phosphene.recipes.settings import (
    Count,
    DiffusionSettings,
    Positive,
    SamplingSettings,
    Settings,
    first_line,
)
from phosphene.recipes.tasks import NoTask, TaskSettings
from phosphene.store.tensors import write_tensors
from phosphene.store.text_encoder import TextHeader

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}


class Provenance(Settings):
    """Where a model comes from. images: pictures seen in training; seconds: time spent.

    measured: figures of these very weights, by name, where they were measured in training.
    """

    version: str
    recipe: str
    data: str
    fingerprint: str
    seed: int
    step: int
    images: int
    seconds: float
    measured: dict[str, float] = Field(default_factory=dict)


class AnyHeader(Settings):
    """config.json but for the network, of a model of any kind. size, channels: of its pictures.

    ema: lengths of the averages that the folder holds, that of model.safetensors first, if it is one.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    size: Count
    channels: Annotated[int, Field(ge=1, le=4)]
    ema: tuple[Positive, ...] = ()
    provenance: Provenance | None = None


class Header(AnyHeader):
    """Of a model that makes pictures. classes: names of its labels. text: the encoder through which it hears
    captions, if it does. task: what it is shown of a picture."""

    diffusion: DiffusionSettings
    sampling: SamplingSettings
    classes: tuple[str, ...] = ()
    text: TextHeader | None = None
    task: TaskSettings = NoTask()


class Applied(NamedTuple):
    """An adapter that was merged into a model: its folder, how much of it, the fingerprint of its weights."""

    place: str
    weight: float
    fingerprint: str


@dataclass(frozen=True)
class Model:
    """A network and what its answers mean. fingerprint: of the weights file, empty before it is written.

    ema: the length that was asked for, where it is not that of model.safetensors. adapters: what was merged
    into the weights, which the fingerprint is then of too.
    """

    header: Header
    network: nn.Module
    config: Config
    fingerprint: str = ""
    ema: float | None = None
    adapters: tuple[Applied, ...] = ()


def save(
    folder: Path,
    header: AnyHeader,
    config: AnyConfig,
    weights: Mapping[str, Tensor],
    card: str,
    others: Mapping[float, Mapping[str, Tensor]] | None = None,
    half: bool = False,
    more: Mapping[str, str] | None = None,
) -> None:
    """Writes a model folder; one that stood there is replaced at once or, if that fails, left as it was.

    others: the weights' further averages by their length, in the order of header.ema, which begins with that
    of `weights`. half: in float16, half as large; a network that reads them has float32 weights all the same.
    more: further text files by name.
    Raises OSError, one line that names the folder, if it cannot be written, and ValueError for weights that
    float16 does not reach.
    """
    others = others or {}
    assert header.ema[1:] == tuple(others)
    if half:
        weights, others = halved(weights), {length: halved(one) for length, one in others.items()}
    settings = header.model_dump(mode="json") | {"network": describe(config)}
    with files.replace_folder(folder) as new:
        (new / CONFIG).write_text(json.dumps(settings, indent=2) + "\n")
        write_tensors(new / WEIGHTS, weights)
        for length, average in others.items():
            write_tensors(new / of_length(length), average)
        (new / CARD).write_text(card)
        for name, text in (more or {}).items():
            (new / name).write_text(text)


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights rounded to float16, 11 bits of each, down to 6e-8. Raises ValueError for one over 65504."""
    rounded = {name: weight.half() for name, weight in weights.items()}
    for name, weight in rounded.items():
        if not bool(weight.isfinite().all()):
            raise ValueError(
                f"half: {name} holds values over {torch.finfo(torch.half).max:g}; leave half out"
            )
    return rounded


def called(folder: Path) -> str:
    """The name of a model or adapter: its folder's, or that of the run which the folder is in."""
    folder = folder.absolute()
    return folder.parent.name if folder.name in ("model", "best") else folder.name


def of_length(length: float) -> str:
    """The name of the file that holds the average of a length."""
    return f"weights-ema{length}.safetensors"


def load(folder: Path, ema: float | None = None) -> Model:
    """Reads a model folder; ema: the length of an average, to have that one's weights.

    Raises ValueError, naming file and field, for all that is not as it should be.
    """
    folder = files.standing(folder)
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder}: no model here, a model folder holds {CONFIG} and {WEIGHTS}")
    header, config = _read_config(folder / CONFIG)
    weights, other = average(folder, header, ema)
    network = build(config)
    load_weights(network, weights)
    network.eval()
    return Model(header, network, config, files.sha256(weights), other)


def average(folder: Path, header: AnyHeader, ema: float | None) -> tuple[Path, float | None]:
    """The file with the weights' average of a length, and the length where it is not the shipped one's.

    Raises ValueError for a length that the folder does not hold, and if the file is missing.
    """
    if ema is not None and ema not in header.ema:
        held = f"holds {', '.join(map(str, header.ema))}" if header.ema else "names no lengths; leave it out"
        raise ValueError(f"ema {ema}: {folder} {held}")
    other = ema if ema in header.ema[1:] else None
    weights = folder / (WEIGHTS if other is None else of_length(other))
    if not weights.is_file():
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        found = f", only {pickles[0]}, a pickle, which could run code and is never read" if pickles else ""
        raise ValueError(f"{folder}: {weights.name} is missing{found}; weights must be safetensors")
    return weights, other


def read_header(folder: Path) -> Header:
    """What a model folder's config.json says but for the network. Raises ValueError as `load` does."""
    return _read_config(files.standing(folder) / CONFIG)[0]


def read_provenance(folder: Path) -> Provenance | None:
    """Where the model in a folder comes from, whatever its kind; None where it does not say."""
    settings, _ = read_settings(files.standing(folder) / CONFIG)
    origin = settings.get("provenance")
    return None if origin is None else Provenance.model_validate_json(json.dumps(origin))


def read_settings(path: Path) -> tuple[dict[str, Any], AnyConfig]:
    """config.json: all but the network, and the network."""
    try:
        settings: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(settings, dict) or not isinstance(settings.get("network"), dict):
        raise ValueError(f"{path}: network: the section is missing; this is no phosphene model")
    try:
        return settings, understand(settings.pop("network"))
    except ValueError as error:
        raise ValueError(f"{path}: network.{error}") from None


def _read_config(path: Path) -> tuple[Header, Config]:
    settings, config = read_settings(path)
    if isinstance(config, ClipConfig):
        raise ValueError(
            f"{path.parent}: a CLIP, which makes no pictures; it ranks and guides (sample --best-of 8 "
            "--ranker CLIP) and finds pictures (search FOLDER TEXT --clip CLIP)"
        )
    try:
        header = Header.model_validate_json(json.dumps(settings))
        agree(header, config)
    except ValidationError as error:
        raise ValueError(f"{path}: {first_line(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return header, config


def agree(header: Header, config: Config) -> None:
    """Raises ValueError unless the network takes the pictures and labels that the header promises."""
    out = header.channels * (2 if header.diffusion.learned_variance else 1)
    multiple = smallest_multiple(config) if isinstance(config, UNetConfig) else config.patch
    if config.classes != len(header.classes):
        raise ValueError(f"classes: {len(header.classes)} names, the network has {config.classes} classes")
    if config.token_width != (width := header.text.width if header.text else 0):
        raise ValueError(f"text.width {width}: the network hears states of width {config.token_width}")
    # What is shown is counted by the task's own code, above this room; here: none without a task.
    if config.in_channels < header.channels or (
        isinstance(header.task, NoTask) and config.in_channels != header.channels
    ):
        raise ValueError(f"channels {header.channels}: the network takes {config.in_channels}")
    if config.out_channels != out:
        learned = header.diffusion.learned_variance
        raise ValueError(
            f"channels {header.channels}: the network says {config.out_channels}, with "
            f"diffusion.learned_variance {learned} it should say {out}"
        )
    if header.size % multiple:
        raise ValueError(f"size {header.size}: the network takes multiples of {multiple}")


def load_weights(network: nn.Module, path: Path) -> None:
    """Fills a network from a safetensors file that holds exactly its weights."""
    try:
        weights = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file (a pickle is never read): {error}") from None
    own = network.state_dict()
    complain(path, "is missing", own.keys() - weights.keys())
    complain(path, "is not a weight of this network", weights.keys() - own.keys())
    for name, weight in weights.items():
        if weight.shape != own[name].shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(weight.shape)}, the network's is {tuple(own[name].shape)}"
            )
    refuse_infinite(path, weights)
    network.load_state_dict(weights)


def refuse_infinite(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Raises ValueError for weights that are not numbers."""
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise ValueError(f"{path}: {name} holds values that are not finite")


def complain(path: Path, what: str, names: set[str]) -> None:
    if names:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        raise ValueError(f"{path}: {min(names)} {what}{more}")
