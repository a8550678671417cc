"""A model made ready to be asked: on a device, in a precision, with its text encoder where it is."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar, get_args

import torch
from torch import nn

from phosphene.families.adapting import Adapters, adapted, base_of, find_adapter
from phosphene.families.asked import Asked, known
from phosphene.families.compiled import faster
from phosphene.families.device import Asking, choose_device, made_ready
from phosphene.families.diffusion import Diffusion
from phosphene.families.place import find_model, read
from phosphene.families.precision import Precision, choose_precision
from phosphene.networks.build import repeated
from phosphene.recipes.settings import PrecisionName, SamplingSettings
from phosphene.recipes.tasks import EditingTask
from phosphene.store import model, text_encoder
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown
from phosphene.tasks.sights import extra, sight
from phosphene.tasks.task import Task
from phosphene.tasks.text import Text

R = TypeVar("R", bound="Ready")


@dataclass(frozen=True)
class Ready:
    """A model, the folder it came from, and the device that it computes on. wanted: in which precision.

    text: where its text encoder is now, if not where it was in training.
    """

    model: model.Model
    folder: Path
    device: torch.device
    wanted: str = "auto"
    text: str | None = None

    @classmethod
    def load(
        cls: type[R],
        place: Path | str,
        device: str = "auto",
        ema: float | None = None,
        precision: str = "auto",
        best: bool = False,
        text: Path | str | None = None,
        adapters: Adapters | None = None,
    ) -> R:
        """See `phosphene.load`."""
        known("precision", precision, get_args(PrecisionName))
        adapters = adapters or {}
        if (own := find_adapter(place, best)) is not None:
            place, best, adapters = base_of(own), False, {own: 1.0, **dict(adapters.items())}
        folder = find_model(place, best)
        there = None if text is None else str(text)
        found = cls(adapted(read(folder, ema), adapters), folder, choose_device(device), precision, there)
        header, takes = found.model.header, found.model.config.in_channels
        if takes != header.channels + extra(header.task, header.channels):
            raise ValueError(
                f"{folder / model.CONFIG}: task {header.task.kind}: shows "
                f"{extra(header.task, header.channels)} channels beside {header.channels}, the network "
                f"takes {takes}"
            )
        assert found.precision  # one that is not to be had here is said now
        return found

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.model.header.size

    @property
    def channels(self) -> int:
        """1 grey, 3 RGB, 4 RGBA."""
        return self.model.header.channels

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that may be asked for."""
        return self.model.header.classes

    @cached_property
    def precision(self) -> Precision:
        """Of products and convolutions, and why. Raises ValueError for one that is not to be had here."""
        return choose_precision(self.wanted, self.device, repeated(self.model.config))

    @cached_property
    def family(self) -> Diffusion:
        """The network and what its answers mean: for those who want the parts."""
        network = self.model.network
        if self.precision.name != "fp32":
            # Rounded weights are this generator's own: the model keeps what its file holds.
            network = Asking(copy.deepcopy(network), self.precision.name, self.device)
        return Diffusion(made_ready(network, self.device), self.model.header.diffusion)

    def quick(self, rows: int, calls: int) -> Diffusion:
        """The family with its network in the way that is fastest for so many calls with so many rows."""
        x = torch.zeros(rows, self.channels, self.size, self.size, device=self.device)
        condition = self.task.blank(rows, (self.channels, self.size, self.size), self.device)

        def call(network: nn.Module) -> None:
            network(x, x.new_zeros(rows), condition)

        with torch.inference_mode():
            name = f"ask {tuple(x.shape)} {self.precision.name}"
            network = faster(self.family.network, self.device, lambda _: float(calls), call, name)
        return self.family.with_network(network)

    @cached_property
    def task(self) -> Task:
        header, device, shows = self.model.header.text, self.device, sight(self.model.header.task)
        if header is None:
            return Task(self.classes, sight=shows)
        text = Text(header.width, lambda: text_encoder.of_header(header, self.text, device))
        return Task(self.classes, text=text, sight=shows)

    @property
    def conditional(self) -> bool:
        """Whether anything can be asked for that guidance could exaggerate."""
        return bool(self.classes) or self.model.header.text is not None

    @property
    def defaults(self) -> Asked:
        """How pictures are made unless the caller says otherwise."""
        return self.of_recipe(self.model.header.sampling)

    def of_recipe(self, s: SamplingSettings) -> Asked:
        """How pictures are made by the settings of a recipe."""
        # A recipe's guidance is for its conditions: without any there is nothing to compare.
        guidance = s.guidance if self.conditional else 1.0
        of_picture = s.image_guidance if self.edits else None
        return Asked(
            s.solver,
            s.steps,
            s.grid,
            guidance=guidance,
            threshold=s.threshold,
            image_guidance=of_picture,
        )

    @property
    def edits(self) -> bool:
        """Whether it was trained to change a picture that it is shown, and to do without one."""
        return isinstance(self.model.header.task, EditingTask)

    def hearing(self, request: Request, shown: Shown, asked: Asked) -> Request:
        """What another model was asked for, as far as this one hears it when it is asked so, of a picture
        that is shown."""
        words = self.model.header.text is not None
        label = request.label if str(request.label) in self.classes else None
        negative = request.negative if words and asked.guides else None
        return Request(label, request.prompt if words else None, negative, shown)
