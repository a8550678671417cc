"""What the network is told besides the noisy picture.

A condition is a row of tensors for each picture of a batch. Every field may be absent, and each present
field has a null, the value that says "nothing was asked": label -1, a token mask without a token.
Classifier-free guidance compares the answer under a condition with the answer under its null.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

NO_LABEL = -1


@dataclass(frozen=True)
class Condition:
    """Per-row inputs beside x. All present fields have the same number of rows b.

    label: class index in [0, classes), or NO_LABEL.
    tokens, mask: states of a text encoder, and which of them count; a row without any is the null.
    picture: channels joined to those of x (super-resolution, inpainting, editing), values in [-1, 1]; zeros
    everywhere are the null of a task that may be asked without one.
    augment: what the augmentation did to the training picture (EDM, appendix F.2); absent means zeros.
    """

    label: Int64[Tensor, " b"] | None = None
    tokens: Float[Tensor, "b n d"] | None = None
    mask: Bool[Tensor, "b n"] | None = None
    picture: Float[Tensor, "b c h w"] | None = None
    augment: Float[Tensor, "b a"] | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "Condition":
        """The condition with `change` applied to every present tensor (a device, a choice of rows)."""
        present = {f.name: getattr(self, f.name) for f in fields(self)}
        return Condition(**{name: change(value) for name, value in present.items() if value is not None})

    def padded(self, most: int) -> "Condition":
        """The condition with so many places for tokens, the new ones empty."""
        assert self.tokens is not None
        assert self.mask is not None
        more = most - self.mask.shape[1]
        if not more:
            return self
        return replace(
            self,
            tokens=functional.pad(self.tokens, (0, 0, 0, more)),
            mask=functional.pad(self.mask, (0, more)),
        )

    def null(self) -> "Condition":
        """The same rows with nothing asked: no label, no token. A picture is given, not asked: it stays."""
        return replace(
            self,
            label=None if self.label is None else torch.full_like(self.label, NO_LABEL),
            mask=None if self.mask is None else torch.zeros_like(self.mask),
        )

    def without_picture(self) -> "Condition":
        """The same rows with no picture given."""
        return replace(self, picture=None if self.picture is None else torch.zeros_like(self.picture))


def join(conditions: Sequence[Condition]) -> Condition:
    """Rows of several conditions below each other; all must have the same fields. Tokens are padded to the
    most that any has."""
    most = max((c.mask.shape[1] for c in conditions if c.mask is not None), default=0)
    conditions = [c if c.mask is None else c.padded(most) for c in conditions]
    first = conditions[0]
    present = [f.name for f in fields(first) if getattr(first, f.name) is not None]
    for other in conditions[1:]:
        assert [f.name for f in fields(other) if getattr(other, f.name) is not None] == present
    return Condition(**{name: torch.cat([getattr(c, name) for c in conditions]) for name in present})
