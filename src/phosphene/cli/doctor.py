"""`phosphene doctor`: what is known of a folder of pictures, before anything is trained on it."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    data: Annotated[
        str,
        typer.Argument(
            help="A folder of pictures or of shards, 'shards/{000..031}.tar', hub:OWNER/NAME, or digits.",
            show_default=False,
        ),
    ],
    size: Annotated[
        int | None, typer.Option(help="Pixels a side to train at.", show_default="from the data, 64 at most")
    ] = None,
    recipe: Annotated[str, typer.Option(help="A name (phosphene info recipes) or recipe.toml.")] = "flow",
    budget: Annotated[
        str | None, typer.Option(help="Time to spend on training: 90s, 30m, 2h.", show_default=False)
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report here.", show_default=False)] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write everything here, for scripts; - prints it.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write doctor.html and doctor.json in this folder.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="To propose a time for: auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of the CPU.", show_default=False)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress and print no findings.")] = False,
) -> None:
    """Examine a folder of pictures: what is wrong with it, and what to train on it.

    Counts, sizes, colours, captions, labels; unreadable files; copies and near copies; pictures unlike the
    rest; what cropping takes; whether there are enough; the recipe, the size and the time to train.

    Exit code: 0 healthy, 1 findings worth attention, 2 cannot be trained on or an error, 130 stopped.
    """
    from phosphene.cli import examining

    try:
        found = examining.examine(
            data,
            size=size,
            recipe=recipe,
            budget=budget,
            html=html,
            json=None if str(json) == "-" else json,
            out=out,
            device=device,
            threads=threads,
            progress=not quiet,
        )
    except KeyboardInterrupt:
        typer.echo("stopped; nothing was written", err=True)
        raise typer.Exit(130) from None
    if str(json) == "-":
        print(found.to_json(), end="")
    elif not quiet:
        examining.say(found)
    raise typer.Exit(found.code)
