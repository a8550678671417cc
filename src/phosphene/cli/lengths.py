"""What `phosphene ema` prints."""

from rich import box
from rich.console import Console
from rich.table import Table

from phosphene.training.lengths import Chosen

out = Console(highlight=False)


def show(chosen: Chosen) -> None:
    """A line a length, the best one marked, and what to type next."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("length", chosen.figure, "95% interval", ""):
        table.add_column(title, overflow="fold")
    best, tied = chosen.best, chosen.tied
    for one in chosen.lengths:
        value, low, high = one.distance
        words = "best" if one == best else "as good, as far as can be told" if one.length in tied else ""
        table.add_row(f"{one.length:g}", f"{value:.4f}", f"{low:.4f} to {high:.4f}", words)
    out.print(table)
    say(
        f"{chosen.pictures} pictures each from the same noise, step {chosen.step:,}, {chosen.solver} in "
        f"{chosen.steps} steps; smaller is better"
    )
    if chosen.shipped:
        say(f"{chosen.folder.model} now holds length {best.length:g}; training on puts the recipe's back")
    else:
        say(f"to ship it: phosphene ema {chosen.folder.root} --length {best.length:g} --ship")


def say(line: str) -> None:
    out.print(line, markup=False, soft_wrap=True)
