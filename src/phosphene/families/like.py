"""What a picture's file says of how it was made, written and read again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from phosphene.families.asked import Asked
from phosphene.families.clip import Clip, opened
from phosphene.pictures.embedded import read_settings
from phosphene.recipes.settings import Settings, first_line
from phosphene.store import shipped
from phosphene.store.model import Applied, Model
from phosphene.tasks.request import Request
from phosphene.version import __version__


class Made(Settings):
    """What a picture's file says besides how it was asked for. weaker_model, clip_model: fingerprints."""

    seed: int
    picture: int
    label: int | str | None
    prompt: str | None
    negative: str | None
    weaker: float | str | None
    weaker_model: str | None
    clip: str | None = None
    clip_model: str | None = None
    clip_strength: float | None = None
    clip_prompt: str | None = None

    def clip_again(
        self, clip: Clip | Path | str | None, strength: float | None, device: str
    ) -> tuple[Clip | Path | str | None, float | None]:
        """The CLIP that guided, unless another is given. Raises ValueError if it is not what it was."""
        if clip is not None or self.clip is None:
            return clip, strength
        found = opened(self.clip, device)
        if found.fingerprint != self.clip_model:
            raise ValueError(f"like: guided by another CLIP than {self.clip} is now; give clip")
        return found, self.clip_strength if strength is None else strength


def settings(
    model: Model,
    folder: Path,
    asked: Asked,
    seed: int,
    picture: int,
    request: Request,
    weaker: Mapping[str, Any],
) -> dict[str, Any]:
    """What the file of a picture says. weaker: the fields of autoguidance, if it was used."""
    adapters = [one._asdict() for one in model.adapters] or None
    made: dict[str, Any] = {"ema": model.ema, "adapters": adapters, "seed": seed, "picture": picture}
    made |= {**request.describe(), **weaker, **asked.describe()}
    return {
        "phosphene": __version__,
        "model": model.fingerprint,
        "run": shipped.named(folder) or str(folder),
        **{name: value for name, value in made.items() if value is not None},
    }


def applied(given: Mapping[str, Any], path: Path) -> tuple[Applied, ...]:
    """The adapters that a picture's settings name."""
    try:
        adapters = json.dumps(given.get("adapters", []))
        return TypeAdapter(tuple[Applied, ...]).validate_json(adapters)
    except ValidationError as error:
        raise ValueError(f"like {path}: adapters: {first_line(error)}") from None


def read(
    path: Path, model: Model, folder: Path, stages: Sequence[Mapping[str, Any]] = ()
) -> tuple[Made, Asked]:
    """The settings inside a picture, checked. stages: what came after the model, in a cascade, and how it
    was asked. Raises ValueError if another model made it."""
    given = read_settings(path)
    if "between" in given:
        raise ValueError(f"like {path}: it lies between two others; phosphene interpolate makes it again")
    if given.get("ema") != model.ema:
        raise ValueError(
            f"like {path}: made with ema {given.get('ema')}, not {model.ema}; load the model with it"
        )
    theirs = applied(given, path)
    # An adapter is its weights, wherever it lies.
    if [one[1:] for one in theirs] != [one[1:] for one in model.adapters]:
        words = " ".join(f"{one.place}:{one.weight:g}" for one in theirs) or "none"
        raise ValueError(f"like {path}: made with other adapters, {words}; load the model with those")
    if given.get("model") != model.fingerprint:
        raise ValueError(f"like {path}: made by another model ({given.get('run')}), not by {folder}")
    if given.get("stages", []) != [*stages]:
        raise ValueError(
            f"like {path}: made with other stages of a cascade, or asked otherwise, than {folder}'s"
        )
    if "restored" in given or "strength" in given:
        raise ValueError(f"like {path}: made from a picture, which it does not hold; give that one again")
    names = [field.name for field in fields(Asked)]
    try:
        made = Made.model_validate({name: given.get(name) for name in Made.model_fields})
        values = json.dumps({name: given[name] for name in names if name in given})
        return made, TypeAdapter(Asked).validate_json(values)
    except ValidationError as error:
        raise ValueError(f"like {path}: {first_line(error)}") from None
