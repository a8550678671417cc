"""The tables of `phosphene info`."""

import inspect
from pathlib import Path

import torch
from rich.table import Table

from phosphene import files
from phosphene.cli.display import clock
from phosphene.cli.show import lines, out, table
from phosphene.diffusion.grid import GRIDS
from phosphene.diffusion.schedule import SCHEDULES
from phosphene.diffusion.solver import SOLVERS
from phosphene.families import clip as clips
from phosphene.families.device import choose_device
from phosphene.families.generator import Cascade, load
from phosphene.families.precision import choose_precision
from phosphene.kernels.library import built
from phosphene.networks.build import Repeated
from phosphene.networks.count import parameters
from phosphene.pictures.pixels import WORDS
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.tasks import SuperResolutionTask
from phosphene.store import cascade, shipped
from phosphene.store.model import Provenance
from phosphene.training.folder import RunFolder
from phosphene.training.metrics import read
from phosphene.training.saving import best

PARTS = (*(Repeated("block", width) for width in (32, 64, 128)), Repeated("layer", 256))  # shown by `machine`


def solvers() -> None:
    rows = table("name", "usual steps", "noise", "what it is")
    for name, named in SOLVERS.items():
        rows.add_row(name, str(named.steps), "fresh" if named.noisy else "", named.summary)
    out.print(rows)


def schedules() -> None:
    """Schedules, and the grids on which solvers walk them."""
    for names, title in ((SCHEDULES, "schedule"), (GRIDS, "grid")):
        rows = table(title, "what it is")
        for name, make in names.items():
            rows.add_row(name, (inspect.getdoc(make) or "").splitlines()[0])
        out.print(rows)


def recipes() -> None:
    rows = table("name", "what it is", "score")
    for recipe in RECIPES.values():
        rows.add_row(recipe.name, recipe.summary, recipe.score)
    out.print(rows)


def models() -> None:
    """Those that come with the package."""
    if not shipped.names():
        lines("none come with this version; make models trains them")
        return
    rows = table("name", "what it is", "first of its scores")
    rows.columns[0].no_wrap = True
    for name in shipped.names():
        told = shipped.about(name)
        rows.add_row(name, told.about, *(f"{one.name}: {one.between}" for one in told.scores[:1]))
    out.print(rows)
    lines("phosphene info NAME says all of them, the licence, and how it is asked")


def machine() -> None:
    """What is chosen on this machine, and why."""
    device = choose_device("auto")
    rows = table("what", "chosen", "why")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    rows.add_row("device", str(device), name)
    rows.add_row("threads", str(torch.get_num_threads()), "one for each core; --threads changes it")
    for what, training in (("precision of sampling", False), ("precision of training", True)):
        chosen = [choose_precision("auto", device, of, training) for of in PARTS]
        for one in dict.fromkeys(chosen):
            rows.add_row(what, one.name, one.why)
    rows.add_row("operators", "fused" if built().library else "torch's own", built().words)
    graphs = "measured on first use" if device.type == "cuda" else "never"
    rows.add_row("torch.compile", graphs, "its minutes pay on GPUs only, and on long work")
    rows.add_row("cache", str(files.cache()), "$PHOSPHENE_CACHE, or the home folder's")
    out.print(rows)


def run(place: str) -> None:
    """A run or a model: what it is, where it comes from, how far it came."""
    if cascade.find(place) is None and clips.is_clip(place):
        clip(place)
        return
    model = load(place)
    header = model.model.header
    origin, diffusion, sampling = header.provenance, header.diffusion, model.defaults
    rows = table("", "")
    kind = WORDS[header.channels]
    rows.add_row("pictures", f"{header.size}x{header.size} {kind}")
    if model.task.sight is not None:
        more = header.task.model_dump(exclude={"kind"})
        said = "".join(f", {name} {value}" for name, value in more.items())
        rows.add_row("task", f"{header.task.kind.replace('_', '-')}{said}: {model.task.sight.ask}")
    if isinstance(model, Cascade):
        further(rows, model)
    if header.classes:
        rows.add_row("labels", ", ".join(header.classes))
    if header.text is not None:
        rows.add_row("prompts", f"heard through {header.text.name} ({header.text.fingerprint[:16]})")
    rows.add_row(
        "network", f"{type(model.model.network).__name__}, {parameters(model.model.network):,} weights"
    )
    rows.add_row(
        "diffusion", f"{diffusion.schedule}, predicts {diffusion.prediction}, weight {diffusion.weight}"
    )
    rows.add_row("sampling", f"{sampling.solver}, {sampling.steps} steps, grid {sampling.grid}")
    if origin is not None:
        come_from(rows, origin)
    for one in model.model.adapters:
        rows.add_row("adapter", f"{one.place}, {one.weight:g} of it (sha256 {one.fingerprint[:16]})")
    come_with(rows, model.folder)
    losses = [line for line in read(RunFolder(model.folder.parent).metrics) if "held_out_loss" in line]
    if losses:
        rows.add_row("held-out loss", f"{losses[-1]['held_out_loss']:.4f} at step {losses[-1]['step']:,}")
    if (kept := best(RunFolder(model.folder.parent))) is not None:
        rows.add_row("best model", f"step {kept[0]:,} (phosphene sample {place} --best)")
    rows.add_row("weights", f"sha256 {model.model.fingerprint[:16]}")
    if header.ema:
        rows.add_row("averages", ", ".join(map(str, header.ema)))
    rows.add_row("here", f"{model.device}, {model.precision.name}: {model.precision.why}")
    out.print(rows)


def further(rows: Table, model: Cascade) -> None:
    """What makes a base's pictures larger; the other rows are the base's."""
    side = model.size
    for i, (stage, said) in enumerate(zip(model.further, model.stages[1:], strict=True), 1):
        task, way = stage.model.header.task, said.sampling
        assert isinstance(task, SuperResolutionTask)
        side *= task.factor
        rows.add_row(
            f"stage {i}",
            f"makes them {side}x{side}: {way.solver}, {way.steps} steps, augmentation {said.augmentation:g} "
            f"(sha256 {stage.model.fingerprint[:16]})",
        )


def clip(place: str) -> None:
    """The same of a CLIP."""
    asked = clips.load(place)
    towers, rows = asked.towers, table("", "")
    seen = f"{towers.size}x{towers.size} {WORDS[towers.channels]}"
    rows.add_row("CLIP", f"says how alike a picture, {seen}, and a text are")
    if isinstance(towers, clips.Own):
        header, origin = towers.model.header, towers.model.header.provenance
        rows.add_row(
            "network", f"two towers, {sum(w.numel() for w in towers.model.network.parameters()):,} weights"
        )
        rows.add_row("text encoder", f"{header.text.name} (weights {header.text.fingerprint[:16]})")
        if origin is not None:
            come_from(rows, origin)
        come_with(rows, asked.folder)
        if header.ema:
            rows.add_row("averages", ", ".join(map(str, header.ema)))
        logged = [line for line in read(RunFolder(asked.folder.parent).metrics) if "retrieval_text" in line]
        if logged:
            last = logged[-1]
            rows.add_row("held-out loss", f"{last['held_out_loss']:.4f} at step {last['step']:,}")
            rows.add_row(
                "retrieval@1",
                f"of {last['retrieval_among']} held-out: text {last['retrieval_text']:.0%}, picture "
                f"{last['retrieval_picture']:.0%}",
            )
    else:
        rows.add_row("model", f"of transformers, from {asked.folder}")
    rows.add_row("weights", f"sha256 {asked.fingerprint[:16]}")
    out.print(rows)


def come_with(rows: Table, folder: Path) -> None:
    """What is said of a model that comes with the package."""
    if (name := shipped.named(folder)) is None:
        return
    told = shipped.about(name)
    for one in told.scores:
        aim = "" if one.target is None else f"; target {one.target:g}{one.unit}"
        rows.add_row("score", f"{one.name}: {one.between}{aim}")
    for what, said in (("measured", told.measured), ("licence", told.licence), ("try", told.example)):
        rows.add_row(what, said)


def come_from(rows: Table, origin: Provenance) -> None:
    rows.add_row("recipe", f"{origin.recipe}, seed {origin.seed}, phosphene {origin.version}")
    rows.add_row("data", f"{origin.data} (fingerprint {origin.fingerprint[:16]})")
    rows.add_row("trained", f"{origin.step:,} steps, {origin.images:,} pictures, {clock(origin.seconds)}")
