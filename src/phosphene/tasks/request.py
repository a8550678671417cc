"""What one picture of a request is asked to be. Whatever is absent was not asked for."""

from dataclasses import dataclass
from typing import Any

from phosphene.tasks.sight import Shown

Label = int | str


@dataclass(frozen=True)
class Request:
    """label: a class, by name or index. prompt: in words. negative: what guidance leads away from, in words,
    instead of from what is made of no prompt. shown: a picture that it is made from."""

    label: Label | None = None
    prompt: str | None = None
    negative: str | None = None
    shown: Shown | None = None

    def describe(self) -> dict[str, Any]:
        """What was asked in words and labels."""
        return {"label": self.label, "prompt": self.prompt, "negative": self.negative}

    @property
    def asks(self) -> bool:
        """Whether there is anything that guidance could exaggerate."""
        return any(value is not None for value in (self.label, self.prompt, self.negative))


NOTHING = Request()
