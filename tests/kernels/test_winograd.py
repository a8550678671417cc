"""Winograd's convolution equals torch's in float64, forward and backward, at every size and border."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from phosphene.kernels import winograd as module
from phosphene.kernels.convolution import conv3x3
from phosphene.kernels.library import library
from phosphene.kernels.library import plain as only_plain
from phosphene.kernels.winograd import pack
from phosphene.networks.layers import Conv3x3, ConvHalf

needs = pytest.mark.skipif(library() is None, reason="no C++ compiler here")


@pytest.fixture(autouse=True)
def _every_size(monkeypatch):
    """However few the tiles."""
    monkeypatch.setattr(module, "FEWEST_IN_TRAINING", 1)


@needs
@given(
    rows=st.integers(1, 3),
    channels=st.sampled_from([8, 16, 24]),
    out=st.sampled_from([8, 24, 40]),
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    bias=st.booleans(),
    told=st.booleans(),
    rest=st.booleans(),
    last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_the_convolution(rows, channels, out, size, bias, told, rest, last, seed):
    torch.manual_seed(seed)
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(rows, channels, *size).contiguous(memory_format=layout).requires_grad_()
    w = torch.randn(out, channels, 3, 3).contiguous(memory_format=layout).requires_grad_()
    b = torch.randn(out).requires_grad_() if bias else None
    e = torch.randn(rows, out).requires_grad_() if told else None
    r = torch.randn(rows, out, *size).contiguous(memory_format=layout).requires_grad_() if rest else None
    dy = torch.randn(rows, out, *size)
    y = conv3x3(x, w, b, told=e, rest=r)
    y.backward(dy)
    leaves = [leaf for leaf in (x, w, b, e, r) if leaf is not None]
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    added = exact[2:]
    z = functional.conv2d(exact[0], exact[1], added.pop(0) if bias else None, padding=1)
    z = z + added.pop(0)[:, :, None, None] if told else z
    z = z + added.pop(0) if rest else z
    z.backward(dy.double())
    with torch.no_grad():
        assert torch.equal(conv3x3(x, w, b, pack(w), e, r), y)
        with only_plain():
            assert (conv3x3(x, w, b, None, e, r) - z).abs().max() <= 3e-5 * z.abs().max()
    for one, other in zip(
        (y, *(leaf.grad for leaf in leaves)), (z, *(leaf.grad for leaf in exact)), strict=True
    ):
        assert one is not None
        assert other is not None
        assert one.shape == other.shape
        assert (one - other).abs().max() <= 3e-5 * other.abs().max()


@needs
@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_tiles_in_chunks_are_the_same(chunk, monkeypatch):
    """Work that does not fit the cache at once: several chunks, the last of them cut short."""
    torch.manual_seed(0)
    x = torch.randn(3, 16, 13, 10).contiguous(memory_format=torch.channels_last).requires_grad_()
    w = torch.randn(24, 16, 3, 3).requires_grad_()
    b = torch.randn(24).requires_grad_()

    def all_of_it() -> list[torch.Tensor]:
        y = conv3x3(x, w, b)
        return [y, *torch.autograd.grad(y.square().sum(), (x, w, b))]

    whole = all_of_it()
    monkeypatch.setattr(module, "_chunk", lambda x, channels: chunk)
    for one, other in zip(all_of_it(), whole, strict=True):
        assert (one - other).norm() <= 2e-6 * other.norm()


@needs
def test_many_threads_are_one():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 12, 12).contiguous(memory_format=torch.channels_last)
    w = torch.randn(24, 16, 3, 3).requires_grad_()
    before, answers = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        y = conv3x3(x, w, None)
        answers.append((y, *torch.autograd.grad(y.sum(), w)))
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*answers, strict=True))


@needs
def test_frozen_weights_and_frozen_inputs():
    torch.manual_seed(0)
    x, w = torch.randn(1, 8, 8, 8), torch.randn(8, 8, 3, 3)
    (dx,) = torch.autograd.grad(conv3x3(x.requires_grad_(), w, None).sum(), x)
    assert (dx - functional.conv_transpose2d(torch.ones(1, 8, 8, 8), w, padding=1)).abs().max() < 1e-4
    bias = torch.zeros(8, requires_grad=True)
    (db,) = torch.autograd.grad(conv3x3(x.detach(), w, bias).sum(), bias)
    assert torch.equal(db, torch.full((8,), 64.0))


@needs
def test_a_layer_packs_once_and_again_when_its_weights_change():
    torch.manual_seed(0)
    layer, x = Conv3x3(8, 8).eval(), torch.randn(4, 8, 8, 8)
    with torch.no_grad():
        first = layer(x)
        kept = layer._packed
        assert torch.equal(layer(x), first)
        assert layer._packed is kept
        layer.weight.mul_(2)
        assert layer.bias is not None
        layer.bias.mul_(2)
        assert (layer(x) - 2 * first).abs().max() < 1e-5
        layer.load_state_dict({name: value / 2 for name, value in layer.state_dict().items()})
        assert (layer(x) - first).abs().max() < 1e-5
    with torch.inference_mode():
        assert (layer(x) - first).abs().max() < 1e-5
    # In training nothing is kept: the weights change at every step.
    layer.train()(x)
    assert layer._packed is None
    with torch.inference_mode():  # such weights do not say when they change
        made = Conv3x3(8, 8).eval()
        assert torch.equal(made(x), made(x))
        assert made._packed is None
    half = ConvHalf(8, 8, below=False).eval()
    with torch.no_grad():
        half(x)
    assert half._packed is None  # another operator reads its weight, as it is
    assert set(layer.state_dict()) == {"weight", "bias"}


@needs
def test_the_rest_goes_torchs_way(monkeypatch):
    monkeypatch.setattr(module, "_forward", None)
    x, w = torch.randn(1, 8, 8, 8), torch.randn(8, 8, 3, 3)
    with torch.no_grad():
        conv3x3(x.double(), w.double(), None)
        conv3x3(x[:, :3], w[:, :3], None)
        with torch.autocast("cpu", torch.bfloat16):
            assert conv3x3(x, w, None).dtype == torch.bfloat16
        with only_plain():
            conv3x3(x, w, None)
        monkeypatch.setattr(module, "FEWEST_IN_TRAINING", 5)
        conv3x3(x, w, None)  # four tiles
        monkeypatch.setattr(module, "FEWEST_IN_TRAINING", 4)
        with pytest.raises(TypeError):
            conv3x3(x, w, None)


@needs
def test_packed_weights_are_lavin_and_grays():
    """U = G g G' at one filter, computed by hand."""
    g = torch.zeros(8, 8, 3, 3)
    g[3, 5] = torch.arange(9.0).view(3, 3)
    rows = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
    filters = torch.tensor(rows, dtype=torch.float64) / 24
    # Behind each place lies what keeps it apart from the next.
    places = pack(g).view(36, -1)[:, :-16].unflatten(1, (8, -1))
    want = filters @ g[3, 5].double() @ filters.T
    assert (places[:, 5, 3].view(6, 6) - want).abs().max() < 1e-6
    assert places.count_nonzero() == want.count_nonzero()
