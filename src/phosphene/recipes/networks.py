"""The sections of networks."""

from typing import Annotated, Literal

from pydantic import Field

from phosphene.recipes.section import Count, Settings, Share


class UNetSettings(Settings):
    """width: channels at full size. multipliers: of the width, a level each; None chooses by picture size.

    blocks: layers a level, one number or one a level, 0 for none: most at low resolution, [0, 2, 4, 8] with
    scaled_skips, is Imagen's efficient U-Net. attention: picture sizes, in pixels, at which the network
    attends. head_width: channels a head.
    """

    kind: Literal["unet"] = "unet"
    width: Count = 64
    multipliers: tuple[Count, ...] | None = None
    blocks: Count | tuple[Annotated[int, Field(ge=0)], ...] = 2
    scaled_skips: bool = False
    attention: tuple[Count, ...] = (16, 8)
    head_width: Count | None = 32
    dropout: Share = 0.0
    scale_shift: bool = True


class TransformerSettings(Settings):
    """width, depth, head_width: of the layers. patch: pixels a side of one position. token_depth: layers in
    which a caption's tokens attend to each other first. shared_modulation: what noise and caption change in
    the layers is computed once for all of them, which saves weights.
    """

    kind: Literal["transformer"] = "transformer"
    width: Count = 256
    depth: Count = 8
    head_width: Count = 64
    patch: Count = 2
    dropout: Share = 0.0
    token_depth: Annotated[int, Field(ge=0)] = 0
    shared_modulation: bool = False


class ClipSettings(Settings):
    """A CLIP: two towers that say whether a picture and a text belong together; it makes no pictures.

    width: channels of the first stage, at half the size. multipliers: of the width, a stage each, of which
    every one halves the picture; None chooses by picture size. blocks: a stage. text_width, head_width: of
    the text tower. embedding: numbers of a picture's or a text's vector. dropout: before either one.
    """

    kind: Literal["clip"] = "clip"
    width: Count = 64
    multipliers: tuple[Count, ...] | None = None
    blocks: Count = 1
    text_width: Count = 256
    head_width: Count = 32
    embedding: Count = 128
    dropout: Share = 0.0
