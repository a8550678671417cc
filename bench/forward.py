"""One evaluation of the same network with the same weights: `python -m bench.forward [--batches 1,16,64]`."""

import argparse

import torch

from bench import peers
from bench.side_by_side import Turns, beside, take_turns, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", default="1,16,64")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out: it takes minutes")
    arguments = parser.parse_args()

    theirs = peers.reference()
    network = peers.ours(theirs)
    adds = peers.multiply_adds(network, 32)
    network = peers.asked(network)
    other = peers.ddpm_pytorch(adds)
    half = peers.has_bf16_units()
    tricks = None if arguments.no_compile else peers.call_diffusers(peers.every_trick(theirs, half))
    rows, all_turns = [], {}
    with torch.inference_mode():
        for batch in map(int, arguments.batches.split(",")):
            torch.manual_seed(batch)
            x, t = torch.randn(batch, 3, 32, 32), torch.rand(batch) * 1000
            mine, default = peers.call_ours(network), peers.call_diffusers(theirs)
            contenders = {
                "phosphene": lambda mine=mine, x=x, t=t: mine(x, t),
                "diffusers": lambda default=default, x=x, t=t: default(x, t),
                "denoising-diffusion-pytorch": lambda x=x, t=t: other(x, t),
            }
            if tricks is not None:
                kind = torch.bfloat16 if half else torch.float32
                last = x.to(kind).contiguous(memory_format=torch.channels_last)
                contenders["diffusers, every trick"] = lambda last=last, t=t: tricks(last, t)
            turns = take_turns(contenders, arguments.rounds)
            error = ((mine(x, t) - default(x, t)).norm() / default(x, t).norm()).item()
            all_turns[f"batch {batch}"] = turns
            rows.append(row(batch, turns, adds, error))
            print(rows[-1], flush=True)
    write(
        "forward",
        "Forward: DDPM's U-Net for CIFAR-10, 35.7M weights, 32x32",
        {
            "rounds": arguments.rounds,
            "precision of phosphene": getattr(network, "precision", "fp32"),
            "precision of every trick": "bf16" if half else "fp32",
        },
        [
            "batch",
            *peers.COLUMNS,
            "relative difference to diffusers",
        ],
        rows,
        [
            "Every trick: channels last, torch.compile with frozen weights, and bf16 where the chip "
            "has units for it" + (", as here." if half else "; here it has none."),
            f"denoising-diffusion-pytorch: its U-Net at {peers.multiply_adds(other, 32) / 1e9:.2f} G "
            f"multiply-adds a picture, the reference has {adds / 1e9:.2f}.",
            "Direct-equivalent: the operations of the plain algorithm over the time; Winograd's does fewer.",
            "Freed memory stays with the process (glibc's mallopt) for all contenders, as phosphene sets it.",
        ],
        all_turns,
    )


def row(batch: int, turns: Turns, adds: float, error: float) -> list[object]:
    return [
        batch,
        *beside(turns, peers.OTHERS),
        f"{2 * adds * batch / turns.middle('phosphene') / 1e9:.0f}",
        f"{error:.1e}",
    ]


if __name__ == "__main__":
    main()
