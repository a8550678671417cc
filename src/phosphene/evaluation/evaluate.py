"""Evaluating a run: what is to be done, how long it will take, and doing it.

The same options give the same figures bit for bit on the same machine: samples, choices and draws are
functions of the seed, and device, threads, precision and batch are kept with the figures.
"""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from phosphene.evaluation import answers, distributions, singles
from phosphene.evaluation.record import Evaluation, Options, write
from phosphene.evaluation.sets import LEAST, Real, choose, most, real, which_reference
from phosphene.evaluation.singles import Found
from phosphene.evaluation.subject import GRID, LEVELS, Samples, Subject, sample
from phosphene.families.asked import known
from phosphene.families.device import use_threads
from phosphene.families.generator import Generator, load
from phosphene.measures.features.encoder import Encoder
from phosphene.measures.features.encoders import ENCODERS
from phosphene.networks.count import multiply_adds
from phosphene.training.folder import RunFolder
from phosphene.version import __version__

COUNTS = (1000, 500, 250, 100)
WORTH = {"cpu": 1.5e12, "cuda": 1.5e15}
"""Multiply-adds spent on samples by default: about a minute of two cores, or of a GPU."""
USUAL = tuple(name for name in ("shipped", "random-conv", "dct-bands") if name in ENCODERS)
COPIES = "normalised-pixels"  # the encoder by which copies are searched for, beside those asked for


class Doing(NamedTuple):
    """What an evaluation is at: a job's name, the share of all that is done, and the seconds left."""

    what: str
    done: float
    left: float


Watch = Callable[[Doing], None]
Tell = Callable[[float], None]


class Job(NamedTuple):
    """A part of the work, and the seconds it should take. do is told how to say which share is done."""

    name: str
    seconds: float
    do: Callable[[Tell], Found]


class Prepared(NamedTuple):
    """An evaluation that can begin. call: seconds that the network takes for a batch."""

    subject: Subject
    encoders: tuple[Encoder, ...]
    call: float


def prepare(
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
    ema: float | None = None,
    batch: int = 64,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
) -> Prepared:
    """Reads the run, its data and the encoders; makes nothing yet. For the options see `phosphene.evaluate`.

    Raises ValueError, naming the option, for what cannot be evaluated.
    """
    use_threads(threads)
    root = run_folder(run)
    recipe = RunFolder(root).read_recipe()
    generator = load(root, device, ema, precision)
    there = real(recipe, data)
    refuse_other_data(generator, there)
    side = which_reference(reference, there)
    limit = most(side, there, recipe)
    if limit < LEAST:
        raise ValueError(f"reference {side}: {limit} pictures for each of two sets; {LEAST} are needed")
    chosen = min(default_count(generator, steps), limit) if count is None else count
    if not LEAST <= chosen <= limit:
        raise ValueError(f"count {chosen}: with reference {side} this data allows {LEAST} to {limit:,}")
    for name in encoders or ():
        known("encoder", name, ENCODERS)
    options = Options(
        count=chosen,
        seed=seed,
        encoders=tuple(USUAL if encoders is None else encoders),
        inception=_text(inception),
        dinov2=_text(dinov2),
        clip=_text(clip),
        reference=side,
        solver=solver,
        steps=steps,
        guidance=guidance,
        likelihood=likelihood,
        flow=flow,
        tolerance=tolerance,
        ema=ema,
        batch=batch,
        device=str(generator.device),
        threads=torch.get_num_threads(),
        precision=generator.precision.name,
    )
    subject = Subject(root, recipe, generator, there, choose(side, chosen, seed, there, recipe), options)
    subject.asked.refuse_for(generator.conditional, generator.model.header.diffusion.learned_variance)
    return Prepared(subject, tuple(_encoders(options, generator.device)), _time_a_call(subject))


def run_folder(run: str | Path) -> Path:
    """The folder of a run, by its path or its name below runs/."""
    for root in (Path(run), Path("runs") / run):
        if RunFolder(root).recipe.is_file():
            return root
    raise ValueError(f"{run}: no run here; give a run's folder (it holds recipe.toml) or its name")


def refuse_other_data(generator: Generator, data: Real) -> None:
    """Raises ValueError where the pictures are not those that the run was trained on."""
    origin = generator.model.header.provenance
    if origin is not None and origin.fingerprint != data.dataset.fingerprint:
        raise ValueError(
            f"data {data.where}: its fingerprint is {data.dataset.fingerprint[:16]}, the run was trained on "
            f"{origin.fingerprint[:16]}; give the same pictures with --data FOLDER"
        )


def default_count(generator: Generator, steps: int | None) -> int:
    """How many samples are worth their time: a function of the network's size and the kind of device."""
    each = multiply_adds(generator.model.network, generator.channels, generator.size, generator.size)
    asked = generator.defaults
    each *= (steps or asked.steps) * (2 if asked.guidance != 1 else 1)
    worth = WORTH.get(generator.device.type, WORTH["cpu"])
    return next((count for count in COUNTS if count * each <= worth), COUNTS[-1])


def work(prepared: Prepared) -> list[tuple[str, float]]:
    """What will be done, and the seconds each part should take: said before it is begun."""
    return [(job.name, job.seconds) for job in _jobs(prepared, [])]


def evaluate(prepared: Prepared, watch: Watch | None = None, keep: bool = True) -> Evaluation:
    """Does the work. keep: write evaluation.json and the samples to the run's folder, at the end and at once:
    whoever stops it before leaves the run as it was."""
    begun = time.perf_counter()
    subject, options = prepared.subject, prepared.subject.options
    made: list[Samples] = []
    jobs = _jobs(prepared, made)
    found: list[Found] = []
    total, before = sum(job.seconds for job in jobs), 0.0
    for job in jobs:

        def tell(share: float, job: Job = job, before: float = before) -> None:
            if watch is not None:
                done = before + share * job.seconds
                spent = time.perf_counter() - begun
                # What was expected counts until enough has been seen.
                pace = (spent + 5) / (done + 5)
                watch(Doing(job.name, done / total, (total - done) * pace))

        tell(0.0)
        found.append(job.do(tell))
        before += job.seconds
    (samples,) = made
    generator = subject.generator
    evaluation = Evaluation(
        phosphene=__version__,
        torch=torch.__version__,
        machine=f"{platform.machine()} {platform.system()}, {_device(generator.device)}",
        run=subject.root.resolve().name,
        model=generator.model.fingerprint,
        data=Path(subject.data.where).name,
        data_fingerprint=subject.data.dataset.fingerprint,
        source=subject.data.where,
        asked=options,
        sampling=subject.asked.describe(),
        samples=samples.record,
        figures=tuple(figure for part in found for figure in part.figures),
        levels=tuple(level for part in found for level in part.levels),
        nearest=tuple(near for part in found for near in part.nearest),
        left_out=tuple(line for part in found for line in part.left_out),
        seconds=time.perf_counter() - begun,
    )
    if keep:
        write(subject.root, evaluation, samples.pictures)
    return evaluation


def _jobs(prepared: Prepared, made: list[Samples]) -> list[Job]:
    """The parts in order. made: where the samples go once they are there."""
    subject, call = prepared.subject, prepared.call
    options, sets = subject.options, subject.sets
    plan = subject.asked.plan(subject.generator.family.walked)
    guided = 2 if subject.asked.guidance != 1 else 1
    batches = -(-options.count // options.batch)
    unseen = len(subject.data.held_out)

    def sampled(tell: Tell) -> Found:
        made.append(sample(subject, lambda done, total: tell(done / total)))
        return Found()

    take = _figures_take(options.count)
    jobs = [
        Job(f"{options.count:,} samples", batches * plan.evaluations * guided * call, sampled),
        *(Job(f"figures on {some.name}", take, _on(some, subject, made)) for some in prepared.encoders),
    ]
    finder = ENCODERS[COPIES]().to(subject.generator.device)
    jobs.append(Job("copies", 2.0, lambda _: singles.copies(subject, made[0], finder)))
    jobs.append(Job("colour", 0.5, lambda _: Found(tuple(singles.drift(made[0], sets)))))
    if subject.generator.task.sight is not None:
        jobs.append(
            Job("nearness to the truth", 0.1, lambda _: Found(tuple(singles.truth(subject, made[0]))))
        )
    if answers.which(subject) is not None:
        each = 0.001 if subject.data.where == "digits" else 0.04
        jobs.append(Job("exact answers", each * options.count, lambda _: answers.answers(subject, made[0])))
    if unseen > 1:
        rows = min(unseen, singles.MEASURED)
        per_batch = call / options.batch
        jobs.append(Job("held-out loss", 2 * LEVELS * rows * per_batch, lambda _: singles.losses(subject)))
        if options.likelihood > 1:
            rows = min(unseen, options.likelihood)
            jobs.append(Job("bits/dim (ELBO)", GRID * rows * per_batch, lambda _: singles.bound(subject)))
        if options.flow > 1:
            rows = min(unseen, options.flow)
            jobs.append(Job("bits/dim (ODE)", 250 * rows * per_batch, lambda _: singles.flow(subject)))
    else:
        why = f"{unseen} held-out pictures; train with data.held_out"
        left = tuple((name, why) for name in ("held-out loss", "bits/dim (ELBO)", "bits/dim (ODE)"))
        jobs.append(Job("held-out loss", 0.0, lambda _: Found(left_out=left)))
    jobs.append(Job("speed", 0.0, lambda _: Found(tuple(singles.speed(made[0], options.batch)))))
    return jobs


def _on(encoder: Encoder, subject: Subject, made: list[Samples]) -> Callable[[Tell], Found]:
    """All figures of one encoder."""

    def do(tell: Tell) -> Found:
        of = distributions.compared(encoder, made[0], subject.sets, subject.options.seed)
        figures, left_out = [], []
        parts = (
            distributions.distances,
            distributions.manifold,
            distributions.telling_apart,
            distributions.spread_out,
        )
        for place, part in enumerate(parts):
            tell((place + 1) / (len(parts) + 1))
            try:
                figures.extend(part(of))
            except ValueError as error:  # too few pictures for this one; the others stand
                left_out.append((f"{part.__name__.replace('_', ' ')} on {encoder.name}", str(error)))
        return Found(tuple(figures), left_out=tuple(left_out))

    return do


def _figures_take(count: int) -> float:
    """Seconds for all figures of one encoder, by the square of the count: 12 s for a thousand on one core."""
    return 3 + 12 * (count / 1000) ** 2


def _encoders(options: Options, device: torch.device) -> Iterator[Encoder]:
    """The encoders that were asked for, on the device."""
    for name in options.encoders:
        yield ENCODERS[name]().to(device)
    if options.inception is not None:
        from phosphene.measures.features.inception import inception

        yield inception(Path(options.inception)).to(device)
    for folder in (options.dinov2, options.clip):
        if folder is not None:
            from phosphene.measures.features.transformer import transformer

            yield transformer(Path(folder)).to(device)


def _time_a_call(subject: Subject) -> float:
    """Seconds that the network takes for one batch: the second call, the first prepares."""
    family, rows = subject.generator.family, subject.options.batch
    shape = (rows, subject.generator.channels, subject.generator.size, subject.generator.size)
    x = torch.zeros(shape, device=subject.generator.device)
    level = subject.grid.rows(torch.zeros(rows, dtype=torch.int64))
    condition = subject.generator.task.blank(rows, shape[1:], x.device)
    spent = 0.0
    with torch.inference_mode():
        for _ in range(2):
            begun = time.perf_counter()
            # Asking for a value waits for the device.
            np.isfinite(float(family.denoise(x, level.to(x.device), condition).sum()))
            spent = time.perf_counter() - begun
    return spent


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"torch on {device.type}"


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)
