"""What a cell of a lesson shows: pictures, charts, numbers, and claims that are true or not."""

import html
import re
from functools import cache

from markupsafe import Markup
from PIL import Image

from phosphene.pages import blocks
from phosphene.pages.page import TEMPLATES, Block

Showable = Image.Image | Markup | str


class Shown:
    """A part of a page that notebooks can show too."""

    def __init__(self, markup: Markup) -> None:
        self.markup = markup

    def _repr_html_(self) -> str:
        """For notebooks, which have no style of ours: in a box with the page's, light."""
        return f'<div style="{_variables()}">{self.markup}</div>'


class Claim(Shown):
    """A sentence and whether it came true, with the number that decides."""

    def __init__(self, words: str, holds: bool, seen: str) -> None:
        self.words, self.holds, self.seen = words, bool(holds), seen
        verdict = "holds" if self.holds else "does not hold with these values"
        title = f"{verdict}: {seen}" if seen else verdict
        super().__init__(blocks.note(words, "good" if self.holds else "bad", title))


def show(*things: Showable, caption: Block = "", side: int = 96) -> Shown:
    """Pictures, charts and words, side by side where there is room."""
    parts = [
        blocks.picture(thing, "", side=side, titled=True)
        if isinstance(thing, Image.Image)
        else blocks.paragraph(thing)
        for thing in things
    ]
    body = parts[0] if len(parts) == 1 else blocks.grid(*parts)
    return Shown(blocks.figure(body, caption) if caption else body)


def claim(words: str, holds: bool, seen: float | int | str = "") -> Claim:
    """States something that the cell has just measured. seen: the number or words that decide."""
    return Claim(words, holds, str(blocks.cell(seen)))


@cache
def _variables() -> str:
    """The light colours of the page's style."""
    found = re.search(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(), re.DOTALL)
    assert found is not None
    return html.escape(" ".join(re.sub(r"color-scheme:[^;]*;", "", found[1]).split()))
