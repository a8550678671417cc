"""Training that begins from a model that exists: all of its weights go on, or a low-rank change is learned.

The model decides what its network is, what it predicts, size, channels and classes of pictures, and how it
hears text; the recipe decides the rest. A model may learn to be shown something else, or anything at all
(InstructPix2Pix, Brooks et al. 2023, section 3.2): of its first layer the weights go on for what both are
shown, and begin at zero for what is new. So a model that was shown nothing begins as what it was, and one
that made pictures larger takes a blurred picture for the enlarged one that it knows.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.diffusion.measurement import LUMA
from phosphene.families import place
from phosphene.families.diffusion import Diffusion
from phosphene.families.place import find_model
from phosphene.networks.build import Config, build
from phosphene.networks.lora import Adapted
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import (
    AUTO,
    NONE,
    BaseSettings,
    DiffusionSettings,
    Recipe,
    SamplingSettings,
    TaskSettings,
    TransformerSettings,
    UNetSettings,
    changed,
)
from phosphene.store.model import Header, Model
from phosphene.tasks.sights import parts, refuse_for
from phosphene.tasks.task import Task

FIRST = "enter.weight"  # of every network, (out, in, height, width)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
FREE = {"network.dropout", "diffusion.drop", "diffusion.density", "diffusion.density_mean"}
FREE |= {"diffusion.density_std", "diffusion.weight", "diffusion.strata"}
"""What of network and diffusion is of training alone."""


def read(base: BaseSettings) -> Model:
    """The model that training begins from. Raises ValueError where there is none, or another than it was."""
    if base.model is None:
        raise ValueError("base.model: this recipe adapts a model that exists; say which: --from MODEL")
    found = place.read(find_model(base.model))
    if base.fingerprint not in (None, found.fingerprint):
        raise ValueError(
            f"base.model {base.model}: its weights are {found.fingerprint[:16]}, the run began from "
            f"{str(base.fingerprint)[:16]}; give the model as it was: --from MODEL"
        )
    return found


def fitted(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with what its model decides, and then the caller's changes.

    Raises ValueError for a change of what the model decides.
    """
    given = changes.get("base.model", recipe.base.model)
    found = read(changed(recipe, {"base.model": given}).base)
    header = found.header
    if header.channels not in MODES:
        raise ValueError(
            f"base.model {given}: pictures of {header.channels} channels; accepted are 1, 3 and 4"
        )
    task = of_task(recipe, found, changes)
    new = task.kind != header.task.kind
    refuse_for(task, header.channels, header.size)
    if new and task.kind == "editing" and header.text is None:
        asked = changes.get("data.text", recipe.data.text)
        if asked not in (None, NONE, AUTO):
            raise ValueError(
                f"data.text {asked}: the model {given} hears no text, and could not be told what to change; "
                "take one that does, or --set data.text=none"
            )
    resolved = str(Path(find_model(str(given))).resolve())
    sections = {
        "network": words(found.config, header.size),
        "diffusion": trained(header.diffusion, recipe.diffusion) if new else header.diffusion,
        "sampling": sampled(header, recipe) if new else header.sampling,
        "task": task,
        "base": recipe.base.model_copy(update={"model": resolved, "fingerprint": found.fingerprint}),
    }
    decided = {
        "data.size": header.size,
        "data.channels": MODES[header.channels],
        "data.classes": header.classes,
        "data.text": NONE if header.text is None else header.text.name,
        "data.pairs": task.kind == "editing",
    }
    theirs = changed(recipe.model_copy(update=sections), decided)
    mine = {name: value for name, value in changes.items() if name not in ("base.model", "base.fingerprint")}
    wanted = changed(theirs, mine)
    kept = {*decided, *(f"diffusion.{name}" for name in DiffusionSettings.model_fields)}
    kept |= {f"network.{name}" for name in type(theirs.network).model_fields}
    for name in sorted(kept - FREE):
        section, field = name.split(".")
        before, after = (getattr(getattr(of, section), field, None) for of in (theirs, wanted))
        if before != after and not (name == "data.text" and header.text is not None):
            raise ValueError(f"{name} {after}: the model {given} decides, it is {before}; leave it out")
    return wanted


def of_task(recipe: Recipe, found: Model, changes: Mapping[str, Any]) -> TaskSettings:
    """What the model is to be shown: what recipe and caller say, and where they say nothing what it was.

    Raises ValueError for something new by a change of low rank.
    """
    own = found.header.task
    if recipe.task.kind == "none" and recipe.base.fingerprint is None:  # a run's own recipe has said all
        pairs = recipe.data.model_copy(update={"pairs": own.kind == "editing"})
        recipe = recipe.model_copy(update={"task": own, "data": pairs})
    names = ("base.rank", "data.pairs")
    of_it = {name: value for name, value in changes.items() if name.startswith("task.") or name in names}
    if "task.kind" in of_it:  # with pairs, as a recipe has both or neither
        of_it.setdefault("data.pairs", of_it["task.kind"] == "editing")
    meant = changed(recipe, of_it)
    if meant.task != own and meant.base.rank is not None:
        fields = [(name, value, getattr(own, name, None)) for name, value in meant.task]
        name, value, had = next(field for field in fields if field[1] != field[2])
        raise ValueError(
            f"task.{name} {value}: the model was trained with {had}, and a change of low rank teaches it no "
            "other; train --from learns all weights"
        )
    return meant.task


def alike(own: DiffusionSettings, recipe: DiffusionSettings) -> bool:
    """Whether levels and losses of one mean the same to the other."""
    return (own.schedule, own.prediction) == (recipe.schedule, recipe.prediction)


def trained(own: DiffusionSettings, recipe: DiffusionSettings) -> DiffusionSettings:
    """The model's settings, with those that are of training alone from a recipe that means the same by them;
    from another one only how often nothing is asked."""
    free = [name.removeprefix("diffusion.") for name in FREE if name.startswith("diffusion.")]
    free = free if alike(own, recipe) else ["drop"]
    return own.model_copy(update={name: getattr(recipe, name) for name in free})


def sampled(own: Header, recipe: Recipe) -> SamplingSettings:
    """The recipe's, or of a recipe whose levels are others' only its guidance."""
    if alike(own.diffusion, recipe.diffusion):
        return recipe.sampling
    scales = {name: getattr(recipe.sampling, name) for name in ("guidance", "image_guidance")}
    return own.sampling.model_copy(update=scales)


def carried(
    weights: Mapping[str, Tensor], channels: int, own: Mapping[str, int], new: Mapping[str, int]
) -> dict[str, Tensor]:
    """The weights of a network of pictures with so many channels that is shown `new` where it was shown `own`
    (`Sight.parts`). A grey picture is seen as the same picture in RGB, and a picture as its luma."""
    x, *rest = weights[FIRST].split([channels, *own.values()], dim=1)
    known, first = dict(zip(own, rest, strict=True)), [x]
    for name, count in new.items():
        part = known.get(name, x.new_zeros(x.shape[0], count, *x.shape[2:]))
        if count < part.shape[1]:
            part = part.sum(1, keepdim=True)
        elif count > part.shape[1]:
            part = part * torch.tensor(LUMA).to(part)[:, None, None]
        first.append(part)
    return {**weights, FIRST: torch.cat(first, dim=1)}


def words(config: Config, size: int) -> UNetSettings | TransformerSettings:
    """A network as a recipe would say it, as nearly as it can."""
    if not isinstance(config, UNetConfig):
        return TransformerSettings(
            width=config.width,
            depth=config.depth,
            head_width=config.head_width,
            patch=config.patch,
            dropout=config.dropout,
            token_depth=config.token_depth,
            shared_modulation=config.shared_modulation,
        )
    return UNetSettings(
        width=config.widths[0],
        multipliers=tuple(max(1, round(width / config.widths[0])) for width in config.widths),
        blocks=config.blocks,
        scaled_skips=config.scaled_skips,
        attention=tuple(size // 2**level for level, attends in enumerate(config.attention) if attends),
        head_width=config.head_width,
        dropout=config.dropout,
        scale_shift=config.scale_shift,
    )


def family(recipe: Recipe, found: Model, task: Task) -> Diffusion:
    """The family with the model's weights, or with a change of them to be learned, drawn by the seed.

    Raises ValueError for what the model does not hear.
    """
    header, config = found.header, found.config
    if recipe.data.augment and not config.augment:
        raise ValueError(
            f"data.augment {recipe.data.augment:g}: the model was trained without, and would not hear what "
            "was done to a picture; leave it out, or take data.flip"
        )
    heard = None if task.text is None else task.text.find().fingerprint
    if header.text is not None and heard != header.text.fingerprint:
        raise ValueError(
            f"data.text {recipe.data.text}: another text encoder than the model's ({header.text.name}), "
            "which understands no other"
        )
    with torch.random.fork_rng():
        torch.manual_seed(recipe.training.seed)
        own, new = (parts(of, header.channels) for of in (header.task, recipe.task))
        channels = header.channels + sum(new.values())
        network = build(replace(config, in_channels=channels, dropout=recipe.network.dropout))
        network.load_state_dict(carried(found.network.state_dict(), header.channels, own, new))
        if not recipe.data.augment:  # what is not heard has no gradient, which several workers would wait for
            for name, weight in network.named_parameters():
                if name.startswith("embedding.augment."):
                    weight.requires_grad_(False)
        rank = recipe.base.rank
        if rank is None:
            return Diffusion(network, recipe.diffusion)
        return Diffusion(Adapted(network, rank, recipe.base.alpha), recipe.diffusion)
