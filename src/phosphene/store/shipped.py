"""Models that come with the package: small ones, asked for by name right after installing.

Each is a model folder in float16 with its recipe and, in shipped.json, what it is, its licence and what it
reached. A wheel carries them as phosphene/shipped; in a checkout they are the repository's models/.
"""

import json
from pathlib import Path

from pydantic import ValidationError

from phosphene.recipes.settings import Count, Settings, first_line
from phosphene.store import clip, model
from phosphene.store.model import CARD, CONFIG

ABOUT, RECIPE = "shipped.json", "recipe.toml"
PACKAGE = Path(__file__).parents[1] / "shipped"
CHECKOUT = Path(__file__).parents[3] / "models"
LARGEST = 16 * 10**6  # bytes of a model's weights


class Score(Settings):
    """A figure with its interval of 95%. of: pictures it was measured on; target: what was aimed at."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    of: Count
    target: float | None = None
    unit: str = "%"

    @property
    def between(self) -> str:
        """The figure and the ends of its interval, as tables show them."""
        ends = "" if self.low is None or self.high is None else f" ({self.low:.4g} to {self.high:.4g})"
        return f"{self.value:.4g}{self.unit}{ends}"


class About(Settings):
    """What a shipped model is. example: a command that shows it. measured: how the scores were. ranker: the
    shipped CLIP that chooses among its candidates where no other is given."""

    about: str
    licence: str
    example: str = ""
    measured: str = ""
    ranker: str | None = None
    scores: tuple[Score, ...] = ()


def place() -> Path:
    """Where shipped models lie."""
    return PACKAGE if PACKAGE.is_dir() else CHECKOUT


def names() -> tuple[str, ...]:
    """The models that are there."""
    return tuple(sorted(path.parent.name for path in place().glob(f"*/{CONFIG}")))


def named(folder: Path) -> str | None:
    """The name of a shipped model's folder: it holds on every machine, where the place does not."""
    return folder.name if folder.parent == place() and folder.name in names() else None


def about(name: str) -> About:
    """What is said of a model. Raises ValueError for a file that does not say it."""
    path = place() / name / ABOUT
    try:
        return About.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return About(about="", licence="")
    except ValidationError as error:
        raise ValueError(f"{path}: {first_line(error)}") from None


def ship(folder: Path, out: Path, recipe: str, told: About) -> None:
    """Writes a model folder in float16, its first average only, with its recipe and what is said of it.

    Raises ValueError for one that is too large to be shipped.
    """
    read = clip.load(folder) if clip.is_clip(folder) else model.load(folder)
    weights = read.network.state_dict()
    size = 2 * sum(weight.numel() for weight in weights.values())
    if size > LARGEST:
        raise ValueError(f"{folder}: {size:,} bytes in float16; at most {LARGEST:,} are shipped")
    header = read.header.model_copy(update={"ema": read.header.ema[:1]})
    card = (folder / CARD).read_text("utf-8") + _scores(told)
    more = {ABOUT: to_json(told), RECIPE: recipe}
    model.save(out, header, read.config, weights, card, half=True, more=more)


def to_json(told: About) -> str:
    """shipped.json."""
    return json.dumps(told.model_dump(mode="json", exclude_none=True), indent=2) + "\n"


def _scores(told: About) -> str:
    """The end of the card."""
    rows = [
        f"| {one.name} | {one.between} | {'' if one.target is None else f'{one.target:g}'} | {one.of:,} |"
        for one in told.scores
    ]
    table = "\n".join(["| | reached (95%) | target | of |", "|---|---|---|---|", *rows])
    return f"""
## Scores

{told.about}. Weights in float16. {told.measured}

{table}

Licence: {told.licence}
"""
