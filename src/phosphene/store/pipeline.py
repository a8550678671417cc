"""Models of diffusers as ours: a `UNet2DModel`'s folder, and its scheduler's settings.

    PIPELINE/unet/config.json, diffusion_pytorch_model.safetensors     the network (`store.exchange`)
    PIPELINE/scheduler/scheduler_config.json                           DDPMScheduler's or DDIMScheduler's

The scheduler's settings may also stand in the network's own folder, as in the first models on the hub; where
there are none, a DDPMScheduler's defaults hold. They give the schedule, what is predicted, and how pictures
are made unless the caller says otherwise. Where diffusers clips x0_hat, so do we; its DDIM then goes on with
the noise of before clipping (unless `use_clipped_model_output`), ours with the noise that x0_hat implies.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from phosphene import files
from phosphene.networks.build import build
from phosphene.networks.config import from_dict
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import (
    DiffusionSettings,
    GridName,
    PredictionName,
    SamplingSettings,
    ScheduleName,
    SolverName,
    first_line,
)
from phosphene.store.exchange import CONFIG, WEIGHTS, expect, read_diffusers
from phosphene.store.model import Header, Model, agree, refuse_infinite

UNET, SCHEDULER = "unet", Path("scheduler", "scheduler_config.json")
LAST_CENTURY = {"tensor_format", "timestep_values"}  # of diffusers 0.1, without a meaning today


@dataclass(frozen=True)
class PeerScheduler:
    """The settings of DDPMScheduler and DDIMScheduler with their defaults; the types are what ours can be."""

    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "linear"
    trained_betas: None = None
    variance_type: Literal["fixed_small", "fixed_small_log", "fixed_large", "learned_range"] = "fixed_small"
    clip_sample: bool = True
    set_alpha_to_one: Literal[True] = True
    steps_offset: int = 0
    prediction_type: Literal["epsilon", "sample", "v_prediction"] = "epsilon"
    thresholding: Literal[False] = False
    dynamic_thresholding_ratio: float = 0.995
    clip_sample_range: float = 1.0
    sample_max_value: float = 1.0
    timestep_spacing: Literal["leading", "linspace", "trailing"] = "leading"
    rescale_betas_zero_snr: bool = False


BETAS: Mapping[str, tuple[ScheduleName, float, float]] = {
    "linear": ("linear", 1e-4, 0.02),
    "scaled_linear": ("scaled_linear", 0.00085, 0.012),
}
PREDICTIONS: Mapping[str, PredictionName] = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
VARIANCES: Mapping[str, SolverName] = {
    "fixed_small": "ddpm",
    "fixed_small_log": "ddpm",
    "fixed_large": "ddpm_large",
    "learned_range": "ddpm_learned",
}
CLASSES = ("DDPMScheduler", "DDIMScheduler")


def is_unet(folder: Path) -> bool:
    """Whether config.json is one of diffusers'."""
    try:
        settings = json.loads((files.standing(folder) / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and "_class_name" in settings


def load(folder: Path) -> Model:
    """The model of a UNet2DModel's folder. Raises ValueError for what ours is not, naming file and field."""
    folder = files.standing(folder)
    config, weights = read_diffusers(folder)
    refuse_infinite(folder / WEIGHTS, weights)
    scheduler = find_scheduler(folder)
    diffusion, sampling = _read_scheduler(scheduler, config) if scheduler else understand({}, config)
    try:
        header = Header(
            diffusion=diffusion,
            sampling=sampling,
            size=square(json.loads((folder / CONFIG).read_bytes()).get("sample_size")),
            channels=config.in_channels,
            classes=tuple(map(str, range(config.classes))),
        )
        agree(header, config)
    except ValidationError as error:
        raise ValueError(f"{folder / CONFIG}: {first_line(error)}") from None
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG}: {error}") from None
    network = build(config).eval()
    network.load_state_dict(weights)
    return Model(header, network, config, files.sha256(folder / WEIGHTS))


def find_scheduler(folder: Path) -> Path | None:
    """The scheduler's settings of a network's folder: beside it in its pipeline, or in it."""
    beside = (folder.parent / SCHEDULER, folder / SCHEDULER.name)
    return next((path for path in beside if path.is_file()), None)


def _read_scheduler(path: Path, config: UNetConfig) -> tuple[DiffusionSettings, SamplingSettings]:
    try:
        settings = json.loads(path.read_bytes())
        if not isinstance(settings, dict):
            raise ValueError("an object of settings is accepted")
        return understand(settings, config)
    except ValidationError as error:
        raise ValueError(f"{path}: {first_line(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def understand(settings: Mapping[str, Any], config: UNetConfig) -> tuple[DiffusionSettings, SamplingSettings]:
    """What a scheduler's settings say. Raises ValueError, naming the field, for what we do not have."""
    kind = settings.get("_class_name", CLASSES[0])
    expect("_class_name", kind, CLASSES)
    own = {k: v for k, v in settings.items() if not k.startswith("_") and k not in LAST_CENTURY}
    peer = from_dict(PeerScheduler, own)
    expect("num_train_timesteps", peer.num_train_timesteps, [1000])
    expect("steps_offset", peer.steps_offset, [0])
    expect("clip_sample_range", peer.clip_sample_range, [1.0])
    learned = config.out_channels == 2 * config.in_channels
    if kind == "DDPMScheduler":
        expect("variance_type", peer.variance_type, ["learned_range"] if learned else [*VARIANCES][:-1])
    diffusion = DiffusionSettings(
        schedule=schedule(peer),
        prediction=PREDICTIONS[peer.prediction_type],
        density="uniform",
        learned_variance=learned,
    )
    grid: GridName = peer.timestep_spacing
    solver, steps = (VARIANCES[peer.variance_type], 1000) if kind == "DDPMScheduler" else ("ddim", 50)
    threshold = "clip" if peer.clip_sample else "none"
    return diffusion, SamplingSettings(solver=solver, steps=steps, grid=grid, threshold=threshold)


def schedule(peer: PeerScheduler) -> ScheduleName:
    """Which of our schedules has these betas."""
    if peer.beta_schedule == "squaredcos_cap_v2":
        expect("rescale_betas_zero_snr", peer.rescale_betas_zero_snr, [False])
        return "cosine_capped"
    name, first, last = BETAS[peer.beta_schedule]
    expect("beta_start", peer.beta_start, [first])
    expect("beta_end", peer.beta_end, [last])
    if not peer.rescale_betas_zero_snr:
        return name
    expect("beta_schedule", peer.beta_schedule, ["linear"])
    return "linear_zero_terminal"


def square(sample_size: object) -> int:
    """Pixels a side. Raises ValueError for pictures that are not square, or of no size."""
    match sample_size:
        case int(side) | [int(side), int(_)] if sample_size in (side, [side, side]):
            return side
    raise ValueError(f"sample_size: {sample_size!r} cannot be read, the side of a square is accepted")
