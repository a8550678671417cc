"""What a run writes besides its log: checkpoints, the model as it is now, the best model so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from phosphene import files
from phosphene.networks.count import parameters
from phosphene.networks.lora import Adapted
from phosphene.store import adapter, card, model
from phosphene.training import assemble, checkpoint
from phosphene.training.folder import RunFolder
from phosphene.training.metrics import append
from phosphene.training.trainer import Trainer
from phosphene.version import __version__


def save(trainer: Trainer, folder: RunFolder) -> None:
    """A checkpoint, and the model as it is now. Raises OSError, the run as it was, if the disk is full."""
    checkpoint.save(folder.state, trainer.step, trainer.tensors(), trainer.facts())
    shipped, *lengths = trainer.recipe.training.ema
    others = {length: trainer.averages.weights(length) for length in lengths}
    write(trainer, folder.model, header(trainer, trainer.step), trainer.averages.weights(shipped), others)


def save_best(trainer: Trainer, folder: RunFolder, step: int, measured: Mapping[str, float]) -> None:
    """The model that was measured after so many steps: the averaged weights that the shadow holds."""
    said = header(trainer, step, measured)
    said = said.model_copy(update={"ema": said.ema[:1]})
    write(trainer, folder.best, said, trainer.shadow.network.state_dict())


def write(
    trainer: Trainer,
    folder: Path,
    said: model.AnyHeader,
    weights: Mapping[str, Tensor],
    others: Mapping[float, Mapping[str, Tensor]] | None = None,
) -> None:
    """What a run makes: a model; or an adapter, of the first length alone, where only a change is learned."""
    learns = trainer.network
    if not isinstance(learns, Adapted):
        model.save(folder, said, trainer.config, weights, words(trainer, said), others)
        return
    base = trainer.recipe.base
    assert base.model is not None
    assert base.fingerprint is not None
    assert base.rank is not None
    adapts = adapter.AdapterHeader(
        base=model.called(Path(base.model)),
        fingerprint=base.fingerprint,
        rank=base.rank,
        alpha=base.alpha,
        size=said.size,
        channels=said.channels,
        ema=said.ema[0],
        provenance=said.provenance,
    )
    card_ = card.of_adapter(adapts, trainer.recipe, len(trainer.dataset.pictures), parameters(learns))
    adapter.save(folder, adapts, learns.named(weights), card_)


def best(folder: RunFolder) -> tuple[int, Mapping[str, float]] | None:
    """The step of the best model so far, and what was measured of it; None where there is none."""
    place = files.standing(folder.best)
    if (place / adapter.CONFIG).is_file():
        origin = adapter.read_header(place).provenance
    elif (place / model.CONFIG).is_file():
        origin = model.read_provenance(place)
    else:
        return None
    return None if origin is None else (origin.step, origin.measured)


@dataclass(frozen=True)
class Summary:
    """What measuring a run came to: whole measurements of this process, and the share of the run's time.

    best: the step of the best model, and what was measured of it.
    """

    count: int
    share: float
    best: tuple[int, Mapping[str, float]] | None


def summary(trainer: Trainer, folder: RunFolder, count: int) -> Summary | None:
    """After so many measurements. None for a run of no steps."""
    if not trainer.elapsed:
        return None
    return Summary(count, trainer.horizon.measuring.spent / trainer.elapsed, best(folder))


def note_share(trainer: Trainer, folder: RunFolder) -> None:
    """Says in the log what measuring came to, measurements that did not end included."""
    if trainer.elapsed:
        share = round(trainer.horizon.measuring.spent / trainer.elapsed, 5)
        append(folder.metrics, {"step": trainer.step, "measuring_share": share})


def header(trainer: Trainer, step: int, measured: Mapping[str, float] | None = None) -> model.AnyHeader:
    """config.json of the run's model after so many steps."""
    provenance = model.Provenance(
        version=__version__,
        recipe=trainer.recipe.name,
        data=Path(trainer.recipe.data.source).name,  # the rest of a path is nobody's business
        fingerprint=trainer.dataset.fingerprint,
        seed=trainer.recipe.training.seed,
        step=step,
        images=step * trainer.recipe.training.batch,
        seconds=round(trainer.elapsed, 1),
        measured=dict(measured or {}),
    )
    return assemble.header(trainer.recipe, trainer.dataset, trainer.task.text).model_copy(
        update={"provenance": provenance}
    )


def words(trainer: Trainer, said: model.AnyHeader) -> str:
    """The model card."""
    return card.write(said, trainer.recipe, len(trainer.dataset.pictures), parameters(trainer.network))
