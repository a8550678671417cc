"""Questions that begin with a picture: what a model that was trained for them is shown, or what goes around
sampling of one that was not. A question says what its request shows, and what goes around the sampler."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from phosphene.diffusion.measurement import Mask, Measurement, blur, downsampling, grey
from phosphene.families import opened
from phosphene.families.around import Around
from phosphene.families.opened import Given
from phosphene.families.options import BATCH
from phosphene.families.placed import Placed, placed
from phosphene.families.ready import Ready
from phosphene.families.restoring import Restoring
from phosphene.families.shown import Consistent, Lit, Tiled, finishing
from phosphene.pictures.fitting import to_mode
from phosphene.recipes.tasks import (
    ColouringTask,
    DeblurringTask,
    DenoisingTask,
    InpaintingTask,
    SuperResolutionTask,
    TaskSettings,
)
from phosphene.tasks.sight import Shown

TRAINED = "trained"
FREE = "pigdm"  # sound of any network, and a quarter of the cost of mmps (LOG.md)
KINDS = {ColouringTask: "colouring", DeblurringTask: "deblurring", DenoisingTask: "denoising"}


class Question(NamedTuple):
    """What a request shows, if anything, and what goes around the sampler. placed: the larger picture that
    what is made is put back into, if there is one."""

    shown: Shown | None
    around: Around
    placed: Placed | None = None


def chosen(ready: Ready, kind: type | tuple[type, ...], method: str | None, what: str) -> str:
    """The method: the trained way of a model that was trained for this, else one without training.

    Raises ValueError for a trained way that the model has not, and for a model that was trained to see
    another kind of picture.
    """
    task = ready.model.header.task
    can = isinstance(task, kind)
    if method is None:
        method = TRAINED if can else FREE
    if method == TRAINED and not can:
        raise ValueError(
            f"method 'trained': this model was not trained for {what}; mmps, pigdm and repaint do"
        )
    if not can:
        refuse_shown(ready, what)
    if can and method != TRAINED:
        raise ValueError(f"method {method!r}: this model was trained for {what}; leave the method out")
    return method


def refuse_shown(ready: Ready, what: str) -> None:
    """Raises ValueError for a model that was trained to see a picture, of another kind than this."""
    if ready.task.sight is not None:
        kind = ready.model.header.task.kind.replace("_", "-")
        raise ValueError(f"this model was trained for {kind}, not for {what}: {ready.task.sight.ask}")


def inpainting(
    ready: Ready, image: Given, mask: Given, method: str | None, crop: int | None = None
) -> Question:
    """A picture whose white parts of the mask are made anew, in a square of it that holds them all."""
    method = chosen(ready, InpaintingTask, method, "inpainting")
    given = opened.picture("image", image, ready.channels)
    whole = placed(given, opened.mask(mask, given.size), crop)
    picture = opened.values(opened.fitted(whole.shown(given), ready.size))
    keep = whole.known(ready.size)
    if method == TRAINED:
        return Question(Shown(picture, keep), finishing(ready), whole)
    return Question(None, Restoring(Mask(keep), keep * picture, method), whole)


def upscaling(
    ready: Ready,
    image: Given,
    factor: int | None,
    method: str | None,
    augmentation: float | None,
    overlap: int | None,
    batch: int | None,
) -> Question:
    """A picture so many times as large: of any size by a model that was trained for it, of one size else."""
    method = chosen(ready, SuperResolutionTask, method, "super-resolution")
    task, size = ready.model.header.task, ready.size
    small = opened.values(opened.picture("image", image, ready.channels))
    height, width = small.shape[1:]
    if not isinstance(task, SuperResolutionTask):
        refuse_given("augmentation", augmentation, "a model that was trained for super-resolution")
        refuse_given("overlap", overlap, "a model that was trained for super-resolution")
        factor = 4 if factor is None else factor
        measurement = downsampling(ready.channels, size, size, factor)
        if (height, width) != (size // factor, size // factor):
            side = size // factor
            raise ValueError(
                f"image: {width}x{height} pixels; without training for it this model makes {size}x{size}, of "
                f"{side}x{side} at factor {factor}"
            )
        return Question(None, Restoring(measurement, small, method))
    if factor not in (None, task.factor):
        raise ValueError(f"factor {factor}: this model was trained for factor {task.factor}")
    shows = ready.task.sight
    assert shows is not None
    level = shows.usual if augmentation is None else augmentation
    if not 0 <= level <= task.augmentation:
        raise ValueError(f"augmentation {level}: this model was trained from 0 to {task.augmentation}")
    around = Consistent(size, overlap, batch or BATCH, (height, width), task.factor)
    return Question(Shown(padded(small, size // task.factor), level=level), around)


def restoring(
    ready: Ready,
    image: Given,
    what: str | None,
    method: str | None,
    strength: float | None,
    overlap: int | None = None,
    batch: int | None = None,
) -> Question:
    """A grey picture coloured, a blurred one sharpened, a noisy one cleaned: of any size by a model that was
    trained for it, else its middle square."""
    task = ready.model.header.task
    if what is None:
        what = KINDS.get(type(task))
        if what is None:
            refuse_shown(ready, "restoring")
        if what is None:
            raise ValueError(
                f"what: this model was not trained for one; give one of {', '.join(KINDS.values())}"
            )
    kinds: dict[str, type[TaskSettings]] = {name: kind for kind, name in KINDS.items()}
    if what not in kinds:
        raise ValueError(f"what {what!r}: accepted are {', '.join(kinds)}")
    method = chosen(ready, kinds[what], method, what)
    given = to_mode(opened.opened("image", image), "L") if what == "colouring" else image
    given = opened.picture("image", given, 1 if what == "colouring" else ready.channels)
    if method == TRAINED:
        refuse_given("strength", strength, f"a model that was not trained for {what}, which sees it")
        grey = opened.values(given) if what == "colouring" else None
        shown = opened.values(given if grey is None else opened.narrowed(given, ready.size))
        cut = ready.size, overlap, batch or BATCH, (shown.shape[1], shown.shape[2])
        return Question(
            Shown(padded(shown, ready.size)), Tiled(*cut) if grey is None else Lit(*cut, grey=grey)
        )
    refuse_given("overlap", overlap, f"a model that was trained for {what}")
    picture = opened.values(opened.fitted(given, ready.size))
    measurement, noise = measured(what, ready.channels, ready.size, strength)
    if noise and method == "repaint":
        raise ValueError(f"method 'repaint': it takes no noise, which {what} has; mmps and pigdm do")
    return Question(None, Restoring(measurement, picture, method, noise))


def measured(what: str, channels: int, size: int, strength: float | None) -> tuple[Measurement, float]:
    """What was done to a picture, and the deviation of the noise on it. strength: of blur in pixels, or of
    noise."""
    if what == "colouring":
        refuse_given("strength", strength, "deblurring and denoising")
        if channels != 3:
            raise ValueError(
                f"what 'colouring': it is of pictures in RGB, this model's have {channels} channels"
            )
        return grey(size, size), 0.0
    if what == "deblurring":
        width = 1.0 if strength is None else strength
        if not 0 < width < math.inf:
            raise ValueError(f"strength {width}: give the blur's deviation in pixels, above 0")
        # Bytes are exact to half a bin only, and a blur takes away more than that tells.
        return blur(channels, size, size, width), 1 / 128
    noise = 0.2 if strength is None else strength
    if not 0 <= noise < math.inf:
        raise ValueError(f"strength {noise}: give the noise's deviation, 0 or more")
    return Mask(torch.ones(channels, size, size)), noise


def padded(small: Tensor, least: int) -> Tensor:
    """At least so many pixels a side: the last row and column again and again."""
    more = [max(least - side, 0) for side in small.shape[1:]]
    return functional.pad(small[None], (0, more[1], 0, more[0]), mode="replicate")[0]


def refuse_given(field: str, value: float | int | None, of: str) -> None:
    """Raises ValueError for an option that another kind of question has."""
    if value is not None:
        raise ValueError(f"{field} {value}: it is an option of {of}; leave it out")
