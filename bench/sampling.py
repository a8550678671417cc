"""The share of sampling's time that is not the network: `python -m bench.sampling`."""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

import phosphene
from bench import peers
from bench.side_by_side import write
from phosphene.diffusion.condition import Condition


class Timed(nn.Module):
    """A network that counts the seconds inside of it. On a CPU a call returns when its work is done."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.seconds = network, 0.0

    def forward(self, x: Tensor, noise: Tensor, condition: Condition) -> Tensor:
        start = time.perf_counter()
        answer = self.network(x, noise, condition)
        self.seconds += time.perf_counter() - start
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    network = peers.ours(peers.small())
    with tempfile.TemporaryDirectory() as place:
        generator = phosphene.load(peers.saved(Path(place), network))
        timed = Timed(generator.family.network)
        generator.__dict__["family"] = generator.family.with_network(timed)
        rows = []
        for batch in (1, 4):
            for solver in ("ddim", "dpmpp_2m", "heun", "ddpm_large"):
                shares, evaluations = [], 0
                for _ in range(arguments.rounds + 1):
                    timed.seconds, start = 0.0, time.perf_counter()
                    made = generator.sample(batch, seed=0, solver=solver, steps=arguments.steps)
                    shares.append(1 - timed.seconds / (time.perf_counter() - start))
                    evaluations = made.evaluations
                each = timed.seconds / evaluations * 1e3
                rows.append([solver, batch, f"{each:.2f}", f"{100 * median(shares[1:]):.1f} %"])
                print(rows[-1], flush=True)
    weights = sum(p.numel() for p in network.parameters())
    write(
        "sampling",
        f"Sampling: the share of time outside the network ({weights / 1e6:.1f}M weights, 32x32)",
        {"rounds": arguments.rounds, "steps": arguments.steps, "threads": torch.get_num_threads()},
        ["solver", "batch", "ms in the network, an evaluation", "outside of it"],
        rows,
        ["Everything of Generator.sample counts, to the pictures in memory: plan, noise, solver, guidance."],
    )


if __name__ == "__main__":
    main()
