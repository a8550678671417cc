"""Lengths of the average that are found afterwards: combined as profiles, measured on the same seeds."""

import math
import shutil

import pytest
import torch
from safetensors.torch import load_file

import phosphene
from phosphene.measures.features.fixed import random_convolutions
from phosphene.training import checkpoint
from phosphene.training.ema import Profile, combine, exponent, mismatch, reconstruct
from phosphene.training.lengths import NEAR, choose_ema
from tests.training.measured import by_hand


def test_what_a_reconstruction_misses_in_closed_form():
    """Of one stored profile there is one combination: |p - q| / |p|, p_t(tau) = (g + 1) tau^g / t^(g + 1)."""
    stored, wanted = Profile(100.0, 0.1), Profile(100.0, 0.05)
    a, b = exponent(0.1), exponent(0.05)

    def product(x: float, y: float) -> float:
        return (x + 1) * (y + 1) / (x + y + 1) / 100

    square = product(b, b) - 2 * product(a, b) + product(a, a)
    assert mismatch([stored], wanted) == pytest.approx(math.sqrt(square / product(b, b)), rel=1e-9)
    assert mismatch([stored, wanted], wanted) == pytest.approx(0, abs=1e-6)
    assert (
        mismatch([stored, wanted], Profile(100.0, 0.07))
        < NEAR
        < mismatch([stored, wanted], Profile(100.0, 0.01))
    )


def test_lengths_are_measured_on_the_same_seeds_and_the_best_is_shipped(run, tmp_path):
    place = tmp_path / "r"
    shutil.copytree(run, place)
    chosen = choose_ema(place, pictures=40, steps=8)
    by_length = {one.length: one for one in chosen.lengths}
    assert {0.1, 0.05} < by_length.keys()
    assert list(by_length) == sorted(by_length)
    assert by_length[0.1].mismatch < 1e-6
    assert all(one.mismatch <= NEAR for one in chosen.lengths)
    name = f"kd_held_out_{random_convolutions().name}"
    assert chosen.figure == name
    found, _ = by_hand(place)
    assert by_length[0.1].distance.value == pytest.approx(found[name], rel=1e-9)
    assert chosen.best.distance.value == min(one.distance.value for one in chosen.lengths)
    assert chosen.best.length not in chosen.tied
    fewer = choose_ema(place, [0.1], pictures=24, steps=8)
    assert fewer.best.distance.value != by_length[0.1].distance.value
    # One that was not tracked, put together by hand.
    odd = next(length for length in by_length if length not in (0.1, 0.05))
    shipped = choose_ema(place, [odd], pictures=40, steps=8, ship=True)
    assert shipped.best.distance == by_length[odd].distance
    states = list(checkpoint.every(place / "state", []))
    stored = {
        Profile(state.step, length): {
            key.removeprefix(f"ema/{length}/"): value
            for key, value in state.tensors.items()
            if key.startswith(f"ema/{length}/")
        }
        for state in states
        for length in (0.1, 0.05)
    }
    expected = combine(reconstruct([*stored], Profile(states[0].step, odd)), [*stored.values()])
    weights = load_file(place / "model" / "model.safetensors")
    for key, value in expected.items():
        assert torch.equal(weights[key], value), key
    generator = phosphene.load(place)
    assert generator.model.header.ema == (odd, 0.1, 0.05)
    again, _ = by_hand(place)
    assert again[name] == pytest.approx(shipped.best.distance.value, rel=1e-9)
    other = phosphene.load(place, ema=0.1)
    former = load_file(run / "model" / "model.safetensors")
    assert all(torch.equal(value, former[key]) for key, value in other.model.network.state_dict().items())


def test_what_cannot_be_measured_is_said(run, tmp_path, cli):
    with pytest.raises(ValueError, match=r"ema length 0.001: the run's averages \(of lengths 0.1, 0.05\)"):
        choose_ema(run, [0.001])
    said = cli("ema", tmp_path)
    assert said.code == 2
    assert "no run here" in said.err


def test_the_command_says_which_wins(run, cli):
    said = cli("ema", run, "-n", "40", "--steps", "4", "--length", "0.1", "--length", "0.05")
    assert said.code == 0, said.err
    assert "kd_held_out_random-conv" in said.out.replace("\n", "")
    assert "best" in said.out
    assert f"to ship it: phosphene ema {run} --length " in said.out
    assert cli("sample", run, "--best", "-n", "2", "--quiet", "--out", run / "samples" / "two").code == 0
