"""Tasks: what a model is shown of a picture, from which it makes the picture."""

from typing import Annotated, Literal

from pydantic import Field

from phosphene.recipes.section import Positive, Settings, Share


class NoTask(Settings):
    """Pictures from nothing but noise, and what is asked in words and labels."""

    kind: Literal["none"] = "none"


class InpaintingTask(Settings):
    """A picture with a part missing, and which: strokes, boxes and borders are hidden in training. fill: what
    is shown in their place, grey or what continues the rim smoothly."""

    kind: Literal["inpainting"] = "inpainting"
    fill: Literal["grey", "smooth"] = "grey"


class SuperResolutionTask(Settings):
    """A smaller picture. factor: by which; augmentation: the most noise that training lays on it, as a share
    of the way from picture to noise, uniform from none; the network is told how much."""

    kind: Literal["super_resolution"] = "super_resolution"
    factor: Literal[2, 4, 8] = 4
    augmentation: Share = 0.5


class ColouringTask(Settings):
    """A grey picture."""

    kind: Literal["colouring"] = "colouring"


class DeblurringTask(Settings):
    """A blurred picture. deviation: of the widest Gaussian, in pixels."""

    kind: Literal["deblurring"] = "deblurring"
    deviation: Positive = 2.0


class DenoisingTask(Settings):
    """A noisy picture. noise: the largest deviation, of values in [-1, 1]."""

    kind: Literal["denoising"] = "denoising"
    noise: Positive = 0.5


class EditingTask(Settings):
    """The picture that another was made from, by an instruction or without one: `data.pairs`."""

    kind: Literal["editing"] = "editing"


TaskSettings = Annotated[
    NoTask
    | InpaintingTask
    | SuperResolutionTask
    | ColouringTask
    | DeblurringTask
    | DenoisingTask
    | EditingTask,
    Field(discriminator="kind"),
]
TASKS = {
    "none": NoTask,
    "inpainting": InpaintingTask,
    "super_resolution": SuperResolutionTask,
    "colouring": ColouringTask,
    "deblurring": DeblurringTask,
    "denoising": DenoisingTask,
    "editing": EditingTask,
}
