"""The sets from Debian's own packages: needs apt-get and the network, and a minute."""

import json
import shutil

import pytest

from phosphene.data.made.folder import read_made
from phosphene.data.made.sets import MADE, make_set

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get"),
]


@pytest.mark.parametrize("name", [name for name, made in MADE.items() if made.gathered])
def test_a_set_is_built_from_debians_packages(name, tmp_path):
    said = []
    out = make_set(name, out=tmp_path / name, count=200, say=said.append)
    made = read_made(out)
    assert made is not None
    assert sum(made["sides"].values()) == 200
    assert made["sides"]["held-out"] > 0
    assert any(words.startswith("fetching Debian's package") for words in said)
    readme = (out / "README.md").read_text()
    for package in made["packages"]:
        assert len(package["sha256"]) == 64
        assert f"{package['name']} {package['version']}" in readme
    assert "unknown" not in readme, "everybody is named"
    rows = [json.loads(line) for line in (out / "train/metadata.jsonl").read_text().splitlines()]
    if name == "emoji":
        assert made["names_without_picture"] == 0
        assert all(row["group"] for row in rows)
    if name == "glyphs":
        assert made["typefaces"] >= 150
        by_family = {row["family"]: row["design"] for row in rows}
        for copy, original in (("TeX Gyre Heros", "Nimbus Sans"), ("TeX Gyre Cursor", "Nimbus Mono PS")):
            assert by_family.get(copy, original) == by_family.get(original, original)
    if name == "photos":
        assert made["photos"] == 35, "DarkestHour is too smooth"
