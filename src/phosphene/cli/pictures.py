"""`phosphene inpaint`, `upscale`, `restore` and `edit`: pictures made from a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phosphene.cli.asking import RUN, Asking, asking, in_turn

if TYPE_CHECKING:
    from phosphene.families.options import Options
    from phosphene.families.sampled import Sampled

Image = Annotated[Path, typer.Option(help="The picture.", show_default=False)]
Count = Annotated[int, typer.Option("-n", help="How many.")]
Label = Annotated[
    list[str] | None, typer.Option(help="A class; given several times, in turn.", show_default=False)
]
Prompt = Annotated[
    list[str] | None, typer.Option(help="In words; given several times, in turn.", show_default=False)
]
Negative = Annotated[
    list[str] | None, typer.Option(help="What guidance leads away from, in words.", show_default=False)
]
Method = Annotated[
    str | None,
    typer.Option(
        help="mmps, pigdm or repaint: of a model that was not trained for it.",
        show_default="trained if it was, else pigdm",
    ),
]


Overlap = Annotated[
    int | None, typer.Option(help="Pixels that tiles share.", show_default="a quarter of a tile")
]


def say_what_is_cut(image: Path, size: int, part: str | None = None) -> None:
    """That a picture is not asked about as it is."""
    from phosphene.families.opened import opened

    width, height = opened("image", image).size
    if (width, height) != (size, size):
        part = part or ("it" if width == height else "its middle square")
        print(f"{image}: {width}x{height} pixels; {part} is taken at {size}x{size}, the model's size")


@asking
def inpaint(
    run: Annotated[str, RUN],
    image: Image,
    mask: Annotated[Path, typer.Option(help="As large: white where it is made anew.", show_default=False)],
    n: Count = 1,
    label: Label = None,
    prompt: Prompt = None,
    negative: Negative = None,
    method: Method = None,
    crop: Annotated[
        int | None,
        typer.Option(help="See so many pixels around the mask alone.", show_default="the largest square"),
    ] = None,
    *,
    asked: Asking,
) -> None:
    """Make a part of a picture anew; outside the mask it stays what it was, exactly.

    The picture may be of any size; the model sees a square of it at its own size.
    """
    model = asked.load(run)
    say_what_is_cut(image, model.size, "a square that holds the mask")
    asked.make(
        model,
        n,
        lambda how: model.inpaint(
            image,
            mask,
            n=n,
            label=in_turn(label, n),
            prompt=in_turn(prompt, n),
            negative=in_turn(negative, n),
            method=method,
            crop=crop,
            **how,
        ),
    )


@asking
def upscale(
    run: Annotated[str, RUN],
    image: Image,
    factor: Annotated[
        int | None, typer.Option(help="How many times as large.", show_default="the model's, else 4")
    ] = None,
    n: Count = 1,
    label: Label = None,
    prompt: Prompt = None,
    negative: Negative = None,
    method: Method = None,
    augmentation: Annotated[
        float | None,
        typer.Option(help="Share of noise laid on the picture; more invents more.", show_default="0.1"),
    ] = None,
    overlap: Overlap = None,
    *,
    asked: Asking,
) -> None:
    """Make a picture larger; what is made shrinks to the picture it was made from.

    A model that was trained for it takes pictures of any size, tile by tile.
    """
    model = asked.load(run)
    asked.make(
        model,
        n,
        lambda how: model.upscale(
            image,
            factor=factor,
            n=n,
            label=in_turn(label, n),
            prompt=in_turn(prompt, n),
            negative=in_turn(negative, n),
            method=method,
            augmentation=augmentation,
            overlap=overlap,
            **how,
        ),
    )


@asking
def restore(
    run: Annotated[str, RUN],
    image: Image,
    what: Annotated[
        str | None,
        typer.Option(help="colouring, deblurring or denoising.", show_default="what it was trained for"),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            help="Without training: of blur in pixels, of noise as a deviation.", show_default="1; 0.2"
        ),
    ] = None,
    n: Count = 1,
    label: Label = None,
    prompt: Prompt = None,
    negative: Negative = None,
    method: Method = None,
    overlap: Overlap = None,
    *,
    asked: Asking,
) -> None:
    """Colour a grey picture, sharpen a blurred one, clean a noisy one.

    A model that was trained for it takes pictures of any size; another the middle square at its size.
    """
    model = asked.load(run)
    if model.task.sight is None:
        say_what_is_cut(image, model.size)
    asked.make(
        model,
        n,
        lambda how: model.restore(
            image,
            what=what,
            strength=strength,
            n=n,
            label=in_turn(label, n),
            prompt=in_turn(prompt, n),
            negative=in_turn(negative, n),
            method=method,
            overlap=overlap,
            **how,
        ),
    )


@asking
def edit(
    run: Annotated[str, RUN],
    image: Image,
    prompt: Prompt = None,
    strength: Annotated[
        float | None,
        typer.Option(
            help="Share of noise laid on the picture, of a model not trained for editing.", show_default="0.5"
        ),
    ] = None,
    image_guidance: Annotated[
        list[float] | None,
        typer.Option(
            help="How much of the picture stays, of a model trained for editing.", show_default="the recipe's"
        ),
    ] = None,
    n: Count = 1,
    label: Label = None,
    negative: Negative = None,
    *,
    asked: Asking,
) -> None:
    """Change a picture: by an instruction, or towards a description.

    The picture is its middle square at the model's size.
    """
    model = asked.load(run)
    say_what_is_cut(image, model.size)

    def edited(how: "Options") -> "Sampled":
        how["image_guidance"] = in_turn(image_guidance, n)
        return model.edit(
            image,
            n=n,
            label=in_turn(label, n),
            prompt=in_turn(prompt, n),
            negative=in_turn(negative, n),
            strength=strength,
            **how,
        )

    asked.make(model, n, edited)
