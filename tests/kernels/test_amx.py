"""Convolutions in tiles equal torch's on whole numbers, of which every sum is exact in whatever order."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from phosphene.kernels import amx
from phosphene.kernels.convolution import conv1x1, conv3x3, conv_half, packer
from phosphene.kernels.library import plain as only_plain
from phosphene.kernels.library import tiles
from phosphene.kernels.linear import linear
from phosphene.networks.layers import Conv1x1, Conv3x3, ConvHalf, Linear

needs = pytest.mark.skipif(tiles() is None, reason="no AMX here")
HALF = torch.bfloat16
channels = st.sampled_from([1, 3, 16, 32, 40, 64, 72])


def whole(*shape: int, most: int = 3) -> Tensor:
    return torch.randint(-most, most + 1, shape).float()


def same(answer: Tensor, exact: Tensor) -> bool:
    """Equal to the exact numbers, written in bf16."""
    return torch.equal(answer.float(), exact.to(answer.dtype).float())


@needs
@given(
    rows=st.integers(1, 3),
    inputs=channels,
    outputs=channels,
    size=st.sampled_from([(1, 1), (4, 4), (5, 7), (8, 8), (9, 16), (16, 32), (33, 4), (3, 48)]),
    added=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    last=st.booleans(),
    twice=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_the_convolution(rows, inputs, outputs, size, added, last, twice, seed):
    torch.manual_seed(seed)
    layout = torch.channels_last if last else torch.contiguous_format
    x = whole(rows, inputs, *size).contiguous(memory_format=layout).requires_grad_()
    w = whole(outputs, inputs, 3, 3).contiguous(memory_format=layout).requires_grad_()
    shape = (size[0] * (1 + twice), size[1] * (1 + twice))
    b = whole(outputs).requires_grad_() if added[0] else None
    e = whole(rows, outputs).requires_grad_() if added[1] else None
    r = whole(rows, outputs, *shape).requires_grad_() if added[2] else None
    leaves = [leaf for leaf in (x, w, b, e, r) if leaf is not None]
    big = functional.interpolate(x, scale_factor=2) if twice else x
    z = functional.conv2d(big, w, b, padding=1)
    z = z if e is None else z + e[:, :, None, None]
    z = z if r is None else z + r
    dy = whole(*z.shape)
    want = torch.autograd.grad(z, leaves, dy)
    with torch.autocast("cpu", HALF):
        y = conv3x3(x, w, b, None, e, r, twice)
        got = torch.autograd.grad(y, leaves, dy.to(HALF))
        with torch.no_grad():
            assert torch.equal(conv3x3(x, w, b, amx.pack(w), e, r, twice), y)
    assert y.dtype == HALF
    assert same(y, z)
    for one, other in zip(got, want, strict=True):
        assert one.dtype == torch.float32
        if twice and one.shape == x.shape:  # four sums, each in bf16
            assert (one - other).norm() <= 2**-8 * other.norm()
        else:
            assert same(one.to(HALF) if one.shape == x.shape else one, other)


@needs
@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_every_other_pixel(below, half):
    torch.manual_seed(0)
    for inputs, outputs, size in ((32, 32, (8, 8)), (3, 40, (6, 10)), (64, 16, (32, 64)), (40, 8, (2, 2))):
        x, w, b = whole(2, inputs, *size), whole(outputs, inputs, 3, 3), whole(outputs)
        wide = functional.pad(x, (0, 1, 0, 1)) if below else x
        exact = functional.conv2d(wide, w, b, stride=2, padding=0 if below else 1)
        kind = HALF if half else torch.float32
        with torch.no_grad(), torch.autocast("cpu", HALF):
            assert same(conv_half(x.to(kind), w.to(kind), b.to(kind), below), exact)


@needs
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 16), (9, 40)])
def test_linear_maps(size):
    """Of pixels and of positions, with something added."""
    torch.manual_seed(0)
    for inputs, outputs in ((32, 96), (3, 8), (72, 40), (256, 33)):
        x = whole(2, inputs, *size).requires_grad_()
        w, b = whole(outputs, inputs).requires_grad_(), whole(outputs).requires_grad_()
        flat = x.flatten(2).transpose(1, 2)
        rest = whole(2, flat.shape[1], outputs).requires_grad_()
        exact = functional.linear(flat, w, b)
        dy = whole(*exact.shape)
        want = torch.autograd.grad(exact + rest, (x, w, b, rest), dy)
        with torch.autocast("cpu", HALF):
            y = linear(flat, w, b, rest=rest)
            got = torch.autograd.grad(y, (x, w, b, rest), dy.to(HALF))
            pixels = conv1x1(x, w[:, :, None, None], b)
        assert same(y, exact + rest)
        assert same(pixels, exact.transpose(1, 2).unflatten(2, size))
        for one, other in zip(got, want, strict=True):
            assert same(one.to(HALF) if one.shape in (x.shape, w.shape) else one, other)


@needs
@needs
@pytest.mark.parametrize(
    "shape", [(1, 64, 1, 1), (2, 3, 33, 9), (3, 70, 5, 7), (1, 136, 700, 1), (2, 128, 16, 33)]
)
def test_sums_over_pixels(shape):
    x = whole(*shape, most=100).contiguous(memory_format=torch.channels_last).to(HALF)
    assert torch.equal(amx.pixel_sums(x), x.double().sum((2, 3)).float())


@needs
def test_rows_do_not_know_their_batch_and_threads_do_not_show():
    """Random numbers, whose sums depend on their order: the bits are the same."""
    torch.manual_seed(0)
    before = torch.get_num_threads()
    for width, size in ((48, (32, 32)), (64, (8, 8)), (32, (5, 9))):
        x, w = torch.randn(5, width, *size).to(HALF), torch.randn(64, width, 3, 3).to(HALF)
        dy = torch.randn(5, 64, *size).to(HALF)
        answers = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            leaf = w.float().requires_grad_()
            with torch.autocast("cpu", HALF):
                y = conv3x3(x, leaf, None)
            answers.append((y, *torch.autograd.grad(y, leaf, dy)))
        torch.set_num_threads(before)
        for one, other in zip(*answers, strict=True):
            assert torch.equal(one, other)
        with torch.no_grad():
            assert torch.equal(conv3x3(x[3:4], w, None), answers[0][0][3:4])


@needs
def test_layers_keep_what_they_packed():
    """In bf16 the packed weights are of tiles; without AMX, in float32, by Winograd."""
    torch.manual_seed(0)
    x = whole(2, 32, 8, 8)
    layers = (Conv3x3(32, 16), Conv1x1(32, 16), ConvHalf(32, 32, below=True), Linear(32, 16))
    for layer in layers:
        layer.eval()
        given = x.flatten(2).transpose(1, 2) if isinstance(layer, Linear) else x
        for parameter in layer.parameters():
            parameter.data = whole(*parameter.shape)
        with torch.no_grad():
            with only_plain():
                exact = layer(given)
            with torch.autocast("cpu", HALF):
                first = layer(given)
                kept = layer._packed
                assert kept is not None
                assert torch.equal(layer(given), first)
                assert layer._packed is kept
            assert same(first, exact)
            layer.weight.mul_(-1)
            assert layer.bias is not None
            layer.bias.mul_(-1)
            with torch.autocast("cpu", HALF):
                assert torch.equal(layer(given), -first)
            assert torch.allclose(layer(given), -exact, atol=1e-3)
        layer.train()(given)
        assert layer._packed is None


@needs
def test_the_rest_goes_another_way():
    x, w = whole(1, 16, 8, 8), whole(16, 16, 3, 3)
    assert not amx.suits(x, w)
    assert not amx.suits(x.to(HALF), w)
    assert packer(x.to(HALF), w.to(HALF)) is amx.pack
    with torch.autocast("cpu", HALF):
        assert amx.suits(x, w)
        assert not amx.suits(x, w.half())  # of two bytes too, and not bf16
        with only_plain():
            assert not amx.suits(x, w)
    odd = whole(1, 16, 9, 7)
    with torch.no_grad(), torch.autocast("cpu", HALF):
        assert same(conv_half(odd, w, None, False), functional.conv2d(odd, w, stride=2, padding=1))


@needs
def test_packed_weights_lie_in_pairs():
    """Output n, input k of a tap: row k / 2 of its tile, column 2 n + k mod 2."""
    w = torch.arange(64.0 * 32).view(64, 32).to(HALF)
    packed = amx.pack(w).view(HALF).view(2, 2, 16, 16, 2)  # outputs / 32, tile, pair, output, of the pair
    assert torch.equal(packed.permute(0, 1, 3, 2, 4).reshape(64, 32), w)
    assert torch.equal(amx.pack(w[:, :, None, None], turned=True), amx.pack(w.T.contiguous()))
