"""Training that begins from a model that exists: all of its weights go on, or a low-rank change is learned.

The model decides what its network is, what it predicts, size, channels and classes of pictures, what it
is shown of them and how it hears text; the recipe decides the rest.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from phosphene.families import place
from phosphene.families.diffusion import Diffusion
from phosphene.families.place import find_model
from phosphene.networks.build import Config, build
from phosphene.networks.lora import Adapted
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import (
    NONE,
    BaseSettings,
    DiffusionSettings,
    Recipe,
    TransformerSettings,
    UNetSettings,
    changed,
)
from phosphene.store.model import Model
from phosphene.tasks.task import Task

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
    resolved = str(Path(find_model(str(given))).resolve())
    sections = {
        "network": words(found.config, header.size),
        "diffusion": header.diffusion,
        "sampling": header.sampling,
        "task": header.task,
        "base": recipe.base.model_copy(update={"model": resolved, "fingerprint": found.fingerprint}),
    }
    decided = {
        "data.size": header.size,
        "data.channels": MODES[header.channels],
        "data.classes": header.classes,
        "data.text": NONE if header.text is None else header.text.name,
    }
    theirs = changed(recipe.model_copy(update=sections), decided)
    mine = {name: value for name, value in changes.items() if name not in ("base.model", "base.fingerprint")}
    wanted = changed(theirs, mine)
    kept = {*decided, *(f"diffusion.{name}" for name in DiffusionSettings.model_fields)}
    kept |= {f"network.{name}" for name in type(theirs.network).model_fields}
    kept |= {f"task.{name}" for name in type(theirs.task).model_fields}
    for name in sorted(kept - FREE):
        section, field = name.split(".")
        before, after = (getattr(getattr(of, section), field, None) for of in (theirs, wanted))
        if before != after and not (name == "data.text" and header.text is not None):
            raise ValueError(f"{name} {after}: the model {given} decides, it is {before}; leave it out")
    return wanted


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
        network = build(replace(config, dropout=recipe.network.dropout))
        network.load_state_dict(found.network.state_dict())
        if not recipe.data.augment:  # what is not heard has no gradient, which several workers would wait for
            for name, weight in network.named_parameters():
                if name.startswith("embedding.augment."):
                    weight.requires_grad_(False)
        rank = recipe.base.rank
        if rank is None:
            return Diffusion(network, recipe.diffusion)
        return Diffusion(Adapted(network, rank, recipe.base.alpha), recipe.diffusion)
