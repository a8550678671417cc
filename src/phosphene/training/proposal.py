"""A data set examined, and what to train on it: the recipe, the size, how many pictures to see, and how long
that takes here.

The time of a picture is measured: the recipe's own network on noise, at the size of training or, where that
is large, at LARGEST pixels and scaled by multiply-adds.
"""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from phosphene.data.doctor.enough import middle
from phosphene.data.doctor.examine import examine
from phosphene.data.doctor.result import Diagnosis, Proposal
from phosphene.data.source import Source
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import keys, normal
from phosphene.families.device import choose_device, computing_in, finish, made_ready, use_threads
from phosphene.families.family import Batch
from phosphene.families.precision import choose_precision
from phosphene.networks.build import build, repeated
from phosphene.networks.count import multiply_adds, parameters
from phosphene.recipes.settings import Recipe, changed
from phosphene.store import text_encoder
from phosphene.training.assemble import AnyConfig, family, network_config
from phosphene.training.options import find_recipe, parse_budget
from phosphene.training.text import learned
from phosphene.training.timing import least_time
from phosphene.training.tune import ENOUGH

LARGEST = 32  # pixels a side of what is measured
STEPS = 3
AT_ONCE = 2**12  # pixels of what is measured on a CPU: with its weights a quarter of a GB
SMALLEST = 16  # pictures a step
TOKENS = 32  # of a caption
DROPOUT = {"enough": 0.0, "borderline": 0.1, "too few": 0.2}
AUGMENT = 0.12  # EDM's, of which the network is told, so that they do not show in what it makes
CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}

Progress = Callable[[str, int, int], None]


class Form(NamedTuple):
    """What a network is made for. heard: the width of the states of an encoder of captions, 0 for none."""

    size: int
    channels: int
    classes: int = 0
    heard: int = 0


class Step(NamedTuple):
    """seconds: of one picture in training. how: where the figure is from."""

    seconds: float
    how: str


def diagnose(
    data: str | Path,
    source: Source,
    *,
    size: int | None = None,
    recipe: str | Path | Recipe | None = None,
    budget: str | float | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> Diagnosis:
    """What `phosphene doctor` does (its words stand there): the set examined, and a proposal.

    source: what is found at `data`.
    """
    use_threads(threads)
    chosen = find_recipe("flow" if recipe is None else recipe)
    chosen.refuse_clip("doctor: a proposal is for making pictures")
    if size is not None:
        chosen = changed(chosen, {"data.size": size})
    seconds = None if budget is None else parse_budget(budget)
    where = choose_device(device)
    about = examine(source, chosen, threads=threads, on_progress=on_progress)
    if on_progress is not None:
        on_progress("timing a step", 0, 1)
    return replace(about, proposal=propose(about, data, chosen, seconds, where))


def propose(
    about: Diagnosis, data: str | Path, recipe: Recipe, budget: float | None, device: torch.device
) -> Proposal:
    """How to train the recipe on what was examined. budget: seconds to spend, None for as long as pays."""
    channels, enough = CHANNELS[about.colours.training], about.enough
    classes = 0 if about.labels is None else len(about.labels.counts)
    form = Form(about.size, channels, classes, _heard(recipe, about, device))
    settings, why = _suited(recipe, about)
    step = measured(changed(recipe, settings), form, device)
    images = enough.wanted if enough.verdict == "enough" else min(enough.wanted, middle(enough))
    words = [f"phosphene train {shlex.quote(str(data))}", f"--recipe {recipe.name}", f"--size {about.size}"]
    if budget is not None:
        seen = round(budget / step.seconds)
        words.append(f"--budget {budget:g}s")
        if enough.verdict != "enough" and seen > images:
            why.append(f"the time is enough for {seen:,} pictures: the model may copy before it is spent")
        images = seen
    else:
        words.append(f"--images {images}")
        if images < enough.wanted:
            why.append(f"{images:,} pictures seen, not {enough.wanted:,}: longer, and the model may copy")
    batch = recipe.training.batch
    while batch > SMALLEST and images / batch < ENOUGH:
        batch //= 2
    if budget is None and batch < recipe.training.batch:
        words.append(f"--batch {batch}")
        why.append(f"a batch of {batch}, so that there are {images // batch:,} steps")
    words += [f"--set {name}={value}" for name, value in settings.items()]
    return Proposal(
        recipe=recipe.name,
        size=about.size,
        channels=channels,
        parameters=parameters(_network(changed(recipe, settings), form)),
        batch=batch,
        images=images,
        seconds=images * step.seconds,
        each=step.seconds,
        device=str(device),
        how=step.how,
        settings=settings,
        why=tuple(why),
        command=" ".join(words),
    )


def _suited(recipe: Recipe, about: Diagnosis) -> tuple[dict[str, Any], list[str]]:
    """What is changed in the recipe for the set, and why."""
    settings: dict[str, Any] = {}
    why = []
    dropout = DROPOUT[about.enough.verdict]
    if recipe.network.dropout < dropout:
        settings["network.dropout"] = dropout
        why.append(f"dropout of {dropout:g}: few pictures are learned by heart more slowly with it")
    turned = recipe.data.augment or recipe.data.flip or recipe.data.pairs  # pairs would be turned apart
    if about.enough.verdict == "too few" and not turned:
        settings["data.augment"] = AUGMENT
        why.append("augmentations that do not show in what is made, for the same reason")
    return settings, why


def _heard(recipe: Recipe, about: Diagnosis, device: torch.device) -> int:
    """The width of the states of captions, if the recipe would learn them."""
    found = about.captions
    if found is None:
        return 0
    pictures = found.count + found.missing + found.empty
    name = learned(recipe.data.text, found.count, found.distinct, pictures, about.labels is not None).name
    return 0 if name is None else text_encoder.find(name, device).width


def measured(recipe: Recipe, form: Form, device: torch.device) -> Step:
    """The time of a picture, forward and backward: the least of STEPS or more, after one that is not counted.

    The optimizer and the averages are left out: they take gigabytes where networks are large, and little time
    beside a whole batch.
    """
    _config(recipe, form)  # what it does not take is said of the size that was asked for
    sizes = range(min(form.size, LARGEST), form.size + 1)
    at = next(at for at in sizes if _takes(recipe, form._replace(size=at)))
    config = _config(recipe, form._replace(size=at))
    made = family(recipe, config)
    network = made_ready(made.network, device).train()
    precision = choose_precision(recipe.training.precision, device, repeated(config), training=True)
    count = recipe.training.batch if device.type == "cuda" else max(1, min(32, AT_ONCE // at**2))
    key = keys(0, range(count)).to(device)
    x0 = normal(key, 0, (form.channels, at, at)).float()
    said = torch.zeros(count, TOKENS, form.heard, device=device) if form.heard else None

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with computing_in(precision.name, device):
            losses = made.loss("network", Batch(x0, Condition(tokens=said), key, 0, count))
        losses.mean().backward()
        finish(device)

    step()
    seconds = least_time(step, STEPS)
    factor = 1.0
    if at != form.size:
        factor = _cost(recipe, form) / _cost(recipe, form._replace(size=at))
    count_threads = torch.get_num_threads()
    threads = "1 thread" if count_threads == 1 else f"{count_threads} threads"
    where = f"{device}, {threads}" if device.type == "cpu" else str(device)
    scaled = f", scaled by multiply-adds ({factor:.1f}x)" if factor != 1 else ""
    how = f"measured here ({where}): {count} pictures of {at}x{at} forward and backward{scaled}, no optimizer"
    return Step(factor * seconds / count, how)


def _config(recipe: Recipe, form: Form) -> AnyConfig:
    return network_config(recipe, form.size, form.channels, form.classes, form.heard)


def _takes(recipe: Recipe, form: Form) -> bool:
    try:
        _config(recipe, form)
    except ValueError:
        return False
    return True


def _network(recipe: Recipe, form: Form) -> torch.nn.Module:
    """Without memory for its weights."""
    with torch.device("meta"):
        return build(_config(recipe, form))


def _cost(recipe: Recipe, form: Form) -> int:
    said = torch.zeros(1, TOKENS, form.heard, device="meta") if form.heard else None
    network = _network(recipe, form)
    return multiply_adds(network, form.channels, form.size, form.size, Condition(tokens=said))
