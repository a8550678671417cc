"""Power-function averages: shares, lengths and reconstruction against closed forms."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.training.ema import Averages, Profile, beta, combine, exponent, overlap, reconstruct

LENGTHS = (0.05, 0.10, 0.2)


def relative_deviation(gamma: float) -> float:
    """Equation 123."""
    return math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))


def shares(steps: int, gamma: float) -> np.ndarray:
    """The integral of the profile over each of the steps."""
    edges = (np.arange(steps + 1) / steps) ** (gamma + 1)
    return np.diff(edges)


class Line(nn.Module):
    """A network whose weights can be set to anything at each step."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.line = nn.Parameter(torch.zeros(size))


def track(
    path: Tensor, lengths: tuple[float, ...], stops: tuple[int, ...] = ()
) -> dict[Profile, dict[str, Tensor]]:
    """Averages of weights that go along `path` (steps, size), at the stops and at the end."""
    network = Line(path.shape[1])
    averages, seen = Averages(network, lengths), {}
    for step, weights in enumerate(path, 1):
        network.line.data.copy_(weights)
        averages.update(step)
        if step in (*stops, len(path)):
            seen |= {Profile(step, length): averages.weights(length) for length in lengths}
    return seen


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 6.94, 16.97, 100.0, 3000.0])
def test_exponent_inverts_the_deviation(gamma: float):
    length = min(relative_deviation(gamma), 1 / math.sqrt(12))
    assert exponent(length) == pytest.approx(gamma, rel=1e-9, abs=1e-6)


def test_exponents_of_the_paper():
    # Section 3.1: sigma_rel 0.05 and 0.10 are gamma 16.97 and 6.94.
    assert [round(exponent(length), 2) for length in (0.05, 0.10)] == [16.97, 6.94]
    assert relative_deviation(exponent(0.1)) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize("length", [0.0, -0.1, 0.289, 1.0, math.nan])
def test_lengths_without_a_profile_are_refused(length: float):
    with pytest.raises(ValueError, match=r"ema length must be above 0 and at most 0.2887, not "):
        exponent(length)


def test_recursion_gives_each_step_the_integral_of_the_profile():
    steps, gamma = 60, exponent(0.1)
    product = [
        (1 - beta(tau, gamma)) * math.prod(beta(t, gamma) for t in range(tau + 1, steps + 1))
        for tau in range(1, steps + 1)
    ]
    np.testing.assert_allclose(product, shares(steps, gamma), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("length", LENGTHS)
def test_tracked_shares(length: float):
    steps = 200
    found = track(torch.eye(steps), (0.03, length))[Profile(steps, length)]["line"]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), shares(steps, exponent(length)), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("length", LENGTHS)
def test_length_of_what_was_tracked_is_what_was_asked(length: float):
    steps = 1000
    share = track(torch.eye(steps), (length,))[Profile(steps, length)]["line"].double().numpy()
    at = (np.arange(steps) + 0.5) / steps
    mean = (share * at).sum()
    assert math.sqrt((share * (at - mean) ** 2).sum()) == pytest.approx(length, rel=1e-4)
    assert mean == pytest.approx((exponent(length) + 1) / (exponent(length) + 2), rel=1e-5)
    assert share.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Profile(1.0, 0.1), Profile(1.0, 0.1)),
        (Profile(1.0, 0.1), Profile(0.7, 0.05)),
        (Profile(0.4, 0.2), Profile(0.9, 0.05)),
    ],
)
def test_overlap_is_the_integral_of_the_product(a: Profile, b: Profile):
    at = (np.arange(400_000) + 0.5) / 400_000

    def density(p: Profile) -> np.ndarray:
        gamma = exponent(p.length)
        return np.where(at <= p.step, (gamma + 1) * (at / p.step) ** gamma / p.step, 0)

    assert overlap(a, b) == pytest.approx((density(a) * density(b)).mean(), rel=1e-4)
    assert overlap(a, b) == pytest.approx(overlap(b, a), rel=1e-14)
    thousand = [Profile(1000 * p.step, p.length) for p in (a, b)]
    assert overlap(*thousand) == pytest.approx(overlap(a, b) / 1000, rel=1e-12)


STORED = [Profile(step, length) for step in range(100, 1001, 100) for length in (0.05, 0.10)]


@pytest.mark.parametrize("index", [0, 7, 19])
def test_reconstructing_a_stored_average_picks_it(index: int):
    factors = reconstruct(STORED, STORED[index])
    torch.testing.assert_close(factors, torch.eye(20, dtype=torch.float64)[index], rtol=0, atol=1e-7)


def test_reconstruction_is_the_least_squares_fit_of_sampled_profiles():
    stored, wanted = STORED[-6:], Profile(1000, 0.15)
    at = (np.arange(100_000) + 0.5) / 100

    def density(p: Profile) -> np.ndarray:
        gamma = exponent(p.length)
        return np.where(at <= p.step, (gamma + 1) * (at / p.step) ** gamma / p.step, 0)

    fit, *_ = np.linalg.lstsq(np.stack([density(p) for p in stored], 1), density(wanted), rcond=None)
    np.testing.assert_allclose(reconstruct(stored, wanted).numpy(), fit / fit.sum(), rtol=2e-3)


@pytest.mark.parametrize("length", [0.04, 0.07, 0.12])
def test_reconstruction_is_close_to_what_tracking_would_have_given(length: float):
    steps = 1000
    path = torch.randn(steps, 50, generator=torch.Generator().manual_seed(0)).cumsum(0) / math.sqrt(steps)
    stops = tuple(range(100, 1001, 100))
    seen = track(path, (0.05, 0.10, length), stops)
    stored = [p for p in seen if p.length != length]
    found = combine(reconstruct(stored, Profile(steps, length)), [seen[p] for p in stored])["line"]
    wanted = seen[Profile(steps, length)]["line"]
    nearest = min((seen[Profile(steps, other)]["line"] - wanted).norm() for other in (0.05, 0.10))
    assert (found - wanted).norm() < 0.12 * nearest
    assert (found - wanted).norm() < 0.01 * wanted.norm()


def test_factors_sum_to_one():
    assert reconstruct(STORED, Profile(1000, 0.25)).sum() == pytest.approx(1, abs=1e-12)
    with pytest.raises(ValueError, match="at least one"):
        reconstruct([], Profile(1000, 0.1))


def test_combine():
    a = {"x": torch.tensor([1.0, 2.0]), "count": torch.tensor(3)}
    b = {"x": torch.tensor([10.0, 30.0]), "count": torch.tensor(4)}
    both = combine(torch.tensor([-0.5, 1.5], dtype=torch.float64), [a, b])
    assert torch.equal(both["x"], torch.tensor([14.5, 44.0]))
    assert both["x"].dtype == torch.float32
    assert both["count"] == 4
    b["count"].add_(1)
    assert both["count"] == 4


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.into, self.out = nn.Linear(3, 3), nn.Linear(3, 3)
        self.out.weight = self.into.weight


def wander(network: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))


def test_state_dict_has_tied_weights_and_present_buffers():
    network = Tied()
    averages = Averages(network, (0.1,))
    for step in (1, 2):
        wander(network, step)
        network.norm(torch.randn(5, 3))
        averages.update(step)
    found = averages.weights(0.1)
    twin = Tied()
    twin.load_state_dict(found)  # strict: every name is there
    keep = 0.5 ** (exponent(0.1) + 1)
    first, second = Tied(), Tied()
    wander(first, 1)
    wander(second, 2)
    for name in ("into.weight", "out.weight", "norm.weight"):
        a, b = (dict(n.named_parameters(remove_duplicate=False))[name] for n in (first, second))
        torch.testing.assert_close(found[name], keep * a + (1 - keep) * b)
    for name, buffer in network.named_buffers():
        assert torch.equal(found[name], buffer)
    found["into.weight"].zero_()  # copies
    found["norm.running_mean"].fill_(7)
    assert averages.weights(0.1)["into.weight"].abs().max() > 0
    assert network.norm.running_mean is not None
    assert network.norm.running_mean.max() < 7


def test_first_update_forgets_the_start_and_average_is_float32():
    network = nn.Linear(2, 2).bfloat16()
    averages = Averages(network, LENGTHS)
    wander(network, 5)
    averages.update(1)
    for length in LENGTHS:
        assert torch.equal(averages.weights(length)["weight"], network.weight.detach().float())


def test_resumed_is_equal_bit_for_bit():
    def run(start: int, stop: int, averages: Averages, network: nn.Module) -> None:
        for step in range(start, stop):
            wander(network, step)
            averages.update(step)

    network = Tied()
    straight = Averages(network, LENGTHS)
    run(1, 6, straight, network)
    stored = {name: value.clone() for name, value in straight.export_state().items()}
    run(6, 11, straight, network)
    fresh = Tied()
    resumed = Averages(fresh, LENGTHS)
    resumed.import_state(stored)
    kept = copy.deepcopy(stored)
    run(6, 11, resumed, fresh)
    assert resumed.lengths == LENGTHS
    for name, value in straight.export_state().items():
        assert torch.equal(resumed.export_state()[name], value)
        assert torch.equal(stored[name], kept[name])  # copied in, not taken


def test_states_of_others_are_refused():
    averages = Averages(nn.Linear(2, 3), (0.1,))
    state = {name: value.clone() for name, value in averages.export_state().items()}
    assert set(state) == {"0.1/weight", "0.1/bias"}
    with pytest.raises(ValueError, match=r"ema state: 0.1/weight is missing"):
        averages.import_state({"0.1/bias": state["0.1/bias"]})
    with pytest.raises(ValueError, match=r"ema state: 0.05/bias is of no weight or length here"):
        averages.import_state(state | {"0.05/bias": state["0.1/bias"]})
    with pytest.raises(ValueError, match=r"0.1/weight has shape \(3, 3\), the weight has \(3, 2\)"):
        averages.import_state(state | {"0.1/weight": torch.zeros(3, 3)})
    with pytest.raises(ValueError, match=r"ema length 0.05 is not tracked, only 0.1"):
        averages.weights(0.05)
