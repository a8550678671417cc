"""Training, tuning for it, making data and measuring runs, each as one call. Every knob of the command line
is here, and the other way round."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene.cli import examining, making, show
from phosphene.cli.display import Display
from phosphene.data.doctor.result import Diagnosis
from phosphene.families.generator import Generator
from phosphene.families.loading import load
from phosphene.recipes.settings import Recipe
from phosphene.training import options
from phosphene.training.options import run, tuned
from phosphene.training.train import Watcher
from phosphene.training.tune import Tuned

if TYPE_CHECKING:
    from phosphene.evaluation.compare import Comparison
    from phosphene.evaluation.record import Evaluation


def train(
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    recipe: str | Path | Recipe | None = None,
    size: int | None = None,
    budget: str | float | None = None,
    images: int | None = None,
    seed: int | None = None,
    batch: int | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    force: bool = False,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    tune: bool | None = None,
    base: str | Path | None = None,
    progress: bool = True,
) -> Generator | Any:
    """Trains a generator on pictures and returns it; everything is kept in a run folder. With the recipe clip
    it is a `Clip` that is trained.

    data: a folder of pictures (class sub-folders become labels) or of tar shards, a pattern of shards
    ("shards/{000..031}.tar"), a data set of the hub ("hub:OWNER/NAME") or the name of a bundled set.
    out: the run's folder, runs/NAME by default. recipe: a name (flow), a recipe.toml, or a Recipe.
    size: pixels a side. budget: time to spend, seconds or "30m"; images: pictures to see; one of the two.
    batch: pictures a step; of a recipe by name at most all that there are to train on.
    settings: any of the recipe's values by name, {"training.learning_rate": 3e-4}.
    resume: a run's folder, to go on with it instead; only budget or images may be given anew, and data if the
    pictures have moved.
    force: replace a run that is in the way. device: auto, cpu, cuda. threads: of the CPU.
    precision: of products and convolutions, auto, fp32, bf16 or fp16; weights are float32 always.
    tune: with a budget, measure first which batch and width suit the machine and the time; what is given here
    stays. By default so for recipes by name.
    base: a run or model whose weights are trained further, instead of fresh ones; it decides the network, the
    size, channels and classes of pictures, and the text encoder, and what it is shown unless recipe or
    settings name a task. The recipe is then fine-tune by default.
    progress: show it. Ctrl-C and SIGTERM save the run, which is then said; `resume` goes on with it.

    Raises ValueError with one line for whatever cannot be trained, before anything is lost.
    """
    outcome = run(
        data,
        out=out,
        recipe=recipe,
        size=size,
        budget=budget,
        images=images,
        seed=seed,
        batch=batch,
        settings=settings,
        resume=resume,
        force=force,
        device=device,
        threads=threads,
        precision=precision,
        tune=tune,
        base=base,
        watcher=Display() if progress else Watcher(),
    )
    if progress and outcome.first and not outcome.finished:
        show.trained(outcome)
    return load(outcome.folder.root, device)


def adapt(
    model: str | Path,
    pictures: str | Path,
    *,
    out: str | Path | None = None,
    rank: int | None = None,
    budget: str | float | None = None,
    images: int | None = None,
    seed: int | None = None,
    batch: int | None = None,
    recipe: str | Path | Recipe | None = None,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    progress: bool = True,
) -> Generator:
    """Adapts a model to a handful of pictures by a low-rank change of its weights (LoRA), and returns it with
    the change. The model stays as it is: `load(model, adapters={out: 0.5})` takes half of the change.

    model: a run's folder or name, a model folder, or one of diffusers. pictures: as data in `train`, brought
    to the model's size and channels; sub-folders must be named as its classes. out: the adapter's folder,
    runs/NAME by default; `train(resume=out)` goes on. rank: of each weight's change, 8 by default. budget: 3m
    by default, or images. recipe: lora, or another that has base.rank. The rest as in `train`.

    Raises ValueError with one line for whatever cannot be trained, before anything is lost.
    """
    outcome = options.adapt(
        model,
        pictures,
        out=out,
        rank=rank,
        budget=budget,
        images=images,
        seed=seed,
        batch=batch,
        recipe=recipe,
        settings=settings,
        force=force,
        device=device,
        threads=threads,
        precision=precision,
        watcher=Display() if progress else Watcher(),
    )
    if progress and outcome.first and not outcome.finished:
        show.trained(outcome)
    return load(outcome.folder.root, device)


def tune(
    recipe: str | Path | Recipe = "flow",
    *,
    data: str | Path | None = None,
    size: int | None = None,
    budget: str | float = "30m",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
) -> Tuned:
    """Measures a recipe's steps and memory on this machine, and chooses batch, parts and width for a time.

    data: pictures to measure on; made-up ones of `size` pixels if there are none. settings: of the recipe,
    which stay as they are. The result's `.recipe` can be given to `train`; `.measured` says what was seen.

    Raises ValueError with one line for whatever cannot be trained.
    """
    return tuned(
        recipe,
        data=data,
        size=size,
        budget=budget,
        settings=settings or {},
        device=device,
        threads=threads,
        precision=precision,
    )


def make_data(
    name: str,
    *,
    out: str | Path | None = None,
    count: int | None = None,
    size: int | None = None,
    seed: int = 0,
    held_out: float = 0.1,
    edits: bool = False,
    folders: Sequence[str | Path] = (),
    progress: bool = True,
) -> Path:
    """Makes a data set whose captions and facts are exact, and returns its folder.

    name: of a set, as `phosphene data` lists them. out: a new folder, data/NAME by default; it gets train/
    and held-out/, each an ordinary folder of pictures with metadata.jsonl. count, size: the set's by default.
    seed: picture i depends on (seed, i) alone. held_out: the share kept from training.
    edits: triples of picture, instruction and changed picture instead (shapes, faces). progress: show it.
    folders: where the fonts or wallpapers of emoji, glyphs and photos lie; by default they are fetched as
    Debian's packages, which needs apt but no root. The other sets are drawn here and fetch nothing.

    Raises ValueError with one line for whatever cannot be made; whatever stops it leaves nothing behind.
    """
    return making.make(
        name,
        out=out,
        count=count,
        size=size,
        seed=seed,
        held_out=held_out,
        edits=edits,
        folders=folders,
        progress=progress,
    )


def evaluate(
    run: str | Path,
    *,
    data: str | Path | None = None,
    count: int | None = None,
    seed: int = 0,
    encoders: Sequence[str] | None = None,
    inception: str | Path | None = None,
    dinov2: str | Path | None = None,
    clip: str | Path | None = None,
    reference: str | None = None,
    solver: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    likelihood: int = 128,
    flow: int = 32,
    tolerance: float = 1e-3,
    ema: str | float | None = None,
    batch: int = 64,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    progress: bool = True,
) -> "Evaluation":
    """Measures a run, keeps evaluation.json and the samples in its folder, and returns the evaluation.

    data: where the run's pictures are now, if they have moved. count: samples, and real pictures in each set
    that they are compared with; by default 100 to 1,000, by the network's size. seed: of samples, choices and
    draws. encoders: names of features, shipped, random-conv and dct-bands by default; inception, dinov2,
    clip: weights of the user's, whose figures bear the well-known names. reference: training, held-out or a
    folder; by default held-out where those are 1,000 or more. solver, steps, guidance: as in
    `Generator.sample`. likelihood, flow: held-out pictures whose bits per dimension are measured by the
    bound, and by the probability flow to `tolerance`; 0 for none. ema: the length of an average of the
    weights, or "all", which measures each, the one shipped first, and returns that one's. batch: pictures a
    network call.

    The same options give the same figures bit for bit on the same machine. Raises ValueError with one line
    for what cannot be measured; whatever stops it leaves the run as it was.
    """
    from phosphene.cli import evaluating

    return evaluating.each(
        run,
        data=data,
        count=count,
        seed=seed,
        encoders=encoders,
        inception=inception,
        dinov2=dinov2,
        clip=clip,
        reference=reference,
        solver=solver,
        steps=steps,
        guidance=guidance,
        likelihood=likelihood,
        flow=flow,
        tolerance=tolerance,
        ema=ema,
        batch=batch,
        device=device,
        threads=threads,
        precision=precision,
        progress=progress,
        show=False,
    )


def report(
    run: str | Path,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    watts: float | None = None,
    price_kwh: float = 0.30,
    price_hour: float = 0.0,
    currency: str = "EUR",
    device: str = "auto",
    threads: int | None = None,
) -> Path:
    """Writes a run's report, one page that needs nothing else, and returns where: RUN/report.html by default.

    watts: of the machine under load; by default as measured (RAPL), else a usual value, which the page
    states. price_kwh, price_hour: of a kilowatt-hour and of an hour of the machine, in `currency`.
    """
    from phosphene.evaluation import report as page
    from phosphene.evaluation.cost import Prices

    prices = Prices(watts, price_kwh, price_hour, currency)
    return page.report(run, data=data, out=out, prices=prices, device=device, threads=threads)


def compare(*runs: str | Path) -> "Comparison":
    """Compares evaluated runs (folders, names, or files evaluation*.json), the first as the one to differ
    from.

    Raises a ValueError, whose `reasons` has a line each, for runs that differ in data, counts, seeds or
    encoders.
    """
    from phosphene.evaluation import compare as comparing

    return comparing.compare(runs)


def doctor(
    data: str | Path,
    *,
    size: int | None = None,
    recipe: str | Path | Recipe | None = None,
    budget: str | float | None = None,
    html: str | Path | None = None,
    json: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Examines pictures before anything is trained on them: what is wrong, and what to train.

    data: as in `train`. size: pixels a side to train at; recipe: a name
    (flow), a recipe.toml, or a Recipe; budget: time to spend on training, seconds or "30m".
    html, json: files to write the report and everything to; out: a folder for both, doctor.html and
    doctor.json. device: to propose a time for. threads: of the CPU.

    The result is frozen data: `.findings` gravest first, `.code` 0 healthy, 1 worth attention, 2 cannot be
    trained on, `.proposal` how to train, `.to_json()`. Raises ValueError if no picture can be read.
    """
    return examining.examine(
        data,
        size=size,
        recipe=recipe,
        budget=budget,
        html=html,
        json=json,
        out=out,
        device=device,
        threads=threads,
        progress=progress,
    )
