"""A whole training step of the same network, with AdamW and EMA: `python -m bench.training_step`."""

import argparse
import copy
from collections.abc import Callable

import torch
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from torch import nn
from torch.nn import functional

from bench import peers
from bench.side_by_side import beside, take_turns, write
from phosphene.diffusion.condition import Condition
from phosphene.diffusion.noise import keys
from phosphene.families.device import computing_in
from phosphene.families.diffusion import Diffusion
from phosphene.families.family import Batch
from phosphene.families.precision import choose_precision
from phosphene.networks.build import repeated
from phosphene.recipes.presets import DDPM
from phosphene.training import optimizer
from phosphene.training.ema import Averages

CASES = {"small": (peers.small, 64), "reference": (peers.reference, 16)}


def ours(theirs: UNet2DModel, x: torch.Tensor) -> Callable[[], object]:
    """What the trainer does in a step: noise of (seed, picture, step), loss, clipping, AdamW, EMA."""
    network, cpu = peers.ours(theirs).train(), torch.device("cpu")
    precision = choose_precision("auto", cpu, repeated(network.config), training=True).name
    family = Diffusion(network, DDPM.diffusion)
    optimizers = optimizer.build(network, learning_rate=1e-4)
    averages = Averages(network, (0.1,))
    step = 0

    def run() -> None:
        nonlocal step
        optimizers.zero_grad()
        batch = Batch(x, Condition(), keys(0, range(len(x))), step, len(x))
        with computing_in(precision, cpu):
            loss = family.loss("network", batch).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizers.step()
        step += 1
        averages.update(step)

    return run


def diffusers(network: nn.Module, x: torch.Tensor, fused: bool, half: bool) -> Callable[[], object]:
    """The inner loop of diffusers' train_unconditional.py: AdamW, DDPMScheduler, EMAModel, clipping at 1."""
    network.train()
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    adam = torch.optim.AdamW(
        network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, fused=fused
    )
    average = EMAModel(network.parameters(), decay=0.9999, use_ema_warmup=True)

    def run() -> None:
        noise = torch.randn(x.shape)
        t = torch.randint(0, 1000, (len(x),))
        noisy = scheduler.add_noise(x, noise, t)  # pyright: ignore[reportArgumentType]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            said = network(noisy, t).sample
        functional.mse_loss(said.float(), noise).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        average.step(network.parameters())

    return run


def ddpm_pytorch(network: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    """The inner loop of its Trainer: GaussianDiffusion's loss, Adam, clipping, EMA every ten steps."""
    from denoising_diffusion_pytorch import GaussianDiffusion
    from ema_pytorch import EMA

    diffusion = GaussianDiffusion(network.train(), image_size=x.shape[-1], timesteps=1000)
    adam = torch.optim.Adam(diffusion.parameters(), lr=1e-4, betas=(0.9, 0.99))
    average = EMA(diffusion, beta=0.995, update_every=10)

    def run() -> None:
        diffusion((x + 1) / 2).backward()
        nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        average.update()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default="small,reference")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out: it takes minutes")
    arguments = parser.parse_args()
    half = peers.has_bf16_units()
    rows, all_turns = [], {}
    for case in arguments.cases.split(","):
        make, batch = CASES[case]
        theirs = make()
        torch.manual_seed(0)
        x = torch.rand(batch, 3, 32, 32) * 2 - 1
        weights = sum(p.numel() for p in theirs.parameters())
        adds = peers.multiply_adds(peers.ours(theirs), 32)
        contenders = {
            "phosphene": ours(theirs, x),
            "diffusers": diffusers(copy.deepcopy(theirs), x, fused=False, half=False),
            "denoising-diffusion-pytorch": ddpm_pytorch(peers.ddpm_pytorch(adds), x),
        }
        if not arguments.no_compile:
            tricks = peers.every_trick(theirs, half, train=True)
            contenders["diffusers, every trick"] = diffusers(tricks, x, fused=True, half=half)
        turns = take_turns(contenders, arguments.rounds)
        all_turns[case] = turns
        rows.append(
            [
                f"{case}, {weights / 1e6:.1f}M, batch {batch}",
                *beside(turns, peers.OTHERS),
                f"{6 * adds * batch / turns.middle('phosphene') / 1e9:.0f}",
            ]
        )
        print(rows[-1], flush=True)
    write(
        "training_step",
        "A training step: forward, backward, AdamW, EMA; 32x32",
        {"rounds": arguments.rounds, "precision of every trick": "bf16" if half else "fp32"},
        [
            "network",
            *peers.COLUMNS,
        ],
        rows,
        [
            "diffusers: the inner loop of its train_unconditional.py. Every trick: channels last, "
            "torch.compile, fused AdamW, and bf16 where the chip has units for it.",
            "phosphene clips, draws its counter-based noise and keeps one average in the step too.",
            "denoising-diffusion-pytorch: the inner loop of its Trainer, its U-Net at equal cost.",
        ],
        all_turns,
    )


if __name__ == "__main__":
    main()
