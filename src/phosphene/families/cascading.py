"""Putting a cascade together from models that were trained apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from phosphene.families.place import find_model
from phosphene.recipes.settings import SamplingSettings, first_line
from phosphene.store import cascade
from phosphene.store.model import read_header


def together(
    models: Sequence[Path | str],
    out: Path | str,
    sampling: Mapping[str, Sequence[Any]] | None = None,
    augmentation: Sequence[float] = (),
    best: bool = False,
) -> Path:
    """Writes the folder of a cascade, and returns it: `phosphene.load` makes one generator of it.

    models: runs or model folders, the base first. sampling: how stages are asked, by the names of a recipe's
    [sampling], a value for each stage in turn; what is not said is the model's own. augmentation: noise on
    what each stage after the base is shown, in turn; 0.1, or the most that it was trained for.

    Raises ValueError for models that do not fit, and for values that there are not.
    """
    places = [find_model(model, best) for model in models]
    if len(places) < 2:
        raise ValueError(f"models: {len(places)}; give the base and at least one that makes it larger")
    given = sampling or {}
    for name, values in {**given, "augmentation": [0.0, *augmentation]}.items():
        if len(values) > len(places):
            raise ValueError(f"{name}: {len(values)} values for {len(places)} stages")
    stages = []
    for i, place in enumerate(places):
        header = read_header(place)
        changes = {name: values[i] for name, values in given.items() if i < len(values)}
        try:
            own = SamplingSettings.model_validate({**header.sampling.model_dump(), **changes})
            most = getattr(header.task, "augmentation", 0.0)
            level = augmentation[i - 1] if 0 < i <= len(augmentation) else min(0.1, most)
            stages.append(cascade.Stage(sampling=own, augmentation=level))
        except ValidationError as error:
            raise ValueError(f"stage {i}: {first_line(error)}") from None
    cascade.write(Path(out), places, stages)
    return Path(out)
