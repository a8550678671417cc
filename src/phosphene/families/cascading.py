"""Putting a cascade together from models that were trained apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from phosphene.families.asked import Asked
from phosphene.families.place import find_model
from phosphene.recipes.settings import SamplingSettings, first_line
from phosphene.store import cascade as on_disk
from phosphene.store.model import Header, read_header
from phosphene.tasks.sights import sight


def cascade(
    models: Sequence[Path | str],
    *,
    out: Path | str,
    solver: Sequence[str] = (),
    steps: Sequence[int] = (),
    grid: Sequence[str] = (),
    guidance: Sequence[float] = (),
    threshold: Sequence[str] = (),
    augmentation: Sequence[float] = (),
    best: bool = False,
) -> Path:
    """Puts models together, and returns the folder: `phosphene.load` makes one generator of it.

    models: runs or model folders, the base first, then super-resolution. solver, steps, grid, guidance,
    threshold: how stages are asked, a value for each in turn; what is not said is the model's own.
    augmentation: noise on what each stage after the base is shown, in turn; 0.1, or the most that it was
    trained for. best: the models that measured best in training, not the last.

    Raises ValueError for models that do not fit, and for values that there are not.
    """
    places = [find_model(model, best) for model in models]
    if len(places) < 2:
        raise ValueError(f"models: {len(places)}; give the base and at least one that makes it larger")
    given: dict[str, Sequence[Any]] = {
        "solver": solver,
        "steps": steps,
        "grid": grid,
        "guidance": guidance,
        "threshold": threshold,
    }
    for name, values in given.items():
        if len(values) > len(places):
            raise ValueError(f"{name}: {len(values)} values for {len(places)} stages")
    if len(augmentation) > len(places) - 1:
        raise ValueError(
            f"augmentation: {len(augmentation)} values for {len(places) - 1} stages after the base"
        )
    stages = []
    for i, place in enumerate(places):
        header = read_header(place)
        changes = {name: values[i] for name, values in given.items() if i < len(values)}
        try:
            own = SamplingSettings.model_validate({**header.sampling.model_dump(), **changes})
            shows = sight(header.task)
            usual = 0.0 if shows is None else shows.usual
            level = augmentation[i - 1] if 0 < i <= len(augmentation) else usual
            _refuse_for(header, own, "guidance" in changes)
            stages.append(on_disk.Stage(sampling=own, augmentation=level))
        except ValidationError as error:
            raise ValueError(f"stage {i}: {first_line(error)}") from None
        except ValueError as error:
            raise ValueError(f"stage {i}: {error}") from None
    on_disk.write(Path(out), places, stages)
    return Path(out)


def _refuse_for(header: Header, asked: SamplingSettings, guided: bool) -> None:
    """Raises ValueError for what a stage cannot be asked. guided: whether its guidance was given, and is not
    its recipe's."""
    if guided and asked.guidance != 1 and not header.classes and header.text is None:
        raise ValueError(
            f"guidance {asked.guidance:g}: it was trained without labels or captions, whose answers guidance "
            "compares; give 1"
        )
    way = Asked(asked.solver, asked.steps, asked.grid)
    way.refuse_for(comparable=True, learned_variance=header.diffusion.learned_variance)
