"""`phosphene explain`: runs a lesson and writes its page."""

from pathlib import Path
from typing import Annotated

import typer


def explain(
    name: Annotated[
        str | None,
        typer.Argument(help="Which lesson, or all; without it, a list.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A value of the lesson: name=value; may be repeated.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the page goes; for all, a folder.", show_default="NAME.html; lessons"),
    ] = None,
    notebook: Annotated[
        Path | None,
        typer.Option(help="Write it as a Jupyter notebook instead.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Explain how diffusion works: a page whose pictures and numbers are made while you wait."""
    from phosphene.cli import lessons

    if name is None:
        lessons.listed()
    elif name == lessons.ALL:
        if settings or notebook is not None:
            raise ValueError("all: takes no --set and no --notebook; name a lesson")
        lessons.explain_all(out or Path("lessons"), quiet)
    elif notebook is not None:
        lessons.write_notebook(name, notebook)
    else:
        lessons.explain(name, settings or [], out or Path(f"{name}.html"), quiet)
