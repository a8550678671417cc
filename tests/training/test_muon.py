"""Muon against torch's, and Newton-Schulz against its polynomial on exact singular values."""

import math

import pytest
import torch
from torch import nn

from phosphene.training.muon import COEFFICIENTS, STEPS, Muon, orthogonalize

SHAPES = [(6, 6), (8, 3), (3, 8), (8, 3), (1, 5), (5, 1), (8, 3)]


def weights(shapes: list[tuple[int, ...]], seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def push(parameters: list[nn.Parameter], step: int) -> None:
    """Gradients that depend on the weights, so that an error grows."""
    generator = torch.Generator().manual_seed(step)
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator) + 0.3 * p.detach()


def torch_muon(parameters: list[nn.Parameter]) -> torch.optim.Muon:
    return torch.optim.Muon(
        parameters, lr=0.05, weight_decay=0.3, momentum=0.9, adjust_lr_fn="match_rms_adamw"
    )


def test_equals_torch_in_float32(monkeypatch: pytest.MonkeyPatch):
    # torch's Muon always rounds to bfloat16 before Newton-Schulz; without that the two are the same numbers.
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    ours, theirs = weights(SHAPES), weights(SHAPES)
    muon, reference = Muon(ours, lr=0.05, weight_decay=0.3, momentum=0.9), torch_muon(theirs)
    for step in range(6):
        push(ours, step)
        push(theirs, step)
        muon.step()
        reference.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_equals_torch_in_bfloat16():
    ours, theirs = weights(SHAPES), weights(SHAPES)
    muon = Muon(ours, lr=0.05, weight_decay=0.3, momentum=0.9, dtype=torch.bfloat16)
    reference = torch_muon(theirs)
    push(ours, 0)
    push(theirs, 0)
    muon.step()
    reference.step()
    # bfloat16 has 8 bits, and 15 products add up in another order: some hundredths of a step near 0.025.
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=2e-3)
        assert mine.dtype == torch.float32
    single = weights(SHAPES)
    push(single, 0)
    Muon(single, lr=0.05, weight_decay=0.3, momentum=0.9).step()
    assert not torch.equal(single[0], ours[0])
    out = orthogonalize(torch.randn(1, 3, 4), torch.bfloat16)
    assert torch.equal(out, out.bfloat16().float())


def test_defaults_are_the_usual_ones():
    group = Muon(weights([(2, 2)])).param_groups[0]
    assert (group["momentum"], group["dtype"]) == (0.95, torch.float32)
    assert COEFFICIENTS == (3.4445, -4.7750, 2.0315)
    assert STEPS == 5


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (7, 7)])
def test_newton_schulz_is_its_polynomial_on_singular_values(shape: tuple[int, int]):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.norm()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(orthogonalize(matrix[None], torch.float64)[0], u @ s.diag() @ v)
    single = orthogonalize(matrix[None].float())[0]
    torch.testing.assert_close(single, (u @ s.diag() @ v).float(), rtol=1e-4, atol=1e-4)


def test_singular_values_are_near_one():
    s = torch.logspace(-1.5, 0, 24, dtype=torch.float64)  # a condition number of 30
    q = [torch.linalg.qr(torch.randn(n, 24, dtype=torch.float64))[0] for n in (24, 60)]
    out = torch.linalg.svdvals(orthogonalize((q[0] @ s.diag() @ q[1].mT)[None], torch.float64)[0])
    assert 0.67 < out.min() <= out.max() < 1.21


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (40, 4, 3, 3), (6, 4, 5)])
def test_convolution_is_its_flattened_matrix(shape: tuple[int, ...]):
    (conv,), (flat,) = weights([shape]), weights([shape])
    flat = nn.Parameter(flat.detach().flatten(1))
    (one, other) = (Muon([p], lr=0.1) for p in (conv, flat))
    for step in range(3):
        grad = torch.randn(shape, generator=torch.Generator().manual_seed(step))
        conv.grad, flat.grad = grad, grad.flatten(1)
        one.step()
        other.step()
    assert torch.equal(conv.flatten(1), flat)


def test_convolution_in_channels_last():
    (plain,), (last,) = weights([(6, 4, 3, 3)]), weights([(6, 4, 3, 3)])
    last = nn.Parameter(last.detach().to(memory_format=torch.channels_last))
    for p in (plain, last):
        push([p], 0)
        Muon([p], lr=0.1).step()
    assert torch.equal(plain, last)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_together_as_alone():
    together, alone = weights(SHAPES), weights(SHAPES)
    batch, singles = Muon(together, lr=0.1), [Muon([p], lr=0.1) for p in alone]
    for step in range(3):
        push(together, step)
        push(alone, step)
        batch.step()
        for single in singles:
            single.step()
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_size_of_the_update_is_that_of_adamw():
    (weight,) = weights([(128, 512)])
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    Muon([weight], lr=1.0, weight_decay=0.0).step()
    # sqrt(mean s^2) 0.2, with s the singular values after Newton-Schulz: 1 within 15 per cent
    assert math.isclose((weight.detach() - before).pow(2).mean().sqrt().item(), 0.2, rel_tol=0.15)


def test_no_gradient_no_change_and_zero_gradient_only_decay():
    still, zero = weights([(3, 4), (3, 4)])
    was = [still.detach().clone(), zero.detach().clone()]
    zero.grad = torch.zeros_like(zero)
    Muon([still, zero], lr=0.5, weight_decay=0.2).step()
    assert torch.equal(still, was[0])
    assert torch.equal(zero, was[1] * (1 - 0.5 * 0.2))


def test_groups_have_their_own_rates():
    a, b = weights([(3, 4), (3, 4)])
    was = [a.detach().clone(), b.detach().clone()]
    muon = Muon([{"params": [a], "lr": 0.0}, {"params": [b], "lr": 1.0, "weight_decay": 1.0}])
    push([a, b], 0)
    muon.step()
    assert torch.equal(a, was[0])
    assert (
        b.detach().abs().max() < 0.2 * math.sqrt(4) * 1.3
    )  # decay by lr * weight_decay = 1 leaves the update


def test_closure():
    (weight,) = weights([(3, 4)])

    def loss() -> float:
        weight.grad = None
        value = (weight**2).sum()
        value.backward()
        return value.item()

    muon = Muon([weight], lr=0.1)
    values = [muon.step(loss) for _ in range(3)]
    assert values[0] > values[1] > values[2]


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r"two or more dimensions, not of shape \(3,\): use AdamW"):
        Muon(weights([(3, 3), (3,)]))
