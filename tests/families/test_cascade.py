"""A cascade: one folder, one call, each stage asked in its own way."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import phosphene
from phosphene.families.generator import Cascade, Generator
from phosphene.families.maker import load_like
from phosphene.networks.build import build
from phosphene.networks.unet import UNetConfig
from phosphene.pictures.pixels import to_bytes, to_values
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.recipes.tasks import InpaintingTask, NoTask, SuperResolutionTask, TaskSettings
from phosphene.store import model
from phosphene.store.model import Header
from phosphene.tasks.request import Request
from phosphene.tasks.sight import Shown
from tests.conftest import Said


def saved(
    folder: Path, size: int, task: TaskSettings, channels: int = 1, seed: int = 0, labels: bool = False
) -> Path:
    """A model folder with a small random network; labels for the base alone, unless they are asked for."""
    classes = ("a", "b") if labels or isinstance(task, NoTask) else ()
    shown = {"none": 0, "inpainting": 1 + channels, "super_resolution": 1 + channels}[task.kind]
    config = UNetConfig(
        channels + shown,
        channels,
        widths=(8,),
        attention=(False,),
        blocks=1,
        middle_attention=False,
        classes=len(classes),
    )
    torch.manual_seed(seed)
    network = build(config)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    header = Header(
        diffusion=DiffusionSettings(),
        sampling=SamplingSettings(steps=3, guidance=2.0 if classes else 1.0),
        size=size,
        channels=channels,
        classes=classes,
        task=task,
    )
    model.save(folder, header, network.config, network.state_dict(), "card")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("cascade")
    return [
        saved(root / "base", 8, NoTask()),
        saved(root / "twice", 16, SuperResolutionTask(factor=2), seed=1),
        saved(root / "four", 32, SuperResolutionTask(factor=4, augmentation=0.3), seed=2),
    ]


def test_one_call_goes_through_all_stages(parts: list[Path], tmp_path: Path):
    root = phosphene.cascade(
        parts, out=tmp_path / "cascade", steps=[2, 4], threshold=["none", "dynamic"], augmentation=[0.2]
    )
    whole = phosphene.load(root)
    assert isinstance(whole, Cascade)
    made = whole.sample(2, seed=5, label=["a", "b"])
    assert made.values.shape == (2, 1, 64, 64)
    assert made.evaluations == 2 + 4 + 3
    # By hand, stage by stage: the larger pictures of what a file of the smaller ones would show.
    base = phosphene.load(parts[0]).sample(2, seed=5, label=["a", "b"], steps=2).values
    for i, (place, how, level) in enumerate(
        [(parts[1], {"steps": 4, "threshold": "dynamic"}, 0.2), (parts[2], {}, 0.1)], 1
    ):
        stage = phosphene.load(place)
        shown = [Request(shown=Shown(one, level=level)) for one in to_values(to_bytes(base))]
        base = stage.make(shown, the_way(whole, i), seed=(5 + i * 0x9E3779B97F4A7C15) % 2**63, **how).values
    assert torch.equal(made.values, base)
    made.save(tmp_path / "made")
    again = whole.sample(like=tmp_path / "made" / "seed5-000001.png")
    torch.testing.assert_close(again.values, made.values[1:], rtol=0, atol=1e-5)
    assert isinstance(load_like(tmp_path / "made" / "seed5-000001.png"), Cascade)


def the_way(whole: Cascade, stage: int):
    from phosphene.families.shown import Tiled

    own: Generator = whole.further[stage - 1]
    task = own.model.header.task
    assert isinstance(task, SuperResolutionTask)
    return Tiled(own.size, own.size // 4, factor=task.factor)


def test_a_stage_is_a_model_folder_and_may_be_replaced(parts: list[Path], tmp_path: Path):
    root = phosphene.cascade(parts[:2], out=tmp_path / "cascade")
    before = phosphene.load(root).sample(1, label="a")
    before.save(tmp_path / "made")
    assert phosphene.load(root / "stages" / "1").size == 16
    saved(root / "stages" / "1", 16, SuperResolutionTask(factor=2), seed=7)
    after = phosphene.load(root)
    assert not torch.equal(after.sample(1, label="a").values, before.values)
    with pytest.raises(ValueError, match="made with other stages of a cascade"):
        after.sample(like=tmp_path / "made" / "seed0-000000.png")
    saved(root / "stages" / "1", 16, SuperResolutionTask(factor=2), seed=1)
    assert torch.equal(
        phosphene.load(root).sample(like=tmp_path / "made" / "seed0-000000.png").values, before.values
    )
    other = phosphene.cascade(parts[:2], out=tmp_path / "other", steps=[3, 2])
    with pytest.raises(ValueError, match="made with other stages of a cascade, or asked otherwise"):
        phosphene.load(other).sample(like=tmp_path / "made" / "seed0-000000.png")
    saved(root / "stages" / "1", 32, SuperResolutionTask(factor=2))
    with pytest.raises(ValueError, match="stage 1: it makes 32 pixels of 16, the stage before makes 8"):
        phosphene.load(root)


def test_what_only_the_base_does_is_refused(parts: list[Path], tmp_path: Path):
    whole = phosphene.load(phosphene.cascade(parts[:2], out=tmp_path / "cascade"))
    image = whole.sample(1, seed=3)[0]
    for name, given in (("edit", [image]), ("inpaint", [image, image]), ("upscale", [image])):
        with pytest.raises(ValueError, match=f"^{name}: this is a cascade, which does that with its base"):
            getattr(whole, name)(*given)
    with pytest.raises(ValueError, match=r"^restore: this is a cascade"):
        whole.restore(image, what="denoising")
    requests = [Request(label="b"), Request(label="a")]
    made = whole.make(requests, seed=3)
    assert torch.equal(made.values, whole.sample(2, seed=3, label=["b", "a"]).values)


def test_a_label_goes_through_all_stages_by_name_and_by_index(parts: list[Path], tmp_path: Path):
    stage = saved(tmp_path / "stage", 16, SuperResolutionTask(factor=2), labels=True)
    whole = phosphene.load(phosphene.cascade([parts[0], stage], out=tmp_path / "cascade"))
    by_name = whole.sample(1, label="b").values
    assert torch.equal(whole.sample(1, label=1).values, by_name)


def test_a_larger_picture_than_a_stage_was_made_for_is_made_of_tiles(tmp_path: Path):
    base = saved(tmp_path / "base", 16, NoTask())
    small = saved(tmp_path / "small", 16, SuperResolutionTask(factor=2))
    root = phosphene.cascade([base, small], out=tmp_path / "cascade")
    assert phosphene.load(root).sample(1).values.shape == (1, 1, 32, 32)


def test_what_does_not_fit_is_refused(parts: list[Path], tmp_path: Path):
    other = saved(tmp_path / "other", 8, InpaintingTask())
    colour = saved(tmp_path / "colour", 16, SuperResolutionTask(factor=2), channels=3)
    base, twice, four = parts
    bare = saved(tmp_path / "bare", 16, SuperResolutionTask(factor=2))
    (bare / "model.safetensors").unlink()
    for models, sampling, augmentation, words in (
        ([base], {}, [], "models: 1; give the base and at least one that makes it larger"),
        ([twice, four], {}, [], "stage 0: it was trained for super_resolution; the base makes"),
        ([base, other], {}, [], "stage 1: it was trained for inpainting; stages after the base are of"),
        ([base, colour], {}, [], "stage 1: its pictures have 3 channels, the base's 1"),
        ([base, twice, four], {}, [0.1, 0.4], "stage 2: augmentation 0.4: it was trained from 0 to 0.3"),
        ([base, twice], {"steps": [1, 2, 3]}, [], "steps: 3 values for 2 stages"),
        ([base, twice], {"solver": ["dimm"]}, [], "stage 0: solver 'dimm': did you mean 'ddim'?"),
        ([base, twice], {}, [0.1, 0.1], "augmentation: 2 values for 1 stages after the base"),
        (
            [base, twice],
            {"solver": ["ddim", "ddpm_learned"]},
            [],
            "stage 1: solver 'ddpm_learned': this model",
        ),
        ([base, twice], {"guidance": [2.0, 3.0]}, [], "stage 1: guidance 3: it was trained without labels"),
        ([base, bare], {}, [], "bare: model.safetensors is missing; weights must be safetensors"),
    ):
        said: dict[str, Any] = sampling
        with pytest.raises(ValueError, match=re.escape(words)):
            phosphene.cascade(models, out=tmp_path / "none", augmentation=augmentation, **said)
    assert not (tmp_path / "none").exists()


def test_a_folder_is_made_where_none_was_of_a_model_that_a_kill_left_aside(parts: list[Path], tmp_path: Path):
    (tmp_path / "run").mkdir()
    saved(tmp_path / "run" / "model", 8, NoTask()).rename(tmp_path / "run" / "model.old")
    root = phosphene.cascade([tmp_path / "run", parts[1]], out=tmp_path / "new" / "cascade")
    assert torch.equal(
        phosphene.load(root / "stages" / "0").sample(1).values, phosphene.load(parts[0]).sample(1).values
    )


def test_the_command_line_puts_one_together_and_asks_it(
    parts: list[Path], tmp_path: Path, cli: Callable[..., Said]
):
    said = cli(
        "cascade", *parts[:2], "--out", tmp_path / "c", "--steps", "2", "--steps", "1", "--augmentation", "0"
    )
    assert said.code == 0, said.err
    said = cli("sample", tmp_path / "c", "-n", "2", "--out", tmp_path / "out", "--quiet")
    assert said.code == 0, said.err
    assert (tmp_path / "out" / "sheet.png").is_file()
    assert cli("sample", tmp_path / "c", "-n", "1", "--quiet").code == 0
    assert (tmp_path / "c" / "samples" / "seed-0" / "sheet.png").is_file()
    said = cli("info", tmp_path / "c")
    assert said.code == 0, said.err
    words = " ".join(said.out.split())
    assert "pictures 8x8 grey" in words
    assert "stage 1 makes them 16x16: dpmpp_2m, 1 steps, augmentation 0 (sha256 " in words
    assert "sampling dpmpp_2m, 2 steps" in words
    said = cli("cascade", *parts[:2], "--out", tmp_path / "c")
    assert said.err.startswith("phosphene: out ")


def test_every_knob_is_on_both_sides():
    import inspect

    from phosphene.cli.cascade import cascade

    assert set(inspect.signature(cascade).parameters) == set(inspect.signature(phosphene.cascade).parameters)
