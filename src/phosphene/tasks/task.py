"""A task makes the condition: a training batch's from what the data says, a request's from what is asked."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from phosphene.data.loader import Rows
from phosphene.diffusion import noise
from phosphene.diffusion.condition import NO_LABEL, Condition
from phosphene.diffusion.noise import Key
from phosphene.tasks.request import Label, Request


@dataclass(frozen=True)
class Task:
    """Unconditional pictures, or pictures of a class if there are any.

    classes: names, in the order of their indices. drop: how often training hides the label, so that one
    network learns both answers that classifier-free guidance compares.
    """

    classes: tuple[str, ...] = ()
    drop: float = 0.1

    def training(self, rows: Rows, values: Float[Tensor, "b c h w"], key: Key, step: int) -> Condition:
        """The condition of a training batch; which labels are hidden is a function of (key, step).

        rows: as they come from the loader. values: their pictures as they are learned, augmented.
        """
        condition = self.known(rows._replace(values=values), key)
        if condition.label is None:
            return condition
        hidden = noise.uniform(key, step, stream=noise.DROP) < self.drop
        return Condition(label=condition.label.masked_fill(hidden, NO_LABEL))

    def known(self, rows: Rows, key: Key) -> Condition:
        """The condition that the data states of pictures, nothing hidden. key: for what is drawn."""
        return Condition(label=rows.labels if self.classes else None)

    def asked(self, requests: Sequence[Request]) -> Condition:
        """The condition of a request for some pictures.

        Raises ValueError for a label that does not exist.
        """
        labels = [request.label for request in requests]
        if not self.classes:
            for label in labels:
                if label is not None:
                    raise ValueError(f"label {label!r}: this model was trained without labels; leave it out")
            return Condition()
        return Condition(label=torch.tensor([self._index(label) for label in labels], dtype=torch.int64))

    def _index(self, label: Label | None) -> int:
        if label is None:
            return NO_LABEL
        # A name comes first: classes may be called by numbers.
        if str(label) in self.classes:
            return self.classes.index(str(label))
        if str(label).isdecimal() and int(label) < len(self.classes):
            return int(label)
        near = difflib.get_close_matches(str(label), self.classes, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        shown = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
        raise ValueError(f"label {label!r}: {hint}labels are {shown}")
