"""The same networks in the peers' code, with the same weights where that is possible."""

import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from phosphene.diffusion.condition import Condition
from phosphene.families.device import Asking, made_ready
from phosphene.families.precision import choose_precision
from phosphene.kernels.library import plain
from phosphene.networks.build import repeated
from phosphene.networks.unet import UNet
from phosphene.recipes.settings import DiffusionSettings, SamplingSettings
from phosphene.store import model
from phosphene.store.exchange import read_diffusers

Network = Callable[[Tensor, Tensor], Tensor]
OTHERS = ("diffusers", "diffusers, every trick", "denoising-diffusion-pytorch")
COLUMNS = (
    "phosphene, ms",
    "diffusers, ms",
    "every trick, ms",
    "d-d-pytorch, ms",
    "against diffusers",
    "against every trick",
    "against d-d-pytorch",
    "direct-equivalent GFLOP/s",
)


def reference(seed: int = 0) -> UNet2DModel:
    """The U-Net of DDPM for CIFAR-10 (35.7M weights) in diffusers, its weights not zero."""
    return _random(
        UNet2DModel(
            sample_size=32,
            block_out_channels=(128, 256, 256, 256),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=None,
            downsample_padding=0,
            flip_sin_to_cos=False,
            freq_shift=1,
            norm_eps=1e-6,
        ),
        seed,
    )


def small(seed: int = 0) -> UNet2DModel:
    """A U-Net of about 3M weights for 32x32."""
    return _random(
        UNet2DModel(
            sample_size=32,
            block_out_channels=(64, 64, 128),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            attention_head_dim=32,
        ),
        seed,
    )


def _random(network: UNet2DModel, seed: int) -> UNet2DModel:
    torch.manual_seed(seed)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.02) if weight.ndim > 1 else None
    return network.eval()


def ours(theirs: UNet2DModel, device: str = "cpu") -> UNet:
    """phosphene's U-Net with the weights of a diffusers network, through a folder as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        config, weights = read_diffusers(Path(folder))
    network = UNet(config)
    network.load_state_dict(weights)
    return made_ready(network, torch.device(device)).eval()


def asked(network: UNet) -> nn.Module:
    """The network as a generator asks it, in the precision that it chooses here."""
    device = torch.device("cpu")
    precision = choose_precision("auto", device, repeated(network.config)).name
    return made_ready(Asking(network, precision, device), device).eval() if precision != "fp32" else network


def saved(folder: Path, network: UNet) -> Path:
    """A model folder of a network that predicts the noise of DDPM's schedule, 32x32."""
    header = model.Header(
        diffusion=DiffusionSettings(schedule="linear", prediction="eps", density="uniform"),
        sampling=SamplingSettings(),
        size=32,
        channels=3,
        classes=(),
    )
    model.save(folder, header, network.config, network.state_dict(), "")
    return folder


def call_ours(network: nn.Module) -> Network:
    condition = Condition()
    return lambda x, t: network(x, t, condition)


def call_diffusers(network: Any) -> Network:
    return lambda x, t: network(x, t).sample


def every_trick(theirs: UNet2DModel, half: bool, train: bool = False) -> Any:
    """What diffusers documents for speed: channels last, torch.compile (with frozen weights where they may
    be), and bf16 where the chip has units for it."""
    import copy

    from torch._inductor import config

    config.freezing = not train
    network = copy.deepcopy(theirs).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if half and not train:
        network = network.to(torch.bfloat16)
    return torch.compile(network)


def ddpm_pytorch(flops: float, size: int = 32) -> nn.Module:
    """denoising-diffusion-pytorch's U-Net, as wide as gives the nearest number of multiply-adds.

    It imports torchvision for its data loader, which has no build for CPUs: an empty stand-in serves.
    """
    if "torchvision" not in sys.modules:
        stand_in = types.ModuleType("torchvision")
        for name in ("transforms", "utils"):
            setattr(stand_in, name, types.ModuleType(f"torchvision.{name}"))
            sys.modules[f"torchvision.{name}"] = getattr(stand_in, name)
        sys.modules["torchvision"] = stand_in
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import Unet

    widths = range(16, 256, 16)
    made = {width: Unet(dim=width, dim_mults=(1, 2, 2, 2)).eval() for width in widths}
    nearest = min(widths, key=lambda w: abs(multiply_adds(made[w], size) - flops))
    return made[nearest]


def multiply_adds(network: nn.Module, size: int) -> float:
    """Of one picture of three channels."""
    x, t = torch.zeros(1, 3, size, size), torch.zeros(1)
    math = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with torch.no_grad(), plain(), math, FlopCounterMode(display=False) as counter:
        network(x, t, Condition()) if isinstance(network, UNet) else network(x, t)
    return counter.get_total_flops() / 2


def has_bf16_units() -> bool:
    flags = Path("/proc/cpuinfo").read_text()
    return torch.cuda.is_available() or "amx_bf16" in flags or "avx512_bf16" in flags
