"""`phosphene cascade`: a base and models that make its pictures larger, as one model."""

from pathlib import Path
from typing import Annotated

import typer


def cascade(
    models: Annotated[
        list[str],
        typer.Argument(help="The base, then super-resolution, one after the other.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The cascade's folder.", show_default=False)],
    solver: Annotated[
        list[str] | None, typer.Option(help="Of each stage in turn.", show_default="the recipes'")
    ] = None,
    steps: Annotated[
        list[int] | None, typer.Option(help="Of each stage in turn.", show_default="the recipes'")
    ] = None,
    grid: Annotated[
        list[str] | None, typer.Option(help="Of each stage in turn.", show_default="the recipes'")
    ] = None,
    guidance: Annotated[
        list[float] | None, typer.Option(help="Of each stage in turn.", show_default="the recipes'")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="Of each stage in turn: none, clip or dynamic.", show_default="the recipes'"),
    ] = None,
    augmentation: Annotated[
        list[float] | None,
        typer.Option(help="Noise on what each further stage is shown, a share, in turn.", show_default="0.1"),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The models that measured best in training, not the last.")
    ] = False,
) -> None:
    """Put models together so that one call of phosphene sample makes the large picture.

    The folder's stages are model folders like any other; each may be replaced.
    """
    from phosphene.cli import show
    from phosphene.families import cascading

    made = cascading.cascade(
        models,
        out=out,
        solver=solver or (),
        steps=steps or (),
        grid=grid or (),
        guidance=guidance or (),
        threshold=threshold or (),
        augmentation=augmentation or (),
        best=best,
    )
    show.lines(f"wrote {made}", f"next: phosphene sample {made}")
