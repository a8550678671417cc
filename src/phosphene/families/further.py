"""Further stages of a cascade: each makes the pictures of the one before it larger, with noise of its own."""

from collections.abc import Sequence
from dataclasses import replace

from phosphene.families.making import asking
from phosphene.families.options import Options
from phosphene.families.ready import Ready
from phosphene.families.sampled import Sampled
from phosphene.families.shown import Tiled
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.recipes.tasks import SuperResolutionTask
from phosphene.store.cascade import Stage
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown

STRIDE = 0x9E3779B97F4A7C15  # between the seeds of stages


def larger(
    made: Sampled, requests: Sequence[Request], stages: Sequence[tuple[Ready, Stage]], batch: int
) -> Sampled:
    """What the stages make of the base's pictures, one after the other, by the same seed and numbers.

    requests: what the base was asked for, labels by name. Each stage hears what it can.
    """
    evaluations, values = made.evaluations, made.values
    first = made.settings[0]
    for i, (stage, said) in enumerate(stages, 1):
        task, way = stage.model.header.task, stage.of_recipe(said.sampling)
        assert isinstance(task, SuperResolutionTask)
        around = Tiled(stage.size, batch=batch, factor=task.factor)
        filed = to_values(to_bytes(values))
        wishes = [
            stage.hearing(request, Shown(one, level=said.augmentation), way)
            for request, one in zip(requests, filed, strict=True)
        ]
        own = Options(seed=(first["seed"] + i * STRIDE) % 2**63, first=first["picture"], batch=batch)
        enlarged = asking(stage, wishes, around, way, own).all()
        evaluations, values = evaluations + enlarged.evaluations, enlarged.values
    return replace(made, values=values, evaluations=evaluations, seen=None)
