"""A run on disk.

runs/NAME/
  recipe.toml   everything that defines the run
  model/        what is sampled, served, shared
  best/         the model whose measured figure is best so far
  state/        what resume needs
  log/          metrics.jsonl, and events for TensorBoard
  samples/      step-XXXXXX.png: the same seeds at each measurement
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from phosphene import files
from phosphene.families.place import BEST
from phosphene.recipes.settings import Recipe, from_toml, to_toml

PARTS = (
    "recipe.toml",
    "model",
    "best",
    "state",
    "log",
    "samples",
    "report.html",
    "evaluation",
    "evaluation.json",
)


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what."""

    root: Path

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.toml"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def best(self) -> Path:
        return self.root / BEST

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def metrics(self) -> Path:
        return self.root / "log" / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    def read_recipe(self) -> Recipe:
        """Raises ValueError if there is no run here."""
        if not self.recipe.is_file():
            raise ValueError(f"{self.root}: no run here, a run folder holds recipe.toml")
        return from_toml(self.recipe.read_text(), str(self.recipe))

    def write_recipe(self, recipe: Recipe) -> None:
        files.write_atomic(self.recipe, to_toml(recipe))


def refuse_to_overwrite(root: Path, force: bool) -> None:
    """Raises ValueError where a new run may not be put: a run that is there is only replaced if forced to,
    and a folder that holds anything else never."""
    if root.exists() and not root.is_dir():
        raise ValueError(f"out {root}: this is a file; give a folder for the run")
    if RunFolder(root).recipe.exists():
        if not force:
            raise ValueError(
                f"out {root}: a run is here already; continue it with --resume {root}, "
                "replace it with --force, or choose another --out"
            )
    elif root.exists() and any(not path.name.startswith(files.WRITING) for path in root.iterdir()):
        raise ValueError(f"out {root}: the folder is not empty and holds no run; choose another --out")


def create(root: Path, recipe: Recipe, force: bool) -> RunFolder:
    """A new run's folder with its recipe. Raises ValueError where `refuse_to_overwrite` does."""
    refuse_to_overwrite(root, force)
    folder = RunFolder(root)
    if folder.recipe.exists():
        for part in reversed(PARTS):  # the recipe last: until then it is a run, and can be replaced
            path = root / part
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    files.sweep(root)
    folder.write_recipe(recipe)  # first: a folder with anything else in it is a run
    return folder
