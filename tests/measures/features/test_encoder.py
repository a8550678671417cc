"""What every encoder shares: channels, batches, names that say which weights."""

import numpy as np
import pytest
import torch

from phosphene.measures.features.encoder import fingerprint, rgb
from phosphene.measures.features.encoders import ENCODERS
from phosphene.measures.features.fixed import (
    cosines,
    dct_bands,
    normalised_pixels,
    pixels,
    random_convolutions,
)

WIDTHS = {"shipped": 384, "random-conv": 320, "dct-bands": 48, "pixels": 768, "normalised-pixels": 768}


def pictures(n=5, channels=3, size=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), dtype=np.uint8)


def test_channels_become_rgb():
    grey = torch.tensor([[[[100]]]], dtype=torch.uint8)
    assert rgb(grey).flatten().tolist() == [100, 100, 100]
    clear = torch.tensor([[[[100]], [[51]]]], dtype=torch.uint8)
    assert rgb(clear).flatten().tolist() == pytest.approx([100 * 0.2 + 255 * 0.8] * 3)
    full = torch.tensor([[[[10]], [[20]], [[30]], [[255]]]], dtype=torch.uint8)
    assert rgb(full).flatten().tolist() == pytest.approx([10, 20, 30])
    with pytest.raises(ValueError, match="5 channels"):
        rgb(torch.zeros(1, 5, 2, 2, dtype=torch.uint8))


@pytest.mark.parametrize("name", ENCODERS)
def test_rows_do_not_depend_on_batches(name):
    from dataclasses import replace

    encoder = ENCODERS[name]()
    few = replace(encoder, batch=2)
    whole = encoder(pictures())
    assert whole.shape == (5, WIDTHS[name])
    assert whole.dtype == np.float32
    assert few(torch.from_numpy(pictures())) == pytest.approx(whole, abs=1e-5)
    assert encoder(pictures(channels=1)) == pytest.approx(
        encoder(pictures(channels=1).repeat(3, 1)), abs=1e-6
    )


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", [8, 33])
def test_any_size_gives_the_same_width(name, size):
    found = ENCODERS[name]()(pictures(size=size))
    assert found.shape == (5, WIDTHS[name])
    assert np.isfinite(found).all()


def test_names_say_which_weights():
    names = {random_convolutions(0).name, random_convolutions(1).name, dct_bands(8).name, dct_bands().name}
    assert len(names) == 4
    assert random_convolutions().name == "random-conv-af969db9"
    one = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    assert fingerprint(one) == fingerprint(dict(reversed(one.items())))
    others = ({**one, "a": torch.zeros(3, 2)}, {**one, "b": torch.ones(1, dtype=torch.float64)})
    others += ({"c": one["a"], "b": one["b"]}, {**one, "b": torch.full((1,), 1 + 2**-23)})
    assert len({fingerprint(other) for other in (one, *others)}) == 5


def test_random_convolutions_by_hand():
    from scipy.ndimage import correlate

    encoder = random_convolutions(3)
    seen = pictures(1, size=8)
    weight = encoder.network.get_buffer("weight0").numpy()
    values = seen[0] / 127.5 - 1
    first = np.sum([correlate(values[c], weight[4, c], mode="nearest") for c in range(3)], axis=0).clip(0)
    quarters = first.reshape(2, 4, 2, 4).mean((1, 3)).ravel()
    found = encoder(seen)[0]
    assert found[16:20] == pytest.approx(quarters, abs=1e-5)
    assert found[64 + 4] == pytest.approx(first.std(), abs=1e-5)


def test_cosines_are_scipys():
    from scipy.fft import dctn

    picture = np.random.default_rng(0).normal(size=(6, 9))
    found = cosines(6).numpy() @ picture @ cosines(9).numpy().T
    assert found == pytest.approx(dctn(picture, norm="ortho"), abs=1e-5)


def test_a_wave_lies_in_its_band():
    # A grey cosine of 16 of 32 half periods across the picture: |f| = 1/2, the band of 8 among 16.
    wave = 128 + 100 * np.cos(np.pi * (np.arange(32) + 0.5) * 16 / 32)
    picture = np.broadcast_to(np.rint(wave), (1, 3, 32, 32)).astype(np.uint8)
    luma, blue = dct_bands()(picture)[0, :16], dct_bands()(picture)[0, 16:32]
    assert luma[1:].argmax() + 1 == 8
    quiet = np.delete(luma, [0, 8])
    assert luma[8] - quiet.max() > 4
    assert blue == pytest.approx(np.full(16, np.log(1e-4)), abs=1e-3)


@pytest.mark.parametrize(
    ("height", "width", "down", "across"), [(32, 32, 12, 12), (32, 16, 0, 8), (16, 32, 8, 0)]
)
def test_bands_are_rings_in_parts_of_the_highest_frequency(height, width, down, across):
    # |f| = (3/8, 3/8) or 1/2 along one axis: the band of 8 among 16.
    rows = np.cos(np.pi * (np.arange(height) + 0.5) * down / height)
    columns = np.cos(np.pi * (np.arange(width) + 0.5) * across / width)
    wave = np.rint(128 + 100 * np.outer(rows, columns))
    picture = np.broadcast_to(wave, (1, 3, height, width)).astype(np.uint8)
    assert dct_bands()(picture)[0, 1:16].argmax() + 1 == 8


def test_pixels_are_averages():
    seen = pictures(2, size=32)
    wanted = seen.reshape(2, 3, 4, 8, 4, 8).mean((3, 5)).reshape(2, 48) / 127.5 - 1
    assert pixels(4)(seen) == pytest.approx(wanted, abs=1e-6)
    assert pixels(4).name == "pixels-4"


def test_normalised_pixels_are_the_same_lighter_darker_and_of_less_contrast():
    seen = np.random.default_rng(0).integers(20, 180, (4, 3, 8, 8), dtype=np.uint8) // 2 * 2
    plain, rows = pixels(8)(seen), normalised_pixels(8)(seen)
    assert normalised_pixels(8).name == "normalised-pixels-8"
    assert rows == pytest.approx((plain - plain.mean(1)[:, None]) / plain.std(1)[:, None], abs=1e-3)
    for same in (seen + 70, seen // 2, seen // 2 + 100):
        assert normalised_pixels(8)(same) == pytest.approx(rows, abs=2e-3)
    # Colour is not brightness; and what hardly differs within itself is not made to.
    assert np.abs(normalised_pixels(8)(seen[:, ::-1].copy()) - rows).max() > 1
    flat = np.full((1, 3, 8, 8), 77, dtype=np.uint8)
    flat[..., 0, 0] = 78  # a deviation of an eighth of a step
    wanted = 63 / 64 / np.hypot(1, np.sqrt(63) / 64)
    assert normalised_pixels(8)(flat).max() == pytest.approx(wanted, rel=1e-4)
