"""A cascade on disk: a base model and models that make its pictures larger, one after the other.

    FOLDER/cascade.json     how each stage is asked
    FOLDER/stages/0         the base, a model folder like any other
    FOLDER/stages/1 ...     super-resolution; each may be replaced by another that takes what comes before

Ho et al. 2022, "Cascaded diffusion models"; Saharia et al. 2022 (Imagen).
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from phosphene import files
from phosphene.recipes.section import Settings, Share
from phosphene.recipes.settings import SamplingSettings, first_line
from phosphene.recipes.tasks import NoTask, SuperResolutionTask
from phosphene.store.model import CARD, CONFIG, WEIGHTS, Header, average, read_header

CASCADE, STAGES = "cascade.json", "stages"


class Stage(Settings):
    """How a stage is asked. augmentation: noise laid on what the stage before it made, a share."""

    sampling: SamplingSettings
    augmentation: Share = 0.1


class Cascade(Settings):
    """cascade.json."""

    format: Annotated[int, Field(ge=1, le=1)] = 1
    stages: Annotated[tuple[Stage, ...], Field(min_length=2)]


def find(place: Path | str) -> Path | None:
    """The folder of a cascade, by its path or its name below runs/; None where there is none."""
    candidates = (Path(place), Path("runs") / place)
    return next((folder for folder in candidates if (folder / CASCADE).is_file()), None)


def folders(root: Path, count: int) -> list[Path]:
    """Of the stages."""
    return [root / STAGES / str(i) for i in range(count)]


def read(root: Path) -> Cascade:
    """Raises ValueError, naming the field, for what is not as it should be."""
    try:
        found = Cascade.model_validate_json((root / CASCADE).read_bytes())
    except ValidationError as error:
        raise ValueError(f"{root / CASCADE}: {first_line(error)}") from None
    refuse([read_header(folder) for folder in folders(root, len(found.stages))], found.stages)
    return found


def write(out: Path, models: Sequence[Path], stages: Sequence[Stage]) -> None:
    """Puts model folders together; of each the weights that it ships. Raises ValueError for those that do
    not fit or lack weights, and for a folder that is in the way."""
    headers = [read_header(folder) for folder in models]
    refuse(headers, stages)
    weights = [
        average(files.standing(folder), header, None)[0]
        for folder, header in zip(models, headers, strict=True)
    ]
    if out.exists():
        raise ValueError(f"out {out}: it is there already; choose another")
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.replace_folder(out) as new:
        for whole, place in zip(weights, folders(new, len(models)), strict=True):
            place.mkdir(parents=True)
            for name in (CONFIG, WEIGHTS, CARD):
                if (whole.parent / name).is_file():
                    shutil.copyfile(whole.parent / name, place / name)
            # Other lengths of averages stay behind, and are not promised.
            config = json.loads((place / CONFIG).read_bytes())
            config["ema"] = config.get("ema", [])[:1]
            (place / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        settings = Cascade(stages=tuple(stages)).model_dump(mode="json")
        (new / CASCADE).write_text(json.dumps(settings, indent=2) + "\n")


def refuse(headers: Sequence[Header], stages: Sequence[Stage]) -> None:
    """Raises ValueError unless each stage takes what the one before it makes."""
    if not isinstance(headers[0].task, NoTask):
        raise ValueError(
            f"stage 0: it was trained for {headers[0].task.kind}; the base makes pictures of noise"
        )
    side = headers[0].size
    for i, (header, stage) in enumerate(zip(headers[1:], stages[1:], strict=True), 1):
        task = header.task
        if not isinstance(task, SuperResolutionTask):
            raise ValueError(
                f"stage {i}: it was trained for {task.kind}; stages after the base are of task.kind "
                "super_resolution"
            )
        if header.channels != headers[0].channels:
            raise ValueError(
                f"stage {i}: its pictures have {header.channels} channels, the base's {headers[0].channels}"
            )
        if stage.augmentation > task.augmentation:
            raise ValueError(
                f"stage {i}: augmentation {stage.augmentation}: it was trained from 0 to {task.augmentation}"
            )
        side *= task.factor
        if side < header.size:
            raise ValueError(
                f"stage {i}: it makes {header.size} pixels of {header.size // task.factor}, the stage before "
                f"makes {side // task.factor}"
            )
