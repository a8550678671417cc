"""Sheets of settings, and ways between pictures, of a known network that hears words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from phosphene.families.generator import Generator, load
from phosphene.pictures.embedded import read_settings
from tests.families.test_text import LONG, SHORT
from tests.families.test_text import asked as asked
from tests.families.test_text import encoder as encoder
from tests.families.test_text import folder as folder


def test_each_cell_is_what_sampling_gives(asked: Generator):
    made = asked.grid(
        ("guidance", [1.0, 3.0]), ("steps", [2, 4]), ("seed", [5, 6]), prompt=SHORT, solver="dpmpp_2m_sde"
    )
    cells = iter(range(8))
    for seed in (5, 6):
        for steps in (2, 4):
            for guidance in (1.0, 3.0):
                alone = asked.sample(
                    1, prompt=SHORT, guidance=guidance, steps=steps, seed=seed, solver="dpmpp_2m_sde"
                )
                i = next(cells)
                assert torch.equal(made.values[i : i + 1], alone.values)
                assert dict(made.settings[i]) == dict(alone.settings[0])
    assert made.names[:3] == ("z0-y0-x0.png", "z0-y0-x1.png", "z0-y1-x0.png")


@pytest.mark.parametrize(
    ("knob", "values"),
    [
        ("prompt", [SHORT, None, LONG]),
        ("negative", [None, "a star"]),
        ("solver", ["ddim", "heun"]),
        ("grid", ["trailing", "log_snr"]),
        ("interval", [None, (0.2, 5.0)]),
        ("weaker", [None, 0.05]),
        ("threshold", ["none", "clip"]),
        ("first", [0, 3]),
    ],
)
def test_every_knob_of_a_question(asked: Generator, knob: str, values: list[Any]):
    fixed: dict[str, Any] = {"guidance": 2.0} | ({} if knob == "prompt" else {"prompt": SHORT})
    made = asked.grid((knob, values), **fixed)
    for i, value in enumerate(values):
        assert torch.equal(made.values[i : i + 1], asked.sample(1, **fixed, **{knob: value}).values)
    assert not torch.equal(made.values[0], made.values[1])


@pytest.mark.parametrize(
    ("knob", "values"), [("strength", [0.3, None, 1.0]), ("prompt", [SHORT, LONG]), ("seed", [1, 2])]
)
def test_each_cell_is_what_editing_gives(asked: Generator, knob: str, values: list[Any]):
    image = Image.new("L", (8, 8), 60)
    fixed: dict[str, Any] = {"guidance": 2.0, "steps": 4} | ({} if knob == "prompt" else {"prompt": SHORT})
    made = asked.grid((knob, values), image=image, **fixed)
    for i, value in enumerate(values):
        assert torch.equal(made.values[i : i + 1], asked.edit(image, **fixed, **{knob: value}).values)
    assert not torch.equal(made.values[0], made.values[1])


def test_knobs_of_the_model_that_is_asked(asked: Generator, folder: Path):
    made = asked.grid(("ema", [None, 0.05]), ("run", [None, str(folder)]), prompt=SHORT)
    long, short = asked.sample(1, prompt=SHORT), load(folder, "cpu", 0.05, "fp32").sample(1, prompt=SHORT)
    for i, one in enumerate((long, short, long, short)):
        assert torch.equal(made.values[i : i + 1], one.values)


def test_words_are_changed_under_one_seed(asked: Generator):
    made = asked.grid(("guidance", [1.0, 2.0]), prompt="a {red,blue} star and a {,big} circle", seed=3)
    assert [axis.values for axis in made.axes] == [(1.0, 2.0), ("red", "blue"), ("", "big")]
    prompts = [said["prompt"] for said in made.settings]
    assert prompts[0] == "a red star and a circle"
    assert prompts[3::4] == ["a blue star and a circle", "a blue star and a big circle"]
    alone = asked.sample(1, prompt="a blue star and a big circle", seed=3, guidance=2.0)
    assert torch.equal(made.values[-1:], alone.values)


def test_a_sheet_is_written_with_what_was_asked(asked: Generator, tmp_path: Path):
    made = asked.grid(("guidance", [1.0, 3.0]), ("steps", [2, 4]), prompt=SHORT)
    paths = made.save(tmp_path)
    assert [path.name for path in paths] == ["sheet.png", *(f"y{y}-x{x}.png" for y in (0, 1) for x in (0, 1))]
    said = read_settings(paths[0])
    assert said["axes"] == [
        {"knob": "guidance", "values": [1.0, 3.0]},
        {"knob": "steps", "values": [2, 4]},
    ]
    assert said["heading"] == SHORT
    again = asked.sample(like=paths[3])
    assert torch.equal(again.values, made.values[2:3])
    # The cells lie in the sheet, enlarged: 8 pixels to 112.
    page = np.asarray(Image.open(paths[0]).convert("L"))
    for i, cell in enumerate(made):
        tile = np.kron(np.asarray(cell), np.ones((14, 14), np.uint8))
        left = page.shape[1] - 2 * 116 + i % 2 * 116
        top = page.shape[0] - 2 * 116 + i // 2 * 116
        assert np.array_equal(page[top : top + 112, left : left + 112], tile)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "axes: none; give x, for example guidance=1,2,4, or a prompt with {red,blue}"),
        ({"x": ("batch", [1])}, "axis 'batch': knobs are seed, first, label"),
        ({"x": ("seed", [])}, "axis seed: no values"),
        ({"x": ("seed", [1]), "y": ("seed", [2])}, "axis seed: twice; give each knob once"),
        ({"x": ("seed", [1]), "seed": 3}, "seed 3: beside an axis of it; give one of the two"),
        ({"x": ("prompt", ["a"]), "prompt": "b"}, "prompt 'b': beside an axis of it"),
        ({"x": ("seed", [1]), "y": ("steps", [1]), "prompt": "{a,b} {c,d}"}, "axes: 4; a sheet has 3 at"),
        ({"x": ("steps", [2, 0])}, "steps 0: give 1 or more"),
        ({"x": ("seed", [1]), "trajectory": True}, "trajectory: a sheet of cells keeps none"),
        ({"x": ("strength", [0.5])}, "strength: give image too"),
        ({"x": ("seed", [1]), "image_guidance": 2.0}, "image_guidance: give image too"),
        ({"x": ("best_of", [2]), "image": "a.png"}, "best_of: a picture that is changed has none"),
    ],
)
def test_sheets_that_cannot_be(asked: Generator, options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}[^\n]*$"):
        asked.grid(**options)


@pytest.mark.parametrize("solver", ["dpmpp_2m", "dpmpp_2m_sde"])
def test_a_way_begins_and_ends_at_its_places(asked: Generator, solver: str):
    how: dict[str, Any] = {"solver": solver, "guidance": 2.0, "negative": "a square"}
    way = asked.interpolate(5, seeds=[1, 2, 4], prompt=[SHORT, LONG, "a star"], **how)
    for i, (seed, prompt) in zip((0, 2, 4), ((1, SHORT), (2, LONG), (4, "a star")), strict=True):
        alone = asked.sample(1, seed=seed, prompt=prompt, **how)
        torch.testing.assert_close(way.values[i : i + 1], alone.values, rtol=1e-4, atol=1e-4)
    assert way.titles == (f"seed 1, {SHORT}", "0.50", f"seed 2, {LONG}", "0.50", "seed 4, a star")


def test_a_picture_of_a_way_does_not_depend_on_the_others(asked: Generator):
    way = asked.interpolate(5, seeds=[1, 2], prompt=[SHORT, LONG], solver="ddpm", batch=2, steps=4)
    whole = asked.interpolate(3, seeds=[1, 2], prompt=[SHORT, LONG], solver="ddpm", steps=4)
    torch.testing.assert_close(way.values[::2], whole.values, rtol=1e-4, atol=1e-4)
    steps = (way.values[1:] - way.values[:-1]).flatten(1).norm(dim=1)
    assert float(steps.max()) < float((way.values[-1] - way.values[0]).norm())


def test_a_way_is_written(asked: Generator, tmp_path: Path):
    way = asked.interpolate(11, seeds=[1, 2], prompt=SHORT, steps=2)
    paths = way.save(tmp_path)
    assert [path.name for path in paths[:3]] == ["sheet.png", "way.gif", "frame-000.png"]
    with Image.open(paths[1]) as film:
        assert getattr(film, "n_frames") == 20  # noqa: B009 - there and back, the ends once
    said = read_settings(tmp_path / "frame-005.png")
    assert said["between"] == [{"seed": 1, "prompt": SHORT}, {"seed": 2, "prompt": SHORT}]
    assert said["share"] == 0.5
    with pytest.raises(
        ValueError, match=r"it lies between two others; phosphene interpolate makes it again$"
    ):
        asked.sample(like=tmp_path / "frame-005.png")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "1 seeds: nothing to go between; give two seeds, prompts or labels, or more"),
        (
            {"seeds": [1, 2], "prompt": [SHORT] * 3},
            "2 seeds, 3 prompts: give as many of each, or one for all",
        ),
        ({"seeds": [1, 2, 3], "n": 2}, "n 2: give 3 or more; the places themselves are among them"),
        ({"seeds": [1, 2], "seed": 3}, "seed 3: beside seeds [1, 2]; give one of the two"),
        ({"seeds": [1, -2]}, "seed -2: give 0 or more"),
        ({"label": ["a", "b"]}, "label 'a': this model was trained without labels"),
        ({"prompt": [SHORT, ""]}, "prompt '': no words"),
    ],
)
def test_ways_that_lead_nowhere(asked: Generator, options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}[^\n]*$"):
        asked.interpolate(**options)


def test_the_command_line_makes_the_same(asked: Generator, folder: Path, tmp_path: Path, cli):
    common = ["--prompt", SHORT, "--quiet", "--precision", "fp32", "--device", "cpu"]
    axes = ["--x", "guidance=1,2", "--y", "seed=0..1"]
    out, alone, way = tmp_path / "grid", tmp_path / "alone", tmp_path / "way"
    said = cli("grid", folder, *axes, *common, "--out", out)
    assert said.code == 0, said.err
    said = cli("sample", folder, "-n", "1", "--guidance", "2", "--seed", "1", *common, "--out", alone)
    assert said.code == 0, said.err
    assert (out / "y1-x1.png").read_bytes() == (alone / "seed1-000000.png").read_bytes()
    said = cli("interpolate", folder, "-n", "3", "--seeds", "0,4", *common, "--out", way)
    assert said.code == 0, said.err
    assert len(list(way.iterdir())) == 5
    Image.new("L", (12, 8), 60).save(tmp_path / "given.png")
    given = ["--image", tmp_path / "given.png", *common]
    said = cli("grid", folder, "--x", "strength=0.3,0.6", *given, "--out", tmp_path / "changed")
    assert said.code == 0, said.err
    cut = "12x8 pixels; its middle square is taken at 8x8, the model's size"
    assert cut in said.out
    said = cli("edit", folder, "--strength", "0.6", *given, "--out", tmp_path / "edited")
    assert said.code == 0, said.err
    assert cut in said.out
    changed, edited = (tmp_path / name for name in ("changed/x1.png", "edited/seed0-000000.png"))
    assert changed.read_bytes() == edited.read_bytes()
    wrong = cli("grid", folder, "--x", "steps=few")
    assert (wrong.code, wrong.err.strip()) == (2, "phosphene: axis steps: 'few' is not a whole number")
