"""Sampling in bf16: the network's products are rounded, neither the solver's sums nor the model's weights."""

import copy
from pathlib import Path

import pytest
import torch

import phosphene
from phosphene.families import device
from phosphene.families.generator import Generator
from phosphene.tasks.request import NOTHING, Request
from tests.conftest import trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "digits", images=640)


def test_bf16_is_near_and_rounds_the_network_alone(run):
    plain, half = phosphene.load(run, precision="fp32"), phosphene.load(run, precision="bf16")
    one, other = (g.sample(4, seed=0, steps=5).values for g in (plain, half))
    assert other.dtype == torch.float32
    assert 0 < (one - other).norm() / one.norm() < 0.02
    assert half.precision.name == "bf16"
    # Rounded are the weights of this generator, not those of the model.
    assert all(weight.dtype == torch.float32 for weight in half.model.network.parameters())
    asked = [w.dtype for n, w in half.family.network.named_parameters() if n.endswith("first.weight")]
    assert set(asked) == {torch.bfloat16}


def test_asking_is_the_network_in_that_precision(run):
    generator: Generator = phosphene.load(run)
    network = copy.deepcopy(generator.family.network)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([500.0, 3.0])
    condition = generator.task.asked([Request(1), NOTHING])
    with torch.no_grad():
        with device.computing_in("bf16", torch.device("cpu")):
            expected = network(x, t, condition).float()
        asking = device.Asking(network, "bf16", torch.device("cpu"))
        assert torch.equal(asking(x, t, condition), expected)


def test_what_is_not_here_is_one_line(run):
    with pytest.raises(ValueError, match=r"^precision fp16: for GPUs only"):
        phosphene.load(run, precision="fp16")
    with pytest.raises(ValueError, match=r"^precision 'bf15': did you mean bf16"):
        phosphene.load(run, precision="bf15")
