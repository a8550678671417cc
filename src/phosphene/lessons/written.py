"""A lesson as a page and as a notebook."""

import json
import re
from collections.abc import Iterable, Sequence

from markdown_it import MarkdownIt
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from phosphene.lessons.source import Cell, Source, lessons
from phosphene.pages import blocks
from phosphene.pages.page import Section, page

NAME = re.compile(r"`([a-z-]+)`")
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def html_of(lesson: Source, parts: Sequence[tuple[Cell, str, Markup | str | None]]) -> str:
    """The page of a lesson: text, code, what was printed, what was shown."""
    sections, heading, body = list[Section](), "", list[Markup]()
    for cell, printed, shown in parts:
        if cell.kind != "markdown":
            body.append(coloured(cell.source))
            if printed:
                body.append(blocks.code(printed.rstrip()))
            if shown is not None:
                body.append(shown if isinstance(shown, Markup) else blocks.code(shown))
            continue
        for level, words, text in _headed(cell.source):
            if level == 1:
                body.append(markdown(text))
                continue
            sections.append(Section(heading or "What this is about", body))
            heading, body = words, [markdown(text)] if text else []
    sections.append(Section(heading or "What this is about", body))
    some = next(iter(lesson.knobs.values()))
    foot = (
        "Made by phosphene while it ran. Change a value and run it again: "
        f"phosphene explain {lesson.name} --set {some.name}={some.value}. "
        "All lessons, for the links to work: phosphene explain all."
    )
    return page(lesson.title, sections, foot=foot).replace("</style>", f"{_colours()}</style>", 1)


def _headed(text: str) -> Iterable[tuple[int, str, str]]:
    """(level, heading, text below it) for each heading of a cell; level 1 also for text without one."""
    for piece in re.split(r"^(?=#{1,2} )", text, flags=re.MULTILINE):
        if not piece:
            continue
        head, _, rest = piece.partition("\n")
        marks = len(head) - len(head.lstrip("#"))
        yield (marks, head.lstrip("# "), rest.strip()) if marks in (1, 2) else (1, "", piece)


def markdown(text: str) -> Markup:
    return Markup(MARKDOWN.render(linked(text, "{name}.html")))


def linked(text: str, to: str) -> str:
    """Names of lessons as links to their pages or notebooks, which lie side by side."""
    numbers = {name: number for number, name in enumerate(lessons())}

    def link(match: re.Match[str]) -> str:
        name = match[1]
        return f"[{match[0]}]({to.format(name=name, number=numbers[name])})" if name in numbers else match[0]

    return NAME.sub(link, text)


def coloured(source: str) -> Markup:
    """Python with its syntax in colours."""
    return Markup(highlight(source, PythonLexer(), HtmlFormatter(cssclass="source")))


def _colours() -> str:
    light = HtmlFormatter(style="default", cssclass="source").get_style_defs(".source")
    dark = HtmlFormatter(style="github-dark", cssclass="source").get_style_defs(".source")
    plain = ".source, .source pre { background: var(--raised) !important; }"
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}\n{plain}"


def _for_notebook(cell: Cell) -> str:
    return linked(cell.source, "{number}-{name}.ipynb") if cell.kind == "markdown" else cell.source


def index() -> str:
    """A page that lists the lessons, for a folder that holds them all."""
    rows = [
        Markup('<p><a href="{}.html">{}</a><br>{}</p>').format(name, source.title, source.summary)
        for name, source in lessons().items()
    ]
    under = "Pages whose pictures, numbers and claims are made while they run."
    return page("How diffusion works", [Section("Lessons", rows)], under=under)


def notebook(source: Source) -> str:
    """The lesson as a Jupyter notebook (nbformat 4.5), without outputs: running it makes them."""
    cells = [
        {
            "cell_type": "markdown" if cell.kind == "markdown" else "code",
            "id": f"{source.name}-{number}",
            "metadata": {"cellView": "form"} if cell.kind == "knobs" else {},
            "source": _for_notebook(cell).splitlines(keepends=True),
        }
        | ({} if cell.kind == "markdown" else {"execution_count": None, "outputs": []})
        for number, cell in enumerate(source.cells)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
