"""Start-up, whole processes, from import to a first picture: `python -m bench.start_up`."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from diffusers import DDPMPipeline, DDPMScheduler

from bench import peers
from bench.side_by_side import spread, take_turns, write
from phosphene.families.generator import load

STEPS = 20
OURS = """
import phosphene
phosphene.load({folder!r}).sample(1, seed=0, solver="ddim", steps={steps})[0].save({out!r})
"""
THEIRS = """
from diffusers import DDIMPipeline
DDIMPipeline.from_pretrained({folder!r})(num_inference_steps={steps}).images[0].save({out!r})
"""


def script(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        theirs = peers.small()
        DDPMPipeline(theirs, DDPMScheduler()).save_pretrained(root / "theirs")
        load(peers.saved(root / "ours", peers.ours(theirs)))
        commands = {
            "import": (script("import phosphene"), script("import diffusers")),
            "import, the parts too": (
                script("import phosphene; phosphene.load"),
                script("from diffusers import DDIMPipeline"),
            ),
            "import torch, which both must": (script("import torch"), None),
            "--help": (
                lambda: subprocess.run(
                    [sys.executable, "-m", "phosphene", "--help"], check=True, capture_output=True
                ),
                None,
            ),
            f"first picture, {STEPS} steps": (
                script(OURS.format(folder=str(root / "ours"), steps=STEPS, out=str(root / "a.png"))),
                script(THEIRS.format(folder=str(root / "theirs"), steps=STEPS, out=str(root / "b.png"))),
            ),
        }
        rows, all_turns = [], {}
        for name, (mine, other) in commands.items():
            contenders = {"phosphene": mine} | ({"diffusers": other} if other else {})
            turns = take_turns(contenders, arguments.rounds)
            all_turns[name] = turns
            rows.append(
                [
                    name,
                    f"{turns.middle('phosphene'):.2f}",
                    f"{turns.middle('diffusers'):.2f}" if other else "-",
                    spread(turns.ratio("phosphene", "diffusers")) if other else "-",
                ]
            )
            print(rows[-1], flush=True)
    weights = sum(p.numel() for p in theirs.parameters())
    write(
        "start_up",
        f"Start-up, whole processes; the network has {weights / 1e6:.1f}M weights, 32x32",
        {"rounds": arguments.rounds, "steps": STEPS},
        ["what", "phosphene, s", "diffusers, s", "against diffusers"],
        rows,
        ["The same network and weights, the same number of evaluations (DDIM)."],
        all_turns,
    )


if __name__ == "__main__":
    main()
