"""Which precision "auto" takes."""

import json

import pytest
import torch

from phosphene import files
from phosphene.families import precision
from phosphene.families.precision import choose_precision

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
    monkeypatch.setattr(precision, "seconds", lambda width, training: {"fp32": 2.0, "bf16": half})
    chosen = choose_precision("auto", CPU, 64)
    assert chosen.name == expected
    assert ("2000.00 ms" in chosen.why) == bool(units)
    assert choose_precision("auto", CPU, 31).name == "fp32"


def test_what_was_asked_for_is_taken():
    assert choose_precision("bf16", CPU, 8) == ("bf16", "as asked")
    with pytest.raises(ValueError, match="precision fp16: for GPUs only"):
        choose_precision("fp16", CPU, 64)


def test_a_block_is_timed_once_a_machine_and_use(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "cache", lambda: tmp_path)
    times = iter([{"fp32": 1.0, "bf16": 2.0}, {"fp32": 3.0, "bf16": 4.0}])
    monkeypatch.setattr(precision, "measure", lambda width, training: next(times))
    for _ in range(2):
        assert precision.seconds(8, training=False) == {"fp32": 1.0, "bf16": 2.0}
        assert precision.seconds(8, training=True) == {"fp32": 3.0, "bf16": 4.0}
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_both_ways_are_measured_and_leave_torchs_generator_alone():
    before = torch.get_rng_state()
    for training in (False, True):
        took = precision.measure(8, training)
        assert set(took) == {"fp32", "bf16"}
        assert all(0 < seconds < 10 for seconds in json.loads(json.dumps(took)).values())
    assert torch.equal(torch.get_rng_state(), before)
