"""Which precision "auto" takes."""

import json

import pytest
import torch

from phosphene import files
from phosphene.families import precision
from phosphene.families.precision import choose_precision
from phosphene.networks.build import Repeated, repeated
from phosphene.networks.transformer import Transformer, TransformerConfig, TransformerLayer
from phosphene.networks.unet import UNetConfig

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("units", "half", "expected"),
    [
        ("amx_bf16", 1.0, "bf16"),
        ("avx512_bf16", 1.95, "fp32"),
        ("avx512_bf16", 3.0, "fp32"),
        ("", 1.0, "fp32"),
    ],
)
def test_auto_takes_bf16_on_a_cpu_where_it_has_units_and_they_are_clearly_faster(
    monkeypatch, units, half, expected
):
    monkeypatch.setattr(precision, "bf16_units", lambda: units)
    monkeypatch.setattr(precision, "seconds", lambda of, training: {"fp32": 2.0, "bf16": half})
    chosen = choose_precision("auto", CPU, Repeated("block", 64))
    assert chosen.name == expected
    assert ("2000.00 ms" in chosen.why) == bool(units)
    assert choose_precision("auto", CPU, Repeated("layer", 31)).name == "fp32"


def test_what_was_asked_for_is_taken():
    assert choose_precision("bf16", CPU, Repeated("block", 8)) == ("bf16", "as asked")
    with pytest.raises(ValueError, match="precision fp16: for GPUs only"):
        choose_precision("fp16", CPU, Repeated("block", 64))


def test_a_part_is_timed_once_a_machine_and_use(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "cache", lambda: tmp_path)
    cases = [(Repeated(kind, 8), training) for kind in ("block", "layer") for training in (False, True)]
    times = iter({"fp32": 1.0 + i, "bf16": 2.0 + i} for i in range(len(cases)))
    monkeypatch.setattr(precision, "measure", lambda of, training: next(times))
    for _ in range(2):
        for i, (of, training) in enumerate(cases):
            assert precision.seconds(of, training) == {"fp32": 1.0 + i, "bf16": 2.0 + i}
    assert len(list(tmp_path.rglob("*.json"))) == len(cases)


@pytest.mark.parametrize("kind", ["block", "layer"])
def test_both_ways_are_measured_and_leave_torchs_generator_alone(kind):
    before = torch.get_rng_state()
    for training in (False, True):
        took = precision.measure(Repeated(kind, 32), training)
        assert set(took) == {"fp32", "bf16"}
        assert all(0 < seconds < 10 for seconds in json.loads(json.dumps(took)).values())
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_timed_is_what_the_network_repeats(monkeypatch):
    """A transformer is not judged by convolutions: here its layer gains by bf16 and a block does not."""
    took = {"block": {"fp32": 1.0, "bf16": 2.0}, "layer": {"fp32": 2.0, "bf16": 1.0}}
    monkeypatch.setattr(precision, "bf16_units", lambda: "avx512_bf16")
    monkeypatch.setattr(precision, "seconds", lambda of, training: took[of.kind])
    unet = UNetConfig(1, 1, (64,), (False,))
    transformer = TransformerConfig(1, 1, 8, 64, 2)
    assert choose_precision("auto", CPU, repeated(unet)).name == "fp32"
    chosen = choose_precision("auto", CPU, repeated(transformer))
    assert chosen.name == "bf16"
    assert "a layer of 64 channels" in chosen.why
    layer = precision.TIMED["layer"](64).module
    assert isinstance(layer, TransformerLayer)
    assert layer.state_dict().keys() == Transformer(transformer).layers[0].state_dict().keys()
