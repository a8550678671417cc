"""One self-contained page: a title, sections, a foot.

Text is escaped wherever it comes from (Jinja2's autoescape); blocks that are HTML already are `Markup`. The
page's own policy forbids scripts and anything from elsewhere, so that a hostile caption can do nothing even
where escaping failed, and a page that is sent to somebody looks the same and tells nobody that it was opened.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from phosphene.version import __version__

TEMPLATES = Path(__file__).parent / "templates"

Block = Markup | str


class Section(NamedTuple):
    """A titled part of a page; a block that is a plain string is a paragraph's worth of text, escaped."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@cache
def environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def macro(name: str, *values: Any) -> Markup:
    """What a macro of blocks.html makes of the values."""
    return Markup(getattr(environment().get_template("blocks.html").module, name)(*values))


def page(title: str, sections: Sequence[Section], *, under: Block = "", foot: Block = "") -> str:
    """The page as HTML. under: a line below the title. foot: the last line; by default who made the page."""
    style = Markup((TEMPLATES / "style.css").read_text())
    return (
        environment()
        .get_template("page.html")
        .render(
            title=title,
            under=under,
            sections=[Section(s.title, list(map(paragraph, s.blocks))) for s in sections],
            foot=foot or f"Made by phosphene {__version__}.",
            style=style,
        )
    )


def paragraph(block: Block) -> Markup:
    """A block as it is; a plain string as a paragraph."""
    return block if isinstance(block, Markup) else Markup("<p>{}</p>").format(block)
