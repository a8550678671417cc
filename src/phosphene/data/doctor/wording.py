"""Names of files and spans of time, as they are shown."""


def clean(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 are marked, line breaks and the like are spaces."""
    whole = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in whole)


def duration(seconds: float) -> str:
    """In the unit that a person would use: 40 s, 12 min, 3.5 h, 4 days."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= 1.5 * length:
            return f"{_short(seconds / length)} {unit}"
    return f"{_short(1e3 * seconds)} ms"


def _short(value: float) -> str:
    """Two significant digits."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
