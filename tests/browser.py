"""Pages in a real browser: chromium, driven by Playwright.

`.ci/run` installs it; elsewhere these tests are left out where there is none.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ALONE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESKTOP, PHONE = 1280, 390  # CSS pixels

LOOK = """() => {
  const boxes = ".scroll, .strip, pre, svg, details:not([open])";
  const outside = (a, b) =>
    b.width && (b.left < a.left - 1 || b.right > a.right + 1 || b.top < a.top - 1 || b.bottom > a.bottom + 1);
  const over = (t, u) => {
    const a = t.getBoundingClientRect(), b = u.getBoundingClientRect();
    return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > Math.min(a.height, b.height) / 3;
  };
  const name = e => (e.outerHTML || "").slice(0, 100);
  const all = [...document.body.querySelectorAll("*")];
  const charts = [...document.querySelectorAll("svg")];
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    beyond: all.filter(e => e.getBoundingClientRect().right > innerWidth + 1
      && !e.parentElement.closest(boxes)).map(name),
    pictures: document.images.length,
    broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt),
    charts: charts.length,
    clipped: charts.flatMap(svg => [...svg.querySelectorAll("text")].filter(
      t => outside(svg.getBoundingClientRect(), t.getBoundingClientRect())).map(t => t.textContent)),
    crowded: charts.flatMap(svg => { const some = [...svg.querySelectorAll("text")];
      return some.filter((t, i) => some.slice(0, i).some(u => over(t, u))).map(t => t.textContent); }),
    small: all.filter(e => !e.closest("svg") && [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())
      && parseFloat(getComputedStyle(e).fontSize) < 11).map(name),
  };
}"""

HIDDEN = """() => [...document.querySelectorAll("details")].filter(d =>
  [...d.children].some(e => e.tagName != "SUMMARY" && !e.getBoundingClientRect().height)).length"""


class Look(NamedTuple):
    """What a browser sees of a page.

    overflow: CSS pixels that it is wider than the window. beyond: elements that end outside it and are in no
    box that scrolls. broken: pictures that are not decoded. clipped, crowded: words that leave
    their chart, or lie on one another in it. small: elements with letters below 11 CSS pixels.
    """

    overflow: int
    beyond: list[str]
    pictures: int
    broken: list[str]
    charts: int
    clipped: list[str]
    crowded: list[str]
    small: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of a process."""
    where = shutil.which("chromium") or shutil.which("google-chrome")
    if where is None:
        pytest.skip("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=where, args=list(ALONE))
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, path: Path, width: int) -> Iterator[tuple[Page, list[str]]]:
    """A page at a width; and what it asks for but itself and what it holds, and what it complains of."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page, said = context.new_page(), list[str]()
    address = path.resolve().as_uri()
    page.on(
        "request",
        lambda asked: (
            None if asked.url == address or asked.url.startswith("data:") else said.append(asked.url)
        ),
    )
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    yield page, said
    context.close()


def look(page: Page) -> Look:
    found: Any = page.evaluate(LOOK)
    return Look(**found)


def sound(browser: Browser, path: Path) -> Look:
    """Asserts what holds of every page, on a desktop, a phone and on paper; what the phone shows."""
    for width in (DESKTOP, PHONE):
        with opened(browser, path, width) as (page, said):
            seen = look(page)
            fine = Look(0, [], seen.pictures, [], seen.charts, [], [], [])
            assert (width, seen) == (width, fine)
            closed = page.locator("details:not([open])").count()
            for one in page.locator("details > summary").all():
                one.click()
            assert page.locator("details[open]").count() == closed
            assert page.evaluate(HIDDEN) == 0
            assert (width, "opened", look(page)) == (width, "opened", fine)
            assert said == []
    with opened(browser, path, DESKTOP) as (page, said):
        page.emulate_media(media="print")
        assert page.evaluate(HIDDEN) == 0  # what is shown when asked for is always shown on paper
        assert not page.locator("nav").is_visible()
        assert page.pdf(format="A4")[:5] == b"%PDF-"
        assert said == []
    return seen
