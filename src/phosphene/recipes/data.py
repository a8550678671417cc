"""Where a recipe's pictures come from, and what is made of them before they are learned."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from phosphene.recipes.section import Count, Settings, Share

AUTO = "auto"


class DataSettings(Settings):
    """source: a folder of pictures, shards, hub:OWNER/NAME or the name of a bundled set.

    size: pixels a side; None lets the data decide. fit: cut the longer side or pad the shorter.

    channels: keep what the files have, or one of L, RGB, RGBA. held_out: the share never trained on.
    flip: mirror half of the pictures. augment: the probability of EDM's augmentations, told to the network.
    text: the language model through which captions are learned: minilm, a folder of transformers or a name in
    the hub's cache; none; or auto, which a run replaces by its choice.

    stream: decode pictures while training, each time anew, instead of all of them once before it.
    text_column, label_column, image_column: the fields of metadata or columns of the hub that hold captions,
    classes, and pictures or their names; the usual ones if None.
    classes: those that labels are of, in this order, as a model that training begins from knows them; none
    are those that are found.

    pairs: learn edits: of a pair of pictures the network is given the first and makes the second.
    before_column: the field that names the first, the usual ones if None.
    """

    source: str = ""
    size: Count | None = None
    fit: Literal["crop", "pad"] = "crop"
    channels: Literal["keep", "L", "RGB", "RGBA"] = "keep"
    held_out: Share = 0.05
    flip: bool = False
    augment: Annotated[float, Field(ge=0, le=1)] = 0.0
    text: Annotated[str, Field(min_length=1)] | None = AUTO
    stream: bool = False
    text_column: str | None = None
    label_column: str | None = None
    image_column: str | None = None
    classes: tuple[str, ...] | None = None
    pairs: bool = False
    before_column: str | None = None

    @model_validator(mode="after")
    def _pairs_stay_pairs(self) -> "DataSettings":
        for name in ("flip", "augment") if self.pairs else ():
            if value := getattr(self, name):
                raise ValueError(
                    f"{name} {value}: not with pairs, whose pictures stay as they are; leave it out"
                )
        return self
