"""Packages of Debian's: real .deb files made here, with an apt-get that hands them out."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from phosphene import files
from phosphene.data.made.gathered import debian
from phosphene.data.made.gathered.debian import fetch

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")

APT = """#!/bin/sh
echo "$@" >> {log}
for word; do name=$word; done
case "$*" in *update*) exit 0;; esac
if [ -e {place}/no-index ]; then
    case "$*" in *Dir::State::lists=*) ;; *) echo "E: Unable to locate package $name" >&2; exit 100;; esac
fi
if [ -e {place}/$name.deb ]; then cp {place}/$name.deb ./"$name"_1_all.deb
else echo "W: something" >&2; echo "E: Unable to locate package $name" >&2; exit 100; fi
"""


class Archive:
    """A folder that stands for Debian."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def add(self, name: str, version: str, content: dict[str, str], as_name: str = "") -> Path:
        tree = self.place / "trees" / name
        (tree / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: n\nDescription: d\n"
        (tree / "DEBIAN/control").write_text(control)
        for path, text in content.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        (tree / "usr/link").parent.mkdir(exist_ok=True)
        (tree / "usr/link").symlink_to("/nowhere/at/all")
        deb = self.place / f"{as_name or name}.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", tree, deb], check=True, capture_output=True
        )
        return deb

    @property
    def asked(self) -> list[str]:
        log = self.place / "log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def archive(tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    apt = tools / "apt-get"
    apt.write_text(APT.format(log=tmp_path / "log", place=tmp_path))
    apt.chmod(apt.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "cache"))
    return Archive(tmp_path)


def test_a_package_is_unpacked_once_with_its_version_and_hash(archive):
    deb = archive.add(
        "fonts-a", "2:1.0-3", {"usr/share/a.ttf": "A", "usr/share/doc/fonts-a/copyright": "mine"}
    )
    said = []
    (package,) = fetch(["fonts-a"], said.append)
    assert package.name == "fonts-a"
    assert package.version == "2:1.0-3"
    assert package.sha256 == files.sha256(deb)
    assert (package.root / "usr/share/a.ttf").read_text() == "A"
    assert package.copyright == "mine"
    assert not (package.root / "usr/link").is_symlink()
    place = package.root.parent
    assert place == files.cache() / "debian" / "fonts-a"
    assert json.loads((place / "package.json").read_text())["sha256"] == package.sha256
    assert sorted(path.name for path in place.iterdir()) == ["package.json", "root"]
    assert said == ["fetching Debian's package fonts-a", f"fonts-a 2:1.0-3 is in {place}"]
    asked = archive.asked
    assert fetch(["fonts-a"], said.append) == (package,)
    assert archive.asked == asked
    assert len(said) == 2


def test_a_package_without_a_copyright_file_credits_nobody(archive):
    archive.add("bare", "1", {"usr/x": ""})
    assert fetch(["bare"], lambda words: None)[0].copyright == ""


def test_the_second_name_is_taken_where_there_is_no_first(archive):
    archive.add("new-name", "1", {"usr/x": ""})
    for _ in range(2):
        assert fetch(["old-name|new-name"], lambda words: None)[0].name == "new-name"
    archive.add("old-name", "1", {"usr/x": ""})
    fetch(["old-name"], lambda words: None)
    assert fetch(["old-name|new-name"], lambda words: None)[0].name == "old-name"


def test_an_index_is_fetched_into_the_cache_where_there_is_none(archive):
    archive.add("one", "1", {"usr/x": ""})
    archive.add("two", "1", {"usr/x": ""})
    (archive.place / "no-index").touch()
    fetch(["one", "two"], lambda words: None)
    own = files.cache() / "debian/.index"
    updates = [line for line in archive.asked if line.endswith("update")]
    assert len(updates) == 1, "the index of the first serves the second"
    assert f"Dir::State::lists={own}/lists" in updates[0]
    os.utime(own / "updated", (0, 0))
    shutil.rmtree(files.cache() / "debian/two")
    fetch(["two"], lambda words: None)
    assert len([line for line in archive.asked if line.endswith("update")]) == 2, "an old one is renewed"


def test_errors_are_one_line_that_names_the_other_way(archive, monkeypatch):
    with pytest.raises(
        ValueError, match=r"^package none cannot be had \(Unable to locate package none\): .*--from$"
    ):
        fetch(["none"], lambda words: None)
    archive.add("real", "1", {"usr/x": ""}, as_name="asked")
    with pytest.raises(ValueError, match=r"^package asked: what came is real$"):
        fetch(["asked"], lambda words: None)
    (archive.place / "broken.deb").write_text("no archive")
    with pytest.raises(ValueError, match=r"^package .*broken_1_all.deb cannot be had \(.*\): .*--from$"):
        fetch(["broken"], lambda words: None)
    monkeypatch.setenv("PATH", str(archive.place / "nothing"))
    with pytest.raises(ValueError, match=r"^no apt-get here, so no packages of Debian's: .*--from$"):
        fetch(["real"], lambda words: None)
    left = [path.name for path in (files.cache() / "debian").iterdir() if path.name != ".index"]
    assert left == [], "nothing half done stays"


def test_ctrl_c_during_a_download_is_no_error_of_the_package(archive, monkeypatch):
    monkeypatch.setattr(debian, "NETWORK", ())
    # A job in the background ignores the signal, and a shell cannot take that back.
    dies = "import os, signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)"
    (archive.place / "tools/apt-get").write_text(f"#!{sys.executable}\n{dies}\n")
    with pytest.raises(KeyboardInterrupt):
        fetch(["any"], lambda words: None)
