"""What commands print at their end, and the tables of `phosphene info`."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phosphene import files
from phosphene.cli.display import clock
from phosphene.demo import Demo
from phosphene.diffusion.grid import GRIDS
from phosphene.diffusion.schedule import SCHEDULES
from phosphene.diffusion.solver import SOLVERS
from phosphene.families.device import choose_device
from phosphene.families.generator import load
from phosphene.families.place import find_model
from phosphene.families.precision import choose_precision
from phosphene.kernels.library import built
from phosphene.networks.count import parameters
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import to_toml
from phosphene.training.folder import RunFolder
from phosphene.training.metrics import read
from phosphene.training.saving import best
from phosphene.training.train import Outcome
from phosphene.training.tune import SAMPLED, Tuned

WIDTHS = (32, 64, 128)  # channels whose precision `machine` shows
out = Console(highlight=False)


def trained(outcome: Outcome) -> None:
    """What was written, and what to type next."""
    root = outcome.folder.root
    if outcome.finished:
        lines(f"model in {outcome.folder.model}", f"next: phosphene sample {root} -n 64")
    else:
        lines(f"to go on: phosphene train --resume {root}", f"to look:  phosphene sample {root} -n 64")


def demo(result: Demo) -> None:
    """The files, how well the digits can be read, and what to type next."""
    by_class = "  ".join(f"{name} {100 * share:.0f}" for name, share in result.by_class.items())
    lines(
        f"a digit classifier ({100 * result.on_real:.1f}% right on real ones) reads "
        f"{100 * result.accuracy:.1f}% of {result.count:,} new digits as they were asked for",
        f"  by class, %: {by_class}",
    )
    written(list(result.paths))
    root = result.folder.root
    lines(
        "next:",
        f"  phosphene sample {root} -n 64 --label 3 --trajectory",
        f"  phosphene info {root}",
        "  phosphene train YOUR_PICTURES/",
    )


def written(paths: list[Path]) -> None:
    """The first few files, and how many more."""
    for path in paths[:4]:
        lines(f"wrote {path}")
    if len(paths) > 4:
        lines(f"and {len(paths) - 4:,} more in {paths[-1].parent}")


def check_out(out: Path, trajectory: bool) -> None:
    """Raises ValueError where samples could not be saved, before the work rather than after it."""
    for name in ("sheet.png", "trajectory.gif")[: 1 + trajectory]:
        if (out / name).exists():
            raise ValueError(f"out {out}: {name} is there already; choose another --out")
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise ValueError(
            f"out {out}: cannot write in {place} ({error.strerror}); choose another --out"
        ) from None


@contextmanager
def sampling(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that counts evaluations of the network."""
    columns = (TextColumn("sampling"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("sampling", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def solvers() -> None:
    table = _table("name", "usual steps", "noise", "what it is")
    for name, named in SOLVERS.items():
        table.add_row(name, str(named.steps), "fresh" if named.noisy else "", named.summary)
    out.print(table)


def schedules() -> None:
    """Schedules, and the grids on which solvers walk them."""
    for names, title in ((SCHEDULES, "schedule"), (GRIDS, "grid")):
        table = _table(title, "what it is")
        for name, make in names.items():
            table.add_row(name, (inspect.getdoc(make) or "").splitlines()[0])
        out.print(table)


def recipes() -> None:
    table = _table("name", "what it is", "score")
    for recipe in RECIPES.values():
        table.add_row(recipe.name, recipe.summary, recipe.score)
    out.print(table)


def machine() -> None:
    """What is chosen on this machine, and why."""
    device = choose_device("auto")
    table = _table("what", "chosen", "why")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    table.add_row("device", str(device), name)
    table.add_row("threads", str(torch.get_num_threads()), "one for each core; --threads changes it")
    for what, training in (("precision of sampling", False), ("precision of training", True)):
        chosen = {width: choose_precision("auto", device, width, training) for width in WIDTHS}
        for width, one in chosen.items():
            if one.why != chosen[WIDTHS[0]].why or width == WIDTHS[0]:
                table.add_row(what, one.name, one.why)
    table.add_row("operators", "fused" if built().library else "torch's own", built().words)
    graphs = "measured on first use" if device.type == "cuda" else "never"
    table.add_row("torch.compile", graphs, "its minutes pay on GPUs only, and on long work")
    table.add_row("cache", str(files.cache()), "$PHOSPHENE_CACHE, or the home folder's")
    out.print(table)


def tuned(found: Tuned, data: str, budget: str, to: Path | None) -> None:
    """What was measured, and how to use it."""
    table = _table("batch", "ms a step", "pictures/s", "memory at the most")
    for one in found.measured:
        table.add_row(
            str(one.batch), f"{1e3 * one.seconds:.0f}", f"{one.speed:.0f}", f"{one.memory / 2**30:.2f} GiB"
        )
    out.print(table)
    settings = " ".join(f"--set {name}={value}" for name, value in found.changes.items())
    command = f"phosphene train {data} --recipe {found.recipe.name} --budget {budget} --no-tune {settings}"
    lines(
        f"measured in {found.seconds:.0f} s; memory with validation, and sampling of {SAMPLED} at once",
        "train with:",
        f"  {command.rstrip()}",
    )
    if to is not None:
        files.write_atomic(to, to_toml(found.recipe))
        lines(f"wrote {to}")


def run(place: str) -> None:
    """A run or a model: what it is, where it comes from, how far it came."""
    model = load(find_model(place))
    header = model.model.header
    origin, diffusion, sampling = header.provenance, header.diffusion, header.sampling
    table = _table("", "")
    kind = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}[header.channels]
    table.add_row("pictures", f"{header.size}x{header.size} {kind}")
    if header.classes:
        table.add_row("labels", ", ".join(header.classes))
    table.add_row(
        "network", f"{type(model.model.network).__name__}, {parameters(model.model.network):,} weights"
    )
    table.add_row(
        "diffusion", f"{diffusion.schedule}, predicts {diffusion.prediction}, weight {diffusion.weight}"
    )
    table.add_row("sampling", f"{sampling.solver}, {sampling.steps} steps, grid {sampling.grid}")
    if origin is not None:
        table.add_row("recipe", f"{origin.recipe}, seed {origin.seed}, phosphene {origin.version}")
        table.add_row("data", f"{origin.data} (fingerprint {origin.fingerprint[:16]})")
        table.add_row(
            "trained", f"{origin.step:,} steps, {origin.images:,} pictures, {clock(origin.seconds)}"
        )
    losses = [line for line in read(RunFolder(model.folder.parent).metrics) if "held_out_loss" in line]
    if losses:
        table.add_row("held-out loss", f"{losses[-1]['held_out_loss']:.4f} at step {losses[-1]['step']:,}")
    if (kept := best(RunFolder(model.folder.parent))) is not None:
        table.add_row("best model", f"step {kept[0]:,} (phosphene sample {place} --best)")
    table.add_row("weights", f"sha256 {model.model.fingerprint[:16]}")
    if header.ema:
        table.add_row("averages", ", ".join(map(str, header.ema)))
    table.add_row("here", f"{model.device}, {model.precision.name}: {model.precision.why}")
    out.print(table)


def lines(*words: str) -> None:
    for line in words:
        out.print(line, markup=False, soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE, show_header=any(columns), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
