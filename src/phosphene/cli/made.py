"""`phosphene data`: makes a data set with exact answers."""

from pathlib import Path
from typing import Annotated

import typer


def data(
    name: Annotated[
        str | None, typer.Argument(help="Which set; without it, all are listed.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for it.", show_default="data/NAME")] = None,
    count: Annotated[int | None, typer.Option(help="Pictures.", show_default="the set's")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side.", show_default="the set's")] = None,
    seed: Annotated[int, typer.Option(help="Picture i depends on (seed, i) alone.")] = 0,
    held_out: Annotated[float, typer.Option(help="Share kept from training.")] = 0.1,
    edits: Annotated[
        bool, typer.Option("--edits", help="Edit triples: a picture, an instruction, the picture changed.")
    ] = False,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="Folder with the fonts or wallpapers; again for more.",
            show_default="Debian's packages",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Make a data set whose captions and facts are exact.

    shapes and faces are drawn here. emoji, glyphs and photos are made of Debian's fonts and wallpapers, which
    are fetched unless --from names a folder.
    """
    from phosphene.cli import making

    if name is None:
        making.sets()
        return
    try:
        folder = making.make(
            name,
            out=out,
            count=count,
            size=size,
            seed=seed,
            held_out=held_out,
            edits=edits,
            folders=folders or (),
            progress=not quiet,
        )
    except KeyboardInterrupt:
        typer.echo("stopped; nothing was written", err=True)
        raise typer.Exit(130) from None
    making.made(folder)
