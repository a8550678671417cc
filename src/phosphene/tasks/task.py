"""A task makes the condition: a training batch's from what the data says, a request's from what is asked."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from phosphene.data.loader import Rows
from phosphene.data.states import Tokens
from phosphene.diffusion import noise
from phosphene.diffusion.condition import NO_LABEL, Condition
from phosphene.diffusion.noise import Key
from phosphene.store.text_encoder import shortened
from phosphene.tasks.request import NOTHING, Label, Request
from phosphene.tasks.sight import Seen, Shown, Sight, blank, together
from phosphene.tasks.text import Captioned, Text


@dataclass(frozen=True)
class Task:
    """Unconditional pictures; pictures of a class if there are any, and of a text if there is an encoder.

    classes: names, in the order of their indices. drop: how often training hides label and text, together,
    so that one network learns both answers that classifier-free guidance compares. text: None where the model
    hears none. captioned: the data set's texts, in training. sight: what it shows the network of a picture,
    None where it shows none. hides: whether training hides that too, and it may be asked without: then what
    is said, what is shown, and both are hidden `drop` times each (Brooks 2023, section 3.2.1).
    """

    classes: tuple[str, ...] = ()
    drop: float = 0.1
    text: Text | None = None
    captioned: Captioned | None = None
    sight: Sight | None = None
    hides: bool = False

    @property
    def takes(self) -> str:
        """What may be asked for instead, in words."""
        ways = ["a prompt"] * (self.text is not None) + [f"a label ({listed(self.classes)})"] * bool(
            self.classes
        )
        return f"it takes {' and '.join(ways)}" if ways else "leave it out"

    def training(self, rows: Rows, values: Float[Tensor, "b c h w"], key: Key, step: int) -> Condition:
        """The condition of a training batch; what is hidden, and which of several captions is told, are
        functions of (key, step).

        rows: as they come from the loader. values: their pictures as they are learned, augmented.
        """
        share = None if self.captioned is None else noise.uniform(key, step, stream=noise.CAPTION)
        condition = self._said(rows, share)
        lot = noise.uniform(key, step, stream=noise.DROP)
        hidden = lot < (2 if self.hides else 1) * self.drop
        label, mask = condition.label, condition.mask
        picture = self._drawn(rows, values, key, step)
        if picture is not None and self.hides:
            unseen = (lot >= self.drop) & (lot < 3 * self.drop)
            picture = picture.masked_fill(unseen[:, None, None, None], 0)
        return replace(
            condition,
            label=None if label is None else label.masked_fill(hidden, NO_LABEL),
            mask=None if mask is None else mask & ~hidden[:, None],
            picture=picture,
        )

    def known(self, rows: Rows, key: Key) -> Condition:
        """The condition that the data states of pictures, nothing hidden; what is shown of them is drawn with
        `key`, as in the first step of training."""
        return replace(self._said(rows, None), picture=self._drawn(rows, rows.values, key, 0))

    def asked(self, requests: Sequence[Request], key: Key | None = None) -> Condition:
        """The condition of a request for some pictures. key: of the noise laid on what is shown, if any is.

        Raises ValueError for a label that does not exist, a prompt without words or too long, and for what
        the model was not trained for.
        """
        said = self._worded(requests)
        if self.sight is None:
            return said
        self.refuse(requests)
        assert key is not None
        shown = together([request.shown for request in requests if request.shown is not None])
        return replace(said, picture=self.sight.show(shown, key.to("cpu"), 0))

    def refuse(self, requests: Sequence[Request]) -> None:
        """Raises ValueError, as `asked` does, for what cannot be asked; shows nothing yet."""
        self.compared(requests, self._worded(requests))
        if self.sight is not None and any(request.shown is None for request in requests):
            raise ValueError(f"this model makes a picture of one that it is shown: {self.sight.ask}")

    def blank(self, rows: int, shape: tuple[int, int, int], device: torch.device) -> Condition:
        """A condition as large as that of so many pictures, in which nothing is asked."""
        said = self._worded([NOTHING] * rows).each(lambda t: t.to(device))
        return said if self.sight is None else replace(said, picture=blank(self.sight, rows, shape, device))

    def named(self, label: Label | None) -> str | None:
        """The name of the class that a label says."""
        return None if label is None else self.classes[self._index(label)]

    def wishes(
        self, values: Float[Tensor, "b c h w"], key: Key, before: Float[Tensor, "b c h w"] | None = None
    ) -> list[Shown | None]:
        """What requests would show of pictures like these: drawn with `key` as `known` does, at the level of
        noise that is usual when the model is asked. before: the pictures that these were made from."""
        if self.sight is None:
            return [None] * len(values)
        seen = self.sight.draw(values, key, 0) if before is None else Seen(before)
        return list(seen.shown(self.sight.usual))

    def compared(self, requests: Sequence[Request], condition: Condition) -> Condition | None:
        """What guidance compares a request's condition with where it has negative prompts: its null, hearing
        them. None where it has none."""
        texts = [request.negative for request in requests]
        if all(text is None for text in texts):
            return None
        return replace(condition.null(), **self._texts("negative", texts))

    def _worded(self, requests: Sequence[Request]) -> Condition:
        label = self._labels([request.label for request in requests])
        return Condition(label=label, **self._texts("prompt", [request.prompt for request in requests]))

    def _drawn(self, rows: Rows, values: Float[Tensor, "b c h w"], key: Key, step: int) -> Tensor | None:
        if self.sight is None:
            return None
        seen = self.sight.draw(values, key, step) if rows.before is None else Seen(rows.before)
        return self.sight.show(seen, key, step)

    def _said(self, rows: Rows, share: Float64[Tensor, " b"] | None) -> Condition:
        """share: which of a picture's captions; None is the first."""
        label = rows.labels if self.classes else None
        if self.captioned is None:
            return Condition(label=label)
        return Condition(label=label, **_fields(self.captioned.of(rows.numbers, share)))

    def _texts(self, field: str, texts: Sequence[str | None]) -> dict[str, Tensor]:
        if self.text is not None:
            return _fields(self.text.of(field, texts))
        for text in texts:
            if text is not None:
                raise ValueError(
                    f"{field} {shortened(text)!r}: this model was trained without captions; {self.takes}"
                )
        return {}

    def _labels(self, labels: Sequence[Label | None]) -> Int64[Tensor, " b"] | None:
        if self.classes:
            return torch.tensor([self._index(label) for label in labels], dtype=torch.int64)
        for label in labels:
            if label is not None:
                raise ValueError(f"label {label!r}: this model was trained without labels; {self.takes}")
        return None

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
        raise ValueError(f"label {label!r}: {hint}labels are {listed(self.classes)}")


def listed(classes: Sequence[str]) -> str:
    """The first of them."""
    return ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")


def _fields(tokens: Tokens) -> dict[str, Tensor]:
    """Of a condition."""
    return {"tokens": tokens.states.float(), "mask": tokens.mask}
