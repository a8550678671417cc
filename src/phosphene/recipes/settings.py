"""What defines a run: one section for each part of the system. Everything is plain data and round-trips.

A recipe says what is wanted in words that do not depend on the data ("attention at 8 pixels"); a model's
config.json says what was built from it.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import Field, ValidationError, model_validator

from phosphene.recipes.data import AUTO as AUTO
from phosphene.recipes.data import DataSettings
from phosphene.recipes.networks import ClipSettings, TransformerSettings, UNetSettings
from phosphene.recipes.section import Count, Positive, Settings, Share
from phosphene.recipes.tasks import TASKS, NoTask, TaskSettings

ScheduleName = Literal[
    "linear", "scaled_linear", "linear_zero_terminal", "cosine", "cosine_capped", "edm", "flow"
]
DISCRETE: tuple[ScheduleName, ...] = ("linear", "scaled_linear", "linear_zero_terminal", "cosine_capped")
PredictionName = Literal["eps", "x0", "v", "velocity", "edm"]
WeightName = Literal["uniform", "snr", "v", "velocity", "min_snr", "soft_min_snr", "edm"]
DensityName = Literal["uniform", "log_normal", "logit_normal"]
GridName = Literal["trailing", "leading", "linspace", "karras", "log_snr"]
SolverName = Literal[
    "ddpm",
    "ddpm_large",
    "ddpm_learned",
    "ddim",
    "euler",
    "euler_ancestral",
    "heun",
    "edm",
    "dpmpp_1",
    "dpmpp_2m",
    "dpmpp_3m",
    "dpmpp_3m_published",
    "dpmpp_2m_sde",
    "dpmpp_3m_sde",
    "unipc",
    "repaint",
    "consistency",
]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
Threshold = Literal["none", "clip", "dynamic"]


class DiffusionSettings(Settings):
    """The forward process, what is predicted, and how errors count.

    density_mean, density_std: of the two normal densities. strata: spread the rows of a batch over the
    density. learned_variance: the network also says the variance of the reverse step, of a discrete schedule.
    drop: how often a condition is dropped, so that guidance can ask for nothing; in editing, how often the
    words, how often the picture, and how often both.
    """

    schedule: ScheduleName = "flow"
    prediction: PredictionName = "velocity"
    density: DensityName = "logit_normal"
    density_mean: float = 0.0
    density_std: Positive = 1.0
    weight: WeightName = "uniform"
    strata: bool = True
    learned_variance: bool = False
    drop: Share = 0.1

    @model_validator(mode="after")
    def _fits_together(self) -> "DiffusionSettings":
        if self.prediction == "eps" and self.schedule == "linear_zero_terminal":
            others = ", ".join(name for name in get_args(PredictionName) if name != "eps")
            raise ValueError(
                "prediction 'eps': the noise says nothing of a picture where none of it is left, as at the "
                f"end of schedule linear_zero_terminal; accepted are {others}"
            )
        if self.learned_variance and self.schedule not in DISCRETE:
            raise ValueError(
                f"learned_variance True: schedule {self.schedule} has no steps whose variance could be "
                f"learned; accepted with {', '.join(DISCRETE)}"
            )
        return self


class TrainingSettings(Settings):
    """How long, in what steps, with which optimizer.

    budget: seconds to spend, or images: pictures to see in all, a million unless there is a budget.
    accumulate: parts that a batch is computed in. warmup: steps. decay: the last share of the run, in which
    the rate falls to 0. clip: largest norm of the gradient. ema: lengths of the averages (sigma_rel); the
    first is shipped. checkpoint: seconds between checkpoints.

    measure_share: of the time, at most, that measuring the run may take; 0 measures nothing. validate_every:
    seconds at least between two measurements. measure_pictures: how many are made for one, 20 to 512 by the
    length of the run if None; measure_steps: in how many solver steps. stop: end the run early when
    memorisation begins, or never.
    """

    budget: Positive | None = None
    images: Count | None = Field(
        default_factory=lambda given: None if given.get("budget") is not None else 1_000_000
    )
    batch: Count = 128
    accumulate: Count = 1
    optimizer: Literal["adamw", "muon"] = "muon"
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    beta1: Share = 0.9
    beta2: Share = 0.99
    warmup: Annotated[int, Field(ge=0)] = 100
    decay: Share = 0.3
    clip: Positive = 1.0
    ema: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.05)
    precision: PrecisionName = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    checkpoint: Positive = 300.0
    measure_share: Share = 0.05
    validate_every: Positive = 10.0
    measure_pictures: Annotated[int, Field(ge=20)] | None = None
    measure_steps: Count = 8
    stop: Literal["never", "memorisation"] = "never"

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingSettings":
        if (self.images is None) == (self.budget is None):
            raise ValueError(
                f"images {self.images}, budget {self.budget}: give one of the two, a number of pictures or "
                "of seconds, and leave the other out"
            )
        return self


class SamplingSettings(Settings):
    """How the finished model is asked, unless the caller says otherwise. steps: solver steps.

    image_guidance: of the picture that an editing model is shown.
    """

    solver: SolverName = "dpmpp_2m"
    steps: Count = 30
    grid: GridName = "trailing"
    guidance: float = 1.0
    image_guidance: float = 1.0
    threshold: Threshold = "none"


class BaseSettings(Settings):
    """model: the run or model that training begins from, fingerprint: of its weights; none: fresh weights.

    rank: of the change of each weight matrix that is learned while the weights stay (LoRA), alpha: it counts
    alpha / rank times; without a rank all weights are learned.
    """

    model: str | None = None
    fingerprint: str | None = None
    rank: Count | None = None
    alpha: Positive = 8.0


class Recipe(Settings):
    """A run. summary: what it is; score: what it reached, where and in what time.

    diffusion, sampling: of networks that make pictures.
    """

    name: str
    summary: str = ""
    score: str = ""
    data: DataSettings = DataSettings()
    network: Annotated[UNetSettings | TransformerSettings | ClipSettings, Field(discriminator="kind")] = (
        UNetSettings()
    )
    diffusion: DiffusionSettings = DiffusionSettings()
    training: TrainingSettings = TrainingSettings()
    sampling: SamplingSettings = SamplingSettings()
    base: BaseSettings = BaseSettings()
    task: TaskSettings = NoTask()

    def refuse_clip(self, what: str) -> None:
        """Raises ValueError for a recipe that makes no pictures."""
        if isinstance(self.network, ClipSettings):
            raise ValueError(f"{what}: recipe {self.name} trains a CLIP, which makes no pictures")

    @model_validator(mode="after")
    def _pairs_are_edits(self) -> "Recipe":
        if self.data.pairs != (self.task.kind == "editing"):
            raise ValueError(
                f"data.pairs {self.data.pairs}, task.kind {self.task.kind!r}: pairs are what editing learns; "
                "give both, or neither"
            )
        return self

    @model_validator(mode="after")
    def _can_be_sampled(self) -> "Recipe":
        if self.sampling.solver == "ddpm_learned" and not self.diffusion.learned_variance:
            raise ValueError(
                "sampling.solver 'ddpm_learned': it needs diffusion.learned_variance; ddpm and ddpm_large "
                "do not"
            )
        return self

    @model_validator(mode="after")
    def _can_be_compared(self) -> "Recipe":
        if not isinstance(self.network, ClipSettings):
            return self
        for section, usual in (("diffusion", DiffusionSettings()), ("sampling", SamplingSettings())):
            if getattr(self, section) != usual:
                raise ValueError(
                    f"{section}: a network of kind clip makes no pictures and has none; leave it out"
                )
        if self.data.augment:
            raise ValueError(
                f"data.augment {self.data.augment:g}: turned and moved pictures are not what their captions "
                "say; with a network of kind clip only 0 is accepted"
            )
        if self.data.text is None:
            raise ValueError(
                "data.text 'none': a network of kind clip learns from captions; minilm is accepted"
            )
        if self.training.accumulate > 1:
            raise ValueError(
                f"training.accumulate {self.training.accumulate}: a network of kind clip compares all "
                "pictures of a batch with one another, which cannot be done in parts; only 1 is accepted, "
                "take a smaller training.batch instead"
            )
        return self


NETWORKS = {"unet": UNetSettings, "transformer": TransformerSettings, "clip": ClipSettings}
KINDS = {"network": NETWORKS, "task": TASKS}
"""Sections that are of one kind of several; another kind has other settings."""

NONE = "none"
"""None as a word, for TOML and command lines, which have no other."""

OPTIONAL = {
    (section, name)
    for section, models in {
        "data": [DataSettings],
        "network": NETWORKS.values(),
        "diffusion": [DiffusionSettings],
        "training": [TrainingSettings],
        "sampling": [SamplingSettings],
        "base": [BaseSettings],
        "task": TASKS.values(),
    }.items()
    for model in models
    for name, field in model.model_fields.items()
    if type(None) in get_args(field.annotation)
}
"""The fields that may be None, by section and name."""


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with values replaced by dotted name: {"training.batch": 64}.

    A new length of training, images or budget, takes the place of the other. Kinds come first, whatever the
    order: another kind begins with its own defaults.
    Raises ValueError for an unknown name (the nearest is suggested) or a value that the field refuses.
    """
    values = recipe.model_dump(mode="json")
    for length, other in (("training.images", "training.budget"), ("training.budget", "training.images")):
        if changes.get(length) not in (None, NONE) and other not in changes:
            changes = {**changes, other: None}
    for dotted, value in sorted(changes.items(), key=lambda change: not change[0].endswith(".kind")):
        place = values
        *sections, field = dotted.split(".")
        for section in sections:
            if not isinstance(place.get(section), dict):
                raise ValueError(
                    unknown(dotted, section, [k for k, v in place.items() if isinstance(v, dict)])
                )
            place = place[section]
        kinds = KINDS.get(sections[0], {}) if sections and field == "kind" else {}
        if isinstance(value, str) and value in kinds and value != place["kind"]:
            values[sections[0]] = kinds[value]().model_dump(mode="json")
            continue
        if field not in place or isinstance(place[field], dict):
            raise ValueError(unknown(dotted, field, [k for k, v in place.items() if not isinstance(v, dict)]))
        place[field] = value
    return validate(values)


def validate(values: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values, None as itself or as a word.

    Raises ValueError with one line that names the field.
    """
    try:
        # What JSON has no form for (a date of TOML, a path) is a word that its field accepts or names.
        return Recipe.model_validate_json(json.dumps(_understood(values), default=str))
    except ValidationError as error:
        raise ValueError(first_line(error)) from None


def first_line(error: ValidationError) -> str:
    """pydantic's first complaint: the field, the value, what is accepted."""
    first = error.errors()[0]
    # Behind a section that is of several kinds stands the kind, which is no field.
    places = zip(("", *first["loc"]), first["loc"], strict=False)
    where = ".".join(str(part) for before, part in places if part not in KINDS.get(str(before), ()))
    if isinstance(said := first.get("ctx", {}).get("error"), ValueError):  # our own, of fields together
        return f"{where}.{said}" if where else str(said)
    message = first["msg"][0].lower() + first["msg"][1:]
    value = first["input"]
    if isinstance(value, str) and first["type"] == "literal_error":
        accepted = message.split("'")[1::2]
        near = difflib.get_close_matches(value, accepted, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{where} {value!r}: {hint}accepted are {', '.join(accepted)}"
    shown = "" if isinstance(value, Mapping) else f" {value!r}"
    return f"{where}{shown}: {message}"


def unknown(dotted: str, part: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(part, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"{dotted}: no setting {part!r}; {hint}"


def _understood(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with None for the word, in the fields that may be None: elsewhere it is a word like any.
    A network that does not say its kind is a U-Net."""
    if isinstance(network := values.get("network"), Mapping):
        values = {**values, "network": {"kind": "unet", **network}}
    return {
        section: {
            name: None if (section, name) in OPTIONAL and value == NONE else value
            for name, value in fields.items()
        }
        if isinstance(fields, Mapping)
        else fields
        for section, fields in values.items()
    }


def to_toml(recipe: Recipe) -> str:
    """The recipe as TOML, every field in it: what is left out of a recipe takes its default, not None."""
    sections = recipe.model_dump(mode="json")
    for fields in sections.values():
        if isinstance(fields, dict):
            fields.update({name: NONE for name, value in fields.items() if value is None})
    return tomli_w.dumps(sections)


def from_toml(text: str, where: str) -> Recipe:
    """The inverse of to_toml; an absent field takes its default. `where` names the file."""
    try:
        return validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """'training.batch=64' -> ('training.batch', 64). The value is TOML; a bare word is a string, and "none",
    where a field may be None, says that."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--set {text!r}: give section.field=value, for example training.batch=64")
    value = value.strip()
    if value.lower() == NONE:
        return name.strip(), NONE
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value
