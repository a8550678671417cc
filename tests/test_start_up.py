"""What is loaded before a first picture: every module that is not needed makes everybody wait."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from phosphene.networks.unet import UNet, UNetConfig
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store import model

SLOW = {
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "PIL",
    "triton",
    "sympy",
    "transformers",
    "matplotlib",
}
NEEDED = {"torch", "numpy", "PIL"}  # to make pictures
ABOVE = {"api", "demo", "evaluation", "lessons", "measures", "pages", "training"}


def loaded(code: str) -> set[str]:
    """Names of modules in a new process after code."""
    code += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def slow(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules} & SLOW


def command(*words: object) -> str:
    """Code that runs a command to its end."""
    return f"""
import sys
from phosphene.cli.main import main
sys.argv = {["phosphene", *map(str, words)]!r}
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small model."""
    config = UNetConfig(in_channels=1, out_channels=1, widths=(8, 8), attention=(False, True), blocks=1)
    network, place = UNet(config), tmp_path_factory.mktemp("small") / "model"
    header = model.Header(diffusion=DiffusionSettings(), sampling=SamplingSettings(), size=8, channels=1)
    model.save(place, header, config, network.state_dict(), "")
    return place


def test_import():
    modules = loaded("import phosphene")
    assert not slow(modules)
    assert not {"pydantic", "rich", "typer"} & modules


def test_help():
    assert not slow(loaded(command("--help")))


def test_sample(folder, tmp_path):
    modules = loaded(command("sample", folder, "-n", 1, "--steps", 2, "--out", tmp_path / "out"))
    assert (tmp_path / "out" / "sheet.png").is_file()
    assert slow(modules) == NEEDED
    assert not {f"phosphene.{room}" for room in ABOVE} & modules
    assert not {"torch._dynamo", "torch._inductor", "torch.utils.flop_counter"} & modules


def test_load_and_sample(folder):
    modules = loaded(f"import phosphene; phosphene.load({str(folder)!r}).sample(1, steps=2)")
    assert slow(modules) == NEEDED
    assert not {"rich", "typer", "phosphene.cli", *(f"phosphene.{room}" for room in ABOVE)} & modules


def test_importing_torch_is_not_searched_for_garbage():
    code = """
import gc, phosphene
seen = []
gc.callbacks.append(lambda when, about: seen.append(about["generation"]))
phosphene.load
assert gc.isenabled() and 2 not in seen, seen
gc.disable()
phosphene.Recipe
assert not gc.isenabled()
"""
    loaded(code)
