"""Whose work a file is, as Debian and KDE write it down.

Debian's copyright files (machine-readable format 1.0): paragraphs with Files (patterns), Copyright and
License; where several match a file, the last one counts. Patterns name paths of the source package, of which
the installed path keeps only the end. KDE's wallpapers have a metadata file of their own each.
"""

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import NamedTuple

KDE = re.compile(r"X-KDE-PluginInfo-(Author|License)=(.*)")


class Credit(NamedTuple):
    """Who holds the rights, and the short name of the licence, as Debian writes it."""

    holders: str
    licence: str


class Notice(NamedTuple):
    """One paragraph about files: its patterns and what it says of them."""

    files: tuple[str, ...]
    credit: Credit


def parse(text: str) -> tuple[Notice, ...]:
    """The paragraphs about files of a copyright file; none if it is in another format."""
    found = []
    for paragraph in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields = _fields(paragraph)
        if "files" in fields and "license" in fields:
            holders = "; ".join(
                line.strip() for line in fields.get("copyright", "").split("\n") if line.strip()
            )
            licence = fields["license"].split("\n")[0].strip()
            found.append(Notice(tuple(fields["files"].split()), Credit(holders, licence)))
    return tuple(found)


def credit(notices: Sequence[Notice], path: PurePath) -> Credit | None:
    """What the paragraphs say of an installed file."""
    return next(
        (said for files, said in reversed(notices) if any(_matches(pattern, path) for pattern in files)), None
    )


def own_credit(path: Path) -> Credit | None:
    """What a KDE wallpaper says of itself: NAME/metadata.json or .desktop above NAME/contents/images/FILE."""
    folder = path.parent.parent.parent
    if (folder / "metadata.json").is_file():
        try:
            said = json.loads((folder / "metadata.json").read_text("utf-8"))["KPlugin"]
            return Credit(", ".join(author["Name"] for author in said["Authors"]), said["License"])
        except (ValueError, KeyError, TypeError):  # of something else
            return None
    if (folder / "metadata.desktop").is_file():
        said = dict(KDE.findall((folder / "metadata.desktop").read_text("utf-8", "replace")))
        return Credit(said["Author"], said["License"]) if {"Author", "License"} <= said.keys() else None
    return None


def link(licence: str) -> str:
    """Where the licence of that short name can be read; empty for those not known here."""
    if match := re.fullmatch(r"CC-(BY|BY-SA)-([0-9.]+)", licence):
        return f"https://creativecommons.org/licenses/{match[1].lower()}/{match[2]}/"
    return next((place for start, place in LINKS.items() if licence.startswith(start)), "")


LINKS = {
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "GPL-2": "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html",
    "LGPLv3": "https://www.gnu.org/licenses/lgpl-3.0.html",
    "AGPL-3": "https://www.gnu.org/licenses/agpl-3.0.html",
    "OFL": "https://openfontlicense.org",
    "SIL": "https://openfontlicense.org",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "GUST": "https://www.gust.org.pl/projects/e-foundry/licenses",
    "Unicode": "https://www.unicode.org/terms_of_use.html",
}


def _fields(paragraph: str) -> dict[str, str]:
    """Field names in lower case; lines that begin with white space go on with the field before them."""
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.split("\n"):
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += "\n" + line
        elif ":" in line and not line.startswith("#"):
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value
    return fields


def _matches(pattern: str, path: PurePath) -> bool:
    ends = ("/".join(path.parts[start:]) for start in range(len(path.parts)))
    if any(fnmatchcase(end, pattern) for end in ends):
        return True
    last = pattern.rpartition("/")[2]
    return last.strip("*") != "" and fnmatchcase(path.name, last)
