"""`phosphene ema`: which length the average of a run's weights should have."""

from pathlib import Path
from typing import Annotated

import typer


def ema(
    run: Annotated[Path, typer.Argument(help="A run's folder.", show_default=False)],
    length: Annotated[
        list[float] | None,
        typer.Option(help="A length; again for more.", show_default="those that the run's averages can give"),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Pictures made with each.")] = 256,
    steps: Annotated[int, typer.Option(help="Solver steps.")] = 16,
    ship: Annotated[bool, typer.Option("--ship", help="Put the best one into the model folder.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of the CPU.", show_default=False)] = None,
) -> None:
    """Find the best length of the weights' average, after training.

    Lengths that were not tracked are combined from those that were. Each makes the same pictures from the
    same noise, and their kernel distances are compared.
    """
    from phosphene.cli import lengths
    from phosphene.families.device import use_threads
    from phosphene.training.lengths import choose_ema

    use_threads(threads)
    lengths.show(choose_ema(run, length, n, steps, ship, device))
