"""`phosphene doctor`: what it says, writes and returns; what it proposes can be trained."""

import json
import os
import shlex
import signal

import pytest

import phosphene
from phosphene.data.doctor.result import from_json
from phosphene.recipes.presets import RECIPES
from phosphene.recipes.settings import changed, parse_assignment
from phosphene.training import proposal, timing
from tests.cli.test_photographs import folder as folder  # the fixture
from tests.data.doctor.planted import CROPS


@pytest.fixture
def quick(monkeypatch):
    """A picture takes 10 ms, and nothing is timed."""
    monkeypatch.setattr(proposal, "measured", lambda *_: proposal.Step(0.01, "made up"))


def test_findings_report_and_json_of_an_album(folder, cli, tmp_path, quick):
    said = cli("doctor", folder, "--size", "16", "--out", tmp_path / "new" / "doctor", "--threads", "2")
    assert said.code == 1, said.err
    for line in (
        "44 pictures of 47, 2 classes, 1 captions; trained as 16x16 RGBA",
        "warning 3 of 47 pictures cannot be read",
        "          home/cut.jpg: truncated",
        "          home/01.jpg = home/again.jpg",
        "          holiday/press.jpg = home/05.jpg",
        "train with, for about 2.1 min on cpu:",
    ):
        assert line in said.out, line
    written = from_json((tmp_path / "new" / "doctor" / "doctor.json").read_text())
    assert written.code == 1
    assert "home/empty.png" in (tmp_path / "new" / "doctor" / "doctor.html").read_text()


def test_exit_codes_for_scripts(cli, tmp_path, quick):
    assert cli("doctor", "digits", "--quiet").code == 0
    said = cli("doctor", "digits", "--json", "-")
    assert json.loads(said.out)["used"] == 1797
    assert (said.code, said.out[-2:]) == (0, "}\n")
    for name, words in (
        (tmp_path / "none", "no folder"),
        (tmp_path, "is empty"),
    ):
        said = cli("doctor", name)
        assert said.code == 2
        assert words in said.err
        assert said.err.count("\n") == 1
    for i in range(2):
        CROPS[0].save(tmp_path / f"{i}.png")
    said = cli("doctor", tmp_path)
    assert said.code == 2
    assert "error" in said.out
    (tmp_path / "0.png").write_bytes(b"")
    (tmp_path / "1.png").write_bytes(b"")
    said = cli("doctor", tmp_path)
    assert said.code == 2
    assert "none of the 2 pictures" in said.err
    assert cli("doctor", "digits", "--recipe", "floww").code == 2
    assert cli("doctor", "digits", "--json", tmp_path / "no" / "x.json").code == 2


def test_help_documents_the_exit_codes(cli):
    said = cli("doctor", "--help")
    assert "0 healthy, 1 findings worth attention, 2 cannot be trained on" in " ".join(
        said.out.replace("│", " ").split()
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_nothing_is_written(cli, tmp_path, monkeypatch, quick, number):
    real = proposal.examine

    def stopped(*words, **more):
        os.kill(os.getpid(), number)
        return real(*words, **more)

    monkeypatch.setattr(proposal, "examine", stopped)
    said = cli("doctor", "digits", "--out", tmp_path / "out")
    assert (said.code, said.err) == (130, "stopped; nothing was written\n")
    assert not list((tmp_path / "out").iterdir())


def test_the_same_in_python(folder, tmp_path, quick):
    found = phosphene.doctor(
        folder, size=16, recipe="ddpm", budget="100s", json=tmp_path / "d.json", threads=1, progress=False
    )
    assert from_json((tmp_path / "d.json").read_text()) == found
    told = found.proposal
    assert told is not None
    assert (told.recipe, told.size, told.channels, told.each) == ("ddpm", 16, 4, 0.01)
    assert (told.images, told.seconds) == (10_000, 100)
    assert "--budget 100s" in told.command
    assert not any("may copy" in why for why in told.why)
    longer = phosphene.doctor(folder, size=16, budget=1000.0, progress=False).proposal
    assert longer is not None
    assert any("100,000 pictures" in why for why in longer.why)


def test_the_command_that_is_proposed_is_the_recipe_that_is_said(folder, tmp_path, quick):
    told = phosphene.doctor(folder, size=16, progress=False).proposal
    assert told is not None
    words = shlex.split(told.command)
    assert words[:3] == ["phosphene", "train", str(folder)]
    settings = dict(parse_assignment(word) for i, word in enumerate(words) if words[i - 1] == "--set")
    assert settings == told.settings == {"network.dropout": 0.2, "data.augment": 0.12}
    given = {words[i]: words[i + 1] for i in range(3, len(words), 2) if words[i] != "--set"}
    assert given == {"--recipe": "flow", "--size": "16", "--images": str(told.images), "--batch": "16"}
    # 40 pictures that differ, seen 316 times: the geometric middle of 100 and 1,000.
    assert told.images == round(40 * 100 * 10**0.5)
    assert changed(RECIPES["flow"], settings).network.dropout == 0.2


def test_a_picture_is_timed_on_the_recipes_network():
    step = proposal.measured(
        changed(RECIPES["flow"], {"network.width": 8, "network.blocks": 1, "network.head_width": 8}),
        proposal.Form(8, 3, heard=4),
        proposal.choose_device("cpu"),
    )
    assert 0 < step.seconds < 5
    assert "32 pictures of 8x8" in step.how


def test_larger_pictures_are_timed_small_and_scaled_by_what_they_cost(monkeypatch):
    recipe = changed(RECIPES["flow"], {"network.width": 8, "network.blocks": 1, "network.head_width": 8})
    recipe = changed(recipe, {"network.multipliers": [1, 1], "network.attention": []})
    monkeypatch.setattr(proposal, "LARGEST", 8)
    monkeypatch.setattr(timing.time, "perf_counter", iter(map(float, range(100))).__next__)
    step = proposal.measured(recipe, proposal.Form(16, 1), proposal.choose_device("cpu"))
    # Convolutions cost four times as much, attention more; the clock says a second for 32 pictures.
    assert step.seconds == pytest.approx(4 / 32, rel=0.03)
    assert "scaled by multiply-adds (4.1x)" in step.how
