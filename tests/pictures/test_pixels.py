import numpy as np
import pytest
import torch
from PIL import Image

from phosphene.pictures.pixels import from_pillow, to_bytes, to_pillow, to_values

ALL = torch.arange(256, dtype=torch.uint8)


def test_values_are_the_middles_of_256_bins_that_fill_the_interval():
    exact = torch.tensor([2 * (k + 0.5) / 256 - 1 for k in range(256)])
    assert torch.equal(to_values(ALL), exact)


def test_bytes_are_the_exact_inverse():
    assert torch.equal(to_bytes(to_values(ALL)), ALL)


def test_a_byte_is_every_value_of_its_bin():
    half = 1 / 256 - 2**-20
    assert torch.equal(to_bytes(to_values(ALL) + half), ALL)
    assert torch.equal(to_bytes(to_values(ALL) - half), ALL)


def test_values_outside_go_to_the_ends():
    outside = torch.tensor([-9.0, -1.0, 1.0, 9.0])
    assert to_bytes(outside).tolist() == [0, 0, 255, 255]
    assert to_bytes(outside.bfloat16()).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_pictures_and_back(channels, mode):
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, channels, 3, 5), np.uint8))
    pictures = to_pillow(to_values(pixels))
    assert [(p.mode, p.size) for p in pictures] == [(mode, (5, 3))] * 2
    assert np.asarray(pictures[1])[2, 4].reshape(-1).tolist() == pixels[1, :, 2, 4].tolist()
    assert torch.equal(from_pillow(pictures), to_values(pixels))


def test_errors_name_what_is_accepted():
    with pytest.raises(ValueError, match="5 channels make no picture"):
        to_pillow(torch.zeros(1, 5, 2, 2))
    with pytest.raises(ValueError, match="do not make one batch"):
        from_pillow([Image.new("L", (2, 2)), Image.new("RGB", (2, 2))])
    with pytest.raises(ValueError, match="do not make one batch"):
        from_pillow([Image.new("P", (2, 2))])
