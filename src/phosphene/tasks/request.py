"""What one picture of a request is asked to be. Whatever is absent was not asked for."""

from dataclasses import dataclass

Label = int | str


@dataclass(frozen=True)
class Request:
    """label: a class, by name or index."""

    label: Label | None = None

    @property
    def asks(self) -> bool:
        """Whether there is anything that guidance could exaggerate."""
        return self.label is not None


NOTHING = Request()
