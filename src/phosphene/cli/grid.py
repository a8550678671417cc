"""`phosphene grid` and `phosphene interpolate`: what a setting, a word, a seed does to a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phosphene.cli.asking import RUN, Asking, BestOf, Clip, ClipStrength, Ranker, Scorer, asking
from phosphene.cli.pictures import say_what_is_cut

if TYPE_CHECKING:
    from phosphene.families.options import Options
    from phosphene.families.sampled import Sampled

AXIS = "KNOB=VALUE,VALUE,...: any knob of sample or edit, or run, ema, precision, adapter."


@asking
def grid(
    run: Annotated[str, RUN],
    x: Annotated[str | None, typer.Option(help=f"To the right. {AXIS}", show_default=False)] = None,
    y: Annotated[str | None, typer.Option(help="Downwards.", show_default=False)] = None,
    z: Annotated[str | None, typer.Option(help="A page each.", show_default=False)] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="In words; braces hold alternatives: 'a {red,blue} circle'.", show_default=False),
    ] = None,
    label: Annotated[str | None, typer.Option(help="A class.", show_default=False)] = None,
    negative: Annotated[
        str | None, typer.Option(help="What guidance leads away from, in words.", show_default=False)
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Change this picture in every cell, as edit does.", show_default=False)
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="Share of noise laid on --image.", show_default="0.5")
    ] = None,
    image_guidance: Annotated[
        float | None, typer.Option(help="How much of --image stays.", show_default="the recipe's")
    ] = None,
    clip: Clip = None,
    clip_strength: ClipStrength = None,
    best_of: BestOf = None,
    ranker: Ranker = None,
    scorer: Scorer = None,
    *,
    asked: Asking,
) -> None:
    """Make a labelled sheet: a picture for each combination of the values of up to three settings.

    Each cell is the very picture that sample (or edit, with --image) gives with its settings. Alternatives in
    a prompt are axes too: they show what a word changes under one seed.
    """
    from phosphene.families.axes import parse

    axes = {name: parse(text) for name, text in (("x", x), ("y", y), ("z", z)) if text is not None}
    model = asked.load(run)
    if image is not None:
        say_what_is_cut(image, model.size)
    pairs = {name: (axis.knob, axis.values) for name, axis in axes.items()}

    def cells(how: "Options") -> "Sampled":
        if image_guidance is not None:
            how["image_guidance"] = image_guidance
        return model.grid(
            **pairs,
            prompt=prompt,
            label=label,
            negative=negative,
            image=image,
            strength=strength,
            clip=clip,
            clip_strength=clip_strength,
            best_of=best_of,
            ranker=ranker,
            scorer=scorer,
            **how,
        )

    asked.make(model, 1, cells)


@asking
def interpolate(
    run: Annotated[str, RUN],
    n: Annotated[int, typer.Option("-n", help="Pictures on the way, its ends included.")] = 17,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds that it leads through: 0,7.", show_default=False)
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="In words; again for the next place.", show_default=False)
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A class; again for the next place.", show_default=False)
    ] = None,
    negative: Annotated[
        str | None, typer.Option(help="What guidance leads away from, in words.", show_default=False)
    ] = None,
    *,
    asked: Asking,
) -> None:
    """Make the pictures on the way between seeds, prompts or labels: a labelled strip and a film."""
    from phosphene.families.axes import parse

    through = parse(f"seed={seeds}").values if seeds is not None else ()
    if None in through:
        raise ValueError(f"seeds {seeds}: a way leads through numbers; give some, 0,7")
    model = asked.load(run)
    asked.make(
        model,
        1,
        lambda how: model.interpolate(
            n, seeds=through, prompt=prompt or (), label=label or (), negative=negative, **how
        ),
    )
