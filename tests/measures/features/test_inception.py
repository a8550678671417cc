"""FID's Inception: the reference implementation with the same random weights, and who may be called FID."""

import gc
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from phosphene.measures.distances import frechet
from phosphene.measures.features.inception import CONVERT, PUBLISHED, Inception, enlarged, inception
from phosphene.measures.kernel import kernel_distance
from phosphene.measures.names import frechet_name, kernel_name
from tests.measures import fidelity


@cache
def weights():
    """Random, of a size that keeps activations near 1, running statistics too."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = Inception()
    network.to_empty(device="cpu")
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "bn.bias")):
            value.normal_(0, 0.1)
        elif name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5)
        elif value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
        else:
            value.zero_()
    return network.state_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("inception")
    torch.save(weights(), path / "weights.pth")
    save_file(weights(), path / "weights.safetensors")
    save_file(weights(), path / "published.safetensors", {"sha256": PUBLISHED + "0" * 56})
    return path


def pictures(size, n=3):
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.manual_seed(size))


def test_as_torch_fidelity(folder):
    theirs = fidelity.inception.FeatureExtractorInceptionV3(
        "test", ["2048"], feature_extractor_weights_path=str(folder / "weights.pth")
    )
    ours = inception(folder / "weights.safetensors")
    for size in (32, 299):
        seen = pictures(size, 2)
        (wanted,) = theirs(seen)
        found = ours(seen)
        assert found.shape == (2, 2048)
        assert float(wanted.std()) > 0.01
        assert np.abs(found - wanted.numpy()).max() < 1e-5 * float(wanted.abs().max())


@pytest.mark.parametrize("shape", [(32, 32), (299, 299), (500, 311), (1, 2)])
def test_enlarged_as_tensorflow(shape):
    seen = torch.rand(2, 3, *shape, generator=torch.manual_seed(0)) * 255
    theirs = fidelity.resize.interpolate_bilinear_2d_like_tensorflow1x(seen, (299, 299), align_corners=False)
    assert (enlarged(seen) - theirs).abs().max() < 1e-4


def test_enlarging_starts_at_the_corner():
    ramp = torch.arange(4.0).reshape(1, 1, 1, 4)
    assert enlarged(ramp, 8)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]


def test_only_published_weights_are_called_fid(folder):
    published, other = inception(folder / "published.safetensors"), inception(folder / "weights.safetensors")
    assert (frechet_name(published), kernel_name(published)) == ("FID", "KID")
    assert published.name == other.name.replace("inception-", "inception-2015-12-05-")
    assert frechet_name(other) == f"FD-{other.name}"


def test_the_error_says_how_to_convert(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"weights.pth: no safetensors file"):
        inception(folder / "weights.pth")
    with pytest.raises(ValueError, match=r"nowhere: no safetensors file"):
        inception(Path("nowhere"))
    wrong = weights() | {"fc.weight": torch.zeros(1000, 2048)}
    save_file(wrong, tmp_path / "torchvision.safetensors")
    with pytest.raises(ValueError, match=r"fc.weight is \(1000, 2048\), but .* \(1008, 2048\)") as error:
        inception(tmp_path / "torchvision.safetensors")
    # The end of the message, as a user would paste it: the command prints errors as one line.
    line = str(error.value).split("Convert its .pth: ")[1]
    assert line == CONVERT.strip()
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"pt_inception-2015-12-05-{PUBLISHED}.pth").write_bytes((folder / "weights.pth").read_bytes())
    with warnings.catch_warnings(action="ignore"):  # the short line leaves closing the file to Python
        exec(line, {})
        gc.collect()
    converted = inception(tmp_path / "inception.safetensors")
    # These weights are not the published ones, and their hash says so.
    assert converted.name == inception(folder / "weights.safetensors").name


@pytest.mark.slow
def test_fid_and_kid_of_the_same_pictures_as_torch_fidelity(folder):
    """From pictures to figures, each with its own network, on 48 pictures a side."""
    first, second = pictures(32, 48), (pictures(33, 48)[:, :, :32, :32] // 2 + 64)
    extractor = fidelity.inception.FeatureExtractorInceptionV3(
        "test", ["2048"], feature_extractor_weights_path=str(folder / "weights.pth")
    )
    one, other = (extractor(some)[0] for some in (first, second))
    moments = (fidelity.fid.fid_features_to_statistics(rows) for rows in (one, other))
    fid = fidelity.fid.fid_statistics_to_metric(*moments, False)[fidelity.fid.KEY_METRIC_FID]
    kid = fidelity.kid.kid_features_to_metric(
        one, other, kid_subsets=5, kid_subset_size=30, rng_seed=2020, verbose=False
    )[fidelity.kid.KEY_METRIC_KID_MEAN]
    ours = inception(folder / "published.safetensors")
    found = ours(first), ours(second)
    assert frechet(*found) == pytest.approx(fid, rel=1e-3, abs=0.1)
    assert kernel_distance(*found, 5, 30).value == pytest.approx(kid, rel=1e-3)
