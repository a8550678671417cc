"""Pictures a second from a folder to weights, and from weights to files: `python -m bench.end_to_end`.

diffusers' train_unconditional.py needs torchvision, which has no build for this kind of machine: its steps
are written out here with the same parts (Accelerator, DataLoader, DDPMScheduler, EMAModel) and Pillow.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMPipeline, DDPMPipeline, DDPMScheduler
from PIL import Image

import phosphene
from bench import peers
from bench.side_by_side import Turns, spread, take_turns, write

SIZE, BATCH, STEPS = 32, 64, 20

THEIRS = """
import sys, time
from pathlib import Path
import numpy as np, torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from PIL import Image
from bench import peers

class Folder(torch.utils.data.Dataset):
    def __init__(self, folder):
        self.paths = sorted(Path(folder).rglob("*.png"))
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, i):
        picture = Image.open(self.paths[i]).convert("RGB")
        short = {size} / min(picture.size)
        picture = picture.resize([round(side * short) for side in picture.size], Image.Resampling.BILINEAR)
        left, top = (picture.width - {size}) // 2, (picture.height - {size}) // 2
        picture = picture.crop((left, top, left + {size}, top + {size}))
        if torch.rand(()) < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 127.5 - 1

accelerator = Accelerator(cpu=True)
network = peers.small().train()
average = EMAModel(network.parameters(), decay=0.9999, use_ema_warmup=True)
scheduler = DDPMScheduler(num_train_timesteps=1000)
adam = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)
pictures = Folder({folder!r})
loader = torch.utils.data.DataLoader(pictures, {batch}, shuffle=True, num_workers=0, drop_last=True)
network, adam, loader = accelerator.prepare(network, adam, loader)
done, start = 0, None
while done < {count}:
    for clean in loader:
        if start is None:
            start = time.perf_counter()  # as in phosphene's figure: from the first step on
        noise = torch.randn(clean.shape)
        t = torch.randint(0, 1000, (len(clean),)).long()
        with accelerator.accumulate(network):
            said = network(scheduler.add_noise(clean, noise, t), t).sample
            loss = F.mse_loss(said.float(), noise.float())
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(network.parameters(), 1.0)
            adam.step()
            adam.zero_grad()
        average.step(network.parameters())
        done += len(clean)
        if done >= {count}:
            break
average.copy_to(network.parameters())
network.save_pretrained({out!r})
print(done / (time.perf_counter() - start))
"""

OURS = """
from phosphene.training.options import run
from phosphene.training.train import Watcher
outcome = run(
    {folder!r}, out={out!r}, recipe="ddpm", size={size}, budget=None, images={count}, seed=0, batch={batch},
    settings={settings!r}, resume=None, force=False, device="auto", threads=None, precision=None,
    tune=None, watcher=Watcher(),
)
print(outcome.images / outcome.seconds)
"""
# The network of peers.small, in phosphene's words.
SETTINGS = {
    "network.width": 64,
    "network.multipliers": [1, 1, 2],
    "network.blocks": 1,
    "network.attention": [8],
    "network.head_width": 32,
    "network.dropout": 0.0,
    "data.flip": True,
    "training.ema": [0.1],
}


def folder_of_pictures(folder: Path, count: int) -> None:
    """Crops of photographs at 64x64, as PNG."""
    from skimage import data

    rng = np.random.default_rng(0)
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(count):
        picture = photographs[i % len(photographs)]
        y, x = (rng.integers(0, side - 64) for side in picture.shape[:2])
        Image.fromarray(picture[y : y + 64, x : x + 64]).save(folder / f"{i:05}.png")


def printed(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1280, help="pictures that a training run sees")
    arguments = parser.parse_args()
    rows, all_turns = [], {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "pictures").mkdir()
        folder_of_pictures(root / "pictures", 1000)
        speeds: dict[str, list[float]] = {"phosphene": [], "diffusers": []}
        whole: dict[str, list[float]] = {"phosphene": [], "diffusers": []}
        for turn in range(arguments.rounds):
            given = {"folder": str(root / "pictures"), "size": SIZE, "batch": BATCH}
            given["count"] = arguments.images
            for name, code in (("phosphene", OURS), ("diffusers", THEIRS)):
                start = time.perf_counter()
                text = code.format(**given, out=str(root / f"{name}-{turn}"), settings=SETTINGS)
                speeds[name].append(printed(text))
                whole[name].append(time.perf_counter() - start)
        turns = Turns({name: [1 / speed for speed in values] for name, values in speeds.items()})
        rows.append(
            [
                f"train, batch {BATCH}, from the first step to the written model",
                *(f"{1 / turns.middle(name):.1f}" for name in ("phosphene", "diffusers")),
                spread(turns.ratio("phosphene", "diffusers")),
            ]
        )
        all_turns["train, seconds a picture"] = turns
        processes = Turns(whole)
        all_turns["train, whole process"] = processes
        rows.append(
            [
                f"train, whole process, {arguments.images} pictures",
                *(f"{arguments.images / processes.middle(n):.1f}" for n in ("phosphene", "diffusers")),
                spread(processes.ratio("phosphene", "diffusers")),
            ]
        )
        theirs = peers.small()
        generator = phosphene.load(peers.saved(root / "model", peers.ours(theirs)))
        pipelines = {
            "ddim": (DDIMPipeline, STEPS, "ddim"),
            "ddpm": (DDPMPipeline, 2 * STEPS, "ddpm_large"),
        }
        for name, (pipeline, steps, solver) in pipelines.items():
            theirs_ready = pipeline(theirs, DDPMScheduler())
            theirs_ready.set_progress_bar_config(disable=True)
            turns = take_turns(
                {
                    "phosphene": lambda solver=solver, steps=steps: generator.sample(
                        BATCH, seed=0, solver=solver, steps=steps, batch=BATCH
                    ),
                    "diffusers": lambda made=theirs_ready, steps=steps: made(
                        batch_size=BATCH, num_inference_steps=steps
                    ),
                },
                arguments.rounds,
            )
            all_turns[f"sample, {name}"] = turns
            rows.append(
                [
                    f"sample, {name}, {steps} steps, {BATCH} pictures",
                    *(f"{BATCH / turns.middle(n):.2f}" for n in ("phosphene", "diffusers")),
                    spread(turns.ratio("phosphene", "diffusers")),
                ]
            )
    weights = sum(p.numel() for p in theirs.parameters())
    write(
        "end_to_end",
        f"End to end: a U-Net of {weights / 1e6:.1f}M weights, 32x32, on a folder of photograph crops",
        {"rounds": arguments.rounds, "pictures seen": arguments.images},
        ["what", "phosphene, pictures/s", "diffusers, pictures/s", "against diffusers"],
        rows,
        [
            "diffusers' training is its train_unconditional.py written out without torchvision.",
            "phosphene decodes the folder once into a cache, and writes checkpoint, averages and card.",
            f"threads: {torch.get_num_threads()} for both",
        ],
        all_turns,
    )


if __name__ == "__main__":
    main()
