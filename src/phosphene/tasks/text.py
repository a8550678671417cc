"""Text as a condition: captions of training pictures and prompts of requests become the same states.

Both are what the frozen encoder says of one text, rounded to float16 as the cache keeps it, padded, masked.
Of a picture with several captions each step takes one, by (seed, step); measurements take the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float16, Float64, Int64
from torch import Tensor

from phosphene.data.captions import Captions
from phosphene.data.states import States, Tokens, encoded, padded
from phosphene.store.text_encoder import TextEncoder

REMEMBERED = 4096  # prompts


@dataclass(frozen=True)
class Captioned:
    """The captions of a data set, and their states. cut: how many are longer than the encoder reads."""

    captions: Captions
    states: States
    cut: int = 0

    def of(self, pictures: Int64[Tensor, " b"], share: Float64[Tensor, " b"] | None = None) -> Tokens:
        """The states of one caption of each picture, on its device. share in (0, 1): which; None: first."""
        numbers = pictures.cpu().numpy()
        chosen = np.zeros(len(numbers)) if share is None else share.cpu().numpy()
        states, mask = self.states.take(self.captions.choose(numbers, chosen))
        return Tokens(states.to(pictures.device), mask.to(pictures.device))


@dataclass(frozen=True)
class Text:
    """That a model hears text. width: of a state. find: the encoder, which is read when there is a text."""

    width: int
    find: Callable[[], TextEncoder]

    def of(self, field: str, texts: Sequence[str | None]) -> Tokens:
        """The states of texts; None is no token. Raises ValueError for one that is empty or too long."""
        return padded([None if text is None else self._row(field, text) for text in texts], self.width)

    def _row(self, field: str, text: str) -> Float16[np.ndarray, "t d"]:
        if not text.strip():
            raise ValueError(f"{field} {text!r}: no words; leave it out to ask for nothing")
        return _states(self.find(), field, text.strip())


@lru_cache(maxsize=REMEMBERED)
def _states(encoder: TextEncoder, field: str, text: str) -> Float16[np.ndarray, "t d"]:
    # Alone: a picture does not depend on what others of its request are asked for.
    encoder.refuse(field, [text])
    return encoded(encoder, [text])[0]
