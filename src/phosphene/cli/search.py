"""`phosphene search`: pictures of a folder by what is said of them."""

from pathlib import Path
from typing import Annotated

import typer

from phosphene.cli.shared import Device, Quiet, Threads


def search(
    folder: Annotated[str, typer.Argument(help="Pictures, as for phosphene train.", show_default=False)],
    text: Annotated[str, typer.Argument(help="What to look for, in words.", show_default=False)],
    clip: Annotated[
        str,
        typer.Option(help="A run of the recipe clip, or transformers' CLIP or SigLIP.", show_default=False),
    ],
    n: Annotated[int, typer.Option("-n", help="How many.")] = 16,
    out: Annotated[Path | None, typer.Option(help="Write a sheet here, a PNG.", show_default=False)] = None,
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Find the pictures of a folder that are most like a text, the best first.

    A folder is looked through once for each CLIP; after that only the text is read.
    """
    import numpy as np
    import torch

    from phosphene.cli import show
    from phosphene.families import clip as clips
    from phosphene.families.device import use_threads
    from phosphene.families.sampled import columns_for
    from phosphene.pictures.pixels import to_pillow, to_values
    from phosphene.pictures.sheet import sheet

    use_threads(threads)
    if out is not None and (out.exists() or not out.parent.is_dir()):
        raise ValueError(f"out {out}: give a file that does not exist yet, in a folder that does")
    asked = clips.load(clip, device)
    with show.sampling(quiet, "looking at pictures") as watch:
        data = asked.opened(folder)
        nearest = asked.nearest(data, text, n, watch)
    for number, alike in nearest:
        show.lines(f"{alike:.3f}  {data.names[number]}")
    if out is not None:
        rows = np.array(data.pictures[np.array([number for number, _ in nearest])])
        sheet(to_pillow(to_values(torch.from_numpy(rows))), columns_for(n)).save(out, "PNG")
        show.lines(f"wrote {out}")
