"""Adapters on disk and in a model's weights: sums of what they say, nothing at weight 0."""

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from phosphene.networks.build import build
from phosphene.networks.lora import Factors, matrices
from phosphene.networks.unet import UNetConfig
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store import adapter, model
from phosphene.store.adapter import AdapterHeader, Weighted
from phosphene.store.model import Applied, Model
from tests.networks.perturbed import normal, perturbed

CONFIG = UNetConfig(1, 1, widths=(4, 8), attention=(False, False), blocks=1)
WIDER = UNetConfig(1, 1, widths=(6, 8), attention=(False, False), blocks=1)
HEADER = model.Header(diffusion=DiffusionSettings(), sampling=SamplingSettings(), size=8, channels=1)


def base(config: UNetConfig = CONFIG) -> Model:
    torch.manual_seed(0)
    return Model(HEADER, perturbed(build(config)), config, "f" * 64)


def factors(of: Model, rank: int, seed: int) -> dict[str, Factors]:
    found = {}
    for i, (name, weight) in enumerate(matrices(of.network).items()):
        rows, columns = weight.flatten(1).shape
        found[name] = Factors(normal(rank, columns, seed=seed + i), normal(rows, rank, seed=seed - i))
    return found


def written(folder: Path, of: Model, rank: int = 2, seed: int = 0, alpha: float = 3.0) -> Path:
    said = AdapterHeader(
        base="base", fingerprint="f" * 64, rank=rank, alpha=alpha, size=8, channels=1, ema=0.1
    )
    adapter.save(folder, said, factors(of, rank, seed), "card")
    return folder


def weighted(folder: Path, weight: float) -> Weighted:
    return Weighted(adapter.load(folder), weight)


def equal(one: Model, other: Model) -> bool:
    theirs = other.network.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.network.state_dict().items())


def test_what_is_written_comes_back(tmp_path: Path):
    of = base()
    read = adapter.load(written(tmp_path / "a", of))
    assert read.header.rank == 2
    assert read.header == adapter.read_header(tmp_path / "a")
    wanted = factors(of, 2, 0)
    assert read.factors.keys() == wanted.keys()
    for name, pair in wanted.items():
        assert all(torch.equal(*both) for both in zip(read.factors[name], pair, strict=True))


def test_merged_adds_scaled_changes(tmp_path: Path):
    """W + 0.5 (3/2) B1 A1 - 2 (3/4) B2 A2; the model itself stays."""
    of = base()
    before = {name: value.clone() for name, value in of.network.state_dict().items()}
    both = [
        weighted(written(tmp_path / "one", of), 0.5),
        weighted(written(tmp_path / "two", of, 4, 50), -2.0),
    ]
    made = adapter.merged(of, both)
    one, two, own = factors(of, 2, 0), factors(of, 4, 50), made.network.state_dict()
    for name, weight in before.items():
        wanted: Tensor = weight
        if name in one:
            change = 0.75 * one[name].b @ one[name].a - 1.5 * two[name].b @ two[name].a
            wanted = weight + change.view(weight.shape)
        torch.testing.assert_close(own[name], wanted)
    assert all(torch.equal(value, before[name]) for name, value in of.network.state_dict().items())
    assert [(one.place, one.weight) for one in made.adapters] == [
        (str(tmp_path / "one"), 0.5),
        (str(tmp_path / "two"), -2.0),
    ]
    # One after the other is both at once, but for the order of rounding.
    again = adapter.merged(adapter.merged(of, both[:1]), both[1:])
    assert equal(again, made)
    assert again.adapters == made.adapters


def test_weight_0_is_the_model_bit_for_bit(tmp_path: Path):
    of = base()
    made = adapter.merged(of, [weighted(written(tmp_path / "a", of), 0.0)])
    assert equal(made, of)
    # It was still asked for, and pictures say so.
    assert made.fingerprint != of.fingerprint


def test_the_fingerprint_is_of_model_adapters_and_weights(tmp_path: Path):
    of = base()
    places = [written(tmp_path / "a", of), written(tmp_path / "b", of, seed=9)]
    found = {
        adapter.merged(of, [weighted(place, weight) for place, weight in pairs]).fingerprint
        for pairs in (
            [(places[0], 1.0)],
            [(places[0], 0.5)],
            [(places[1], 1.0)],
            [(places[0], 1.0), (places[1], 1.0)],
        )
    }
    assert len(found) == 4


def test_another_network_is_refused_and_other_weights_are_said(tmp_path: Path):
    read = adapter.load(written(tmp_path / "a", base()))
    assert adapter.stranger(read, base()) is None
    other = Model(HEADER, base().network, CONFIG, "0" * 64)
    words = adapter.stranger(read, other)
    assert words is not None
    assert "learned on other weights (base, ffffffffffffffff)" in words
    with pytest.raises(ValueError, match=r"made for another network than this model's \(its base is base\)"):
        adapter.merged(base(WIDER), [Weighted(read, 1.0)])
    deeper = UNetConfig(1, 1, widths=(4, 8), attention=(False, True), blocks=1)
    more = adapter.load(written(tmp_path / "deeper", base(deeper)))
    with pytest.raises(ValueError, match="is no weight here"):
        adapter.merged(base(), [Weighted(more, 1.0)])


def damaged(folder: Path, change) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("enter.weight.lora_A"), "enter.weight.lora_A is missing"),
        (
            lambda t: t.update({"odd": torch.zeros(1)}),
            "odd is no factor, whose names end in .lora_A or .lora_B",
        ),
        (lambda t: t.update({"enter.weight.lora_A": torch.zeros(3, 9)}), "which have no product"),
        (
            lambda t: t.update({"enter.weight.lora_A": torch.full((2, 9), torch.nan)}),
            "enter.weight.lora_A holds values that are not finite",
        ),
    ],
)
def test_damaged_factors_are_refused(change, words: str, tmp_path: Path):
    damaged(written(tmp_path / "a", base()), change)
    with pytest.raises(ValueError, match=re.escape(words)):
        adapter.load(tmp_path / "a")


def test_what_is_no_adapter_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match="no adapter here"):
        adapter.load(tmp_path)
    folder = written(tmp_path / "a", base())
    settings = json.loads((folder / "adapter.json").read_text())
    (folder / "adapter.json").write_text(json.dumps(settings | {"rank": 0}))
    with pytest.raises(ValueError, match="rank 0"):
        adapter.load(folder)
    (folder / "adapter.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        adapter.load(folder)
    written(folder, base())
    (folder / "model.safetensors").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match="a pickle is never read"):
        adapter.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors is missing"):
        adapter.load(folder)


def test_a_kill_between_the_renames_loses_nothing(tmp_path: Path):
    folder = written(tmp_path / "model", base())
    folder.rename(tmp_path / "model.old")
    assert adapter.load(folder).header.base == "base"


def test_applied_survives_json():
    one = Applied("runs/ink", 0.5, "abc")
    assert Applied(**json.loads(json.dumps(one._asdict()))) == one
