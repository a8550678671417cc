"""`phosphene sample`: pictures that a model makes."""

from pathlib import Path
from typing import Annotated

import typer

from phosphene.cli.asking import RUN, Asking, BestOf, Clip, ClipStrength, Ranker, Scorer, asking, in_turn


@asking
def sample(
    run: Annotated[str | None, RUN] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many.", show_default="16; 1 with --like")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A class; given several times, in turn.", show_default=False)
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="In words; given several times, in turn.", show_default=False)
    ] = None,
    negative: Annotated[
        list[str] | None, typer.Option(help="What guidance leads away from, in words.", show_default=False)
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Make this PNG of phosphene's again.", show_default=False)
    ] = None,
    best_of: BestOf = None,
    ranker: Ranker = None,
    scorer: Scorer = None,
    clip: Clip = None,
    clip_strength: ClipStrength = None,
    *,
    asked: Asking,
) -> None:
    """Make pictures: a sheet, and a PNG of each with its settings inside."""
    model = asked.load(run, like)
    count = n or (1 if like else 16)
    asked.make(
        model,
        count,
        lambda how: model.sample(
            n if n is not None else count,
            label=in_turn(label, count),
            prompt=in_turn(prompt, count),
            negative=in_turn(negative, count),
            like=like,
            best_of=best_of,
            ranker=ranker,
            scorer=scorer,
            clip=clip,
            clip_strength=clip_strength,
            **how,
        ),
    )
