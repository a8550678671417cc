"""The Inception of FID: the network of 2015-12-05 with 1008 outputs that TensorFlow's authors published.

It is InceptionV3 (Szegedy 2016) but for three things, which FID inherits: pictures are enlarged to 299 by
TensorFlow 1's bilinear rule, whose grid starts at the corner of the first pixel (pixel i of the result looks
at i h / 299); average pools do not count padding; and the last block pools by the maximum. Values are (byte
- 128) / 128. Features are the 2048 means before the classifier, which is kept for its name's sake only.

Weights have the names of the file that pytorch-fid and torch-fidelity publish.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from phosphene.measures.features.encoder import Encoder, Family, fingerprint

SIZE = 299
PUBLISHED = "6726825d"  # how the SHA-256 of the published .pth begins
# One line, as users' errors are printed, so that it can be pasted as it stands.
CONVERT = (
    f' import hashlib, torch, safetensors.torch; pth = "pt_inception-2015-12-05-{PUBLISHED}.pth"; '
    'safetensors.torch.save_file(torch.load(pth, weights_only=True), "inception.safetensors", '
    '{"sha256": hashlib.sha256(open(pth, "rb").read()).hexdigest()})'
)


class Layer(NamedTuple):
    """A convolution without bias, batch norm, relu; padded to keep the size unless its stride is 2."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


Branch = tuple[Layer | tuple[Layer, Layer], ...]
"""Layers one after the other; a pair goes side by side."""


class Convolution(nn.Module):
    def __init__(self, inputs: int, layer: Layer, padded: bool = True) -> None:
        super().__init__()
        tall, wide = layer.kernel
        padding = (tall // 2, wide // 2) if padded and layer.stride == 1 else 0
        self.conv = nn.Conv2d(inputs, layer.width, layer.kernel, layer.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(layer.width, eps=1e-3)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        return functional.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side and, last, a pool: halving, or keeping the size with a convolution behind it."""

    def __init__(self, inputs: int, branches: tuple[Branch, ...], pool: str, pooled: int = 0) -> None:
        super().__init__()
        self.branches, self.pool = branches, pool
        self.width = pooled or inputs
        for branch in branches:
            before = inputs
            for step in branch:
                side_by_side = (step,) if isinstance(step, Layer) else step
                for layer in side_by_side:
                    self.add_module(layer.name, Convolution(before, layer))
                before = sum(layer.width for layer in side_by_side)
            self.width += before
        if pooled:
            self.branch_pool = Convolution(inputs, Layer("branch_pool", pooled))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        found = []
        for branch in self.branches:
            h = x
            for step in branch:
                layers = (step,) if isinstance(step, Layer) else step
                h = torch.cat([self.get_submodule(layer.name)(h) for layer in layers], 1)
            found.append(h)
        match self.pool:
            case "halve":
                found.append(functional.max_pool2d(x, 3, 2))
            case "average":
                mean = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
                found.append(self.branch_pool(mean))
            case "maximum":
                found.append(self.branch_pool(functional.max_pool2d(x, 3, 1, 1)))
        return torch.cat(found, 1)


def block_a(inputs: int, pooled: int) -> Mixed:
    five = (Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, (5, 5)))
    three = (
        Layer("branch3x3dbl_1", 64),
        Layer("branch3x3dbl_2", 96, (3, 3)),
        Layer("branch3x3dbl_3", 96, (3, 3)),
    )
    return Mixed(inputs, ((Layer("branch1x1", 64),), five, three), "average", pooled)


def block_b(inputs: int) -> Mixed:
    three = (
        Layer("branch3x3dbl_1", 64),
        Layer("branch3x3dbl_2", 96, (3, 3)),
        Layer("branch3x3dbl_3", 96, (3, 3), 2),
    )
    return Mixed(inputs, ((Layer("branch3x3", 384, (3, 3), 2),), three), "halve")


def block_c(inputs: int, width: int) -> Mixed:
    once = (
        Layer("branch7x7_1", width),
        Layer("branch7x7_2", width, (1, 7)),
        Layer("branch7x7_3", 192, (7, 1)),
    )
    twice = (
        Layer("branch7x7dbl_1", width),
        Layer("branch7x7dbl_2", width, (7, 1)),
        Layer("branch7x7dbl_3", width, (1, 7)),
        Layer("branch7x7dbl_4", width, (7, 1)),
        Layer("branch7x7dbl_5", 192, (1, 7)),
    )
    return Mixed(inputs, ((Layer("branch1x1", 192),), once, twice), "average", 192)


def block_d(inputs: int) -> Mixed:
    seven = (
        Layer("branch7x7x3_1", 192),
        Layer("branch7x7x3_2", 192, (1, 7)),
        Layer("branch7x7x3_3", 192, (7, 1)),
        Layer("branch7x7x3_4", 192, (3, 3), 2),
    )
    three = (Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, (3, 3), 2))
    return Mixed(inputs, (three, seven), "halve")


def block_e(inputs: int, pool: str) -> Mixed:
    once = (
        Layer("branch3x3_1", 384),
        (Layer("branch3x3_2a", 384, (1, 3)), Layer("branch3x3_2b", 384, (3, 1))),
    )
    twice = (
        Layer("branch3x3dbl_1", 448),
        Layer("branch3x3dbl_2", 384, (3, 3)),
        (Layer("branch3x3dbl_3a", 384, (1, 3)), Layer("branch3x3dbl_3b", 384, (3, 1))),
    )
    return Mixed(inputs, ((Layer("branch1x1", 320),), once, twice), pool, 192)


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, Layer("", 32, (3, 3), 2))
        self.Conv2d_2a_3x3 = Convolution(32, Layer("", 32, (3, 3)), padded=False)
        self.Conv2d_2b_3x3 = Convolution(32, Layer("", 64, (3, 3)))
        self.Conv2d_3b_1x1 = Convolution(64, Layer("", 80))
        self.Conv2d_4a_3x3 = Convolution(80, Layer("", 192, (3, 3)), padded=False)
        self.Mixed_5b = block_a(192, 32)
        self.Mixed_5c = block_a(self.Mixed_5b.width, 64)
        self.Mixed_5d = block_a(self.Mixed_5c.width, 64)
        self.Mixed_6a = block_b(self.Mixed_5d.width)
        self.Mixed_6b = block_c(self.Mixed_6a.width, 128)
        self.Mixed_6c = block_c(self.Mixed_6b.width, 160)
        self.Mixed_6d = block_c(self.Mixed_6c.width, 160)
        self.Mixed_6e = block_c(self.Mixed_6d.width, 192)
        self.Mixed_7a = block_d(self.Mixed_6e.width)
        self.Mixed_7b = block_e(self.Mixed_7a.width, "average")
        self.Mixed_7c = block_e(self.Mixed_7b.width, "maximum")
        self.fc = nn.Linear(self.Mixed_7c.width, 1008)

    def forward(self, pictures: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 2048"]:
        x = (enlarged(pictures) - 128) / 128
        for name, layer in self.named_children():
            if name == "fc":
                break
            x = layer(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = functional.max_pool2d(x, 3, 2)
        return x.mean((2, 3))


def enlarged(pictures: Float[Tensor, "b c h w"], size: int = SIZE) -> Float[Tensor, "b c size size"]:
    """By TensorFlow 1's bilinear rule: pixel i looks at i h / size, without the half-pixel shift."""
    for axis in (2, 3):
        count = pictures.shape[axis]
        place = torch.arange(size, device=pictures.device) * torch.tensor(count / size, dtype=torch.float32)
        low = place.long()
        shape = (-1, 1) if axis == 2 else (-1,)
        share = (place - low).to(pictures.dtype).reshape(shape)
        first = pictures.index_select(axis, low)
        second = pictures.index_select(axis, (low + 1).clamp(max=count - 1))
        pictures = first + (second - first) * share
    return pictures


def inception(path: Path) -> Encoder:
    """The encoder of FID and KID from a safetensors file of the published weights.

    Its figures are called FID and KID where the file says which .pth it was made from and that is the
    published one; with other weights of the same shapes they are not. Raises ValueError where the file is
    not safetensors or its tensors are not those of this network, and says how to convert.
    """
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: no safetensors file ({error}). Convert the .pth once:{CONVERT}") from None
    with torch.device("meta"):  # no memory and no random weights, which take seconds
        network = Inception().eval().requires_grad_(False)
    wanted = network.state_dict()
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    for name in wanted.keys() - counters:
        shape = tuple(weights[name].shape) if name in weights else "missing"
        if shape != tuple(wanted[name].shape):
            raise ValueError(
                f"{path}: {name} is {shape}, but in the Inception of 2015-12-05 {tuple(wanted[name].shape)}. "
                f"Convert its .pth:{CONVERT}"
            )
    kept = {name: weights[name].float() for name in wanted.keys() - counters}
    network.load_state_dict({name: torch.tensor(0) for name in counters} | kept, assign=True)
    published = said.get("sha256", "").startswith(PUBLISHED)
    kind, date = (Family.INCEPTION, "-2015-12-05") if published else (Family.OWN, "")
    return Encoder(f"inception{date}-{fingerprint(kept)}", network, kind, batch=32)
