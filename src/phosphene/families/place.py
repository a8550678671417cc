"""Where a model is: in a run, in a folder of its own, in a pipeline of diffusers."""

from pathlib import Path

from phosphene import files
from phosphene.store import model, pipeline, shipped
from phosphene.store.model import Model

BEST = "best"
"""The folder of a run in which training keeps the model that measured best."""


def read(folder: Path, ema: float | None = None) -> Model:
    """The model in a folder that `find_model` found.

    Raises ValueError for one that is damaged, and for a length that it does not hold.
    """
    if not pipeline.is_unet(folder):
        return model.load(folder, ema)
    if ema is not None:
        raise ValueError(f"ema {ema}: {folder} is a model of diffusers, of one set of weights; leave it out")
    return pipeline.load(folder)


def find_model(place: Path | str, best: bool = False) -> Path:
    """The model folder of a run, of a model folder itself, of the run of this name below runs/, of the model
    of this name that comes with the package, or of a pipeline of diffusers. best: of a run, the model that
    measured best in training."""
    candidates = [Path(place), Path("runs") / place]
    if best:
        for folder in candidates:
            if (files.standing(folder / BEST) / model.CONFIG).is_file():
                return folder / BEST
        raise ValueError(
            f"best: {place} holds no best model; a run keeps one when it is measured, which takes some time "
            "and training.measure_share above 0"
        )
    if str(place) in shipped.names():
        candidates.append(shipped.place() / place)
    for folder in candidates:
        for found in (folder / "model", folder, folder / pipeline.UNET):
            if (files.standing(found) / model.CONFIG).is_file():
                return found
    if any(
        (found / "adapter.json").is_file() for folder in candidates for found in (folder / "model", folder)
    ):
        raise ValueError(
            f"{place}: an adapter, not a model; put it into one: phosphene merge MODEL {place} --out FOLDER"
        )
    if any((folder / "recipe.toml").is_file() for folder in candidates):
        raise ValueError(
            f"{place}: this run has not saved a model yet; go on with it: train --resume {place}"
        )
    having = f", or one that is shipped: {', '.join(shipped.names())}" if shipped.names() else ""
    raise ValueError(
        f"{place}: no run or model here; give a run's folder, its name, or a model folder{having}"
    )
