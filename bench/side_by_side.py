"""What all benchmarks share: the machine, taking turns, and a table that says how it was come by.

Contenders take turns, A B C A B C, so that a machine which turns slower for a while does so for all. A ratio
is taken within a round; its median over the rounds is the figure, its range stands beside it.
"""

import gc
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import torch

RESULTS = Path(__file__).parent / "results"
UNITS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
PACKAGES = ("torch", "diffusers", "denoising-diffusion-pytorch", "triton", "accelerate")


@dataclass(frozen=True)
class Turns:
    """Seconds of each contender, a row a round."""

    seconds: Mapping[str, list[float]]

    def middle(self, name: str) -> float:
        return median(self.seconds[name])

    def ratio(self, of: str, to: str) -> tuple[float, float, float]:
        """How many times faster `of` is than `to`: median, least, most over the rounds."""
        ratios = [slow / fast for slow, fast in zip(self.seconds[to], self.seconds[of], strict=True)]
        return median(ratios), min(ratios), max(ratios)


def take_turns(contenders: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu") -> Turns:
    """Each contender once without a clock, then `rounds` times with one."""
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    for _ in range(rounds):
        for name, run in contenders.items():
            wait(device)
            start = time.perf_counter()
            run()
            wait(device)
            seconds[name].append(time.perf_counter() - start)
    return Turns(seconds)


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def machine(device: str = "cpu") -> dict[str, object]:
    """Where and with what these figures were measured."""
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    model = next(
        (line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "unknown"
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "processor": model,
        "units": [unit for unit in UNITS if f" {unit} " in text.replace("\n", " ")],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device != "cpu" else None,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def beside(turns: Turns, others: Sequence[str]) -> list[object]:
    """Cells of a row: ms of phosphene and of each other, then the ratios; "-" for who did not take part."""
    there = [name if name in turns.seconds else None for name in others]
    return [
        f"{turns.middle('phosphene') * 1e3:.1f}",
        *("-" if name is None else f"{turns.middle(name) * 1e3:.1f}" for name in there),
        *("-" if name is None else spread(turns.ratio("phosphene", name)) for name in there),
    ]


def write(
    name: str,
    title: str,
    settings: Mapping[str, object],
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    notes: Sequence[str] = (),
    turns: Mapping[str, Turns] | None = None,
    device: str = "cpu",
) -> None:
    """NAME-UNITS.json with everything, NAME-UNITS.md with the table; the table is printed too.

    UNITS: what the processor computes with, as that decides most: avx2, avx512 or amx; cuda for a GPU.
    """
    where = machine(device)
    RESULTS.mkdir(exist_ok=True)
    everything = {
        "title": title,
        "machine": where,
        "settings": dict(settings),
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "notes": list(notes),
        "seconds": {key: asdict(value)["seconds"] for key, value in (turns or {}).items()},
    }
    chip = device if device != "cpu" else units(where)
    (RESULTS / f"{name}-{chip}.json").write_text(json.dumps(everything, indent=1) + "\n")
    lines = [f"# {title}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    lines += ["", *(f"- {note}" for note in notes)]
    lines += ["", "Machine: " + ", ".join(f"{key} {value}" for key, value in where.items() if value)]
    lines += ["", "Settings: " + ", ".join(f"{key} {value}" for key, value in settings.items())]
    text = "\n".join(lines) + "\n"
    (RESULTS / f"{name}-{chip}.md").write_text(text)
    print(text)


def units(where: Mapping[str, object]) -> str:
    """The strongest units of a machine, in short: avx2, avx512, amx, or cpu."""
    have = where["units"]
    assert isinstance(have, list)
    return ["cpu", *(str(unit).split("_")[0].removesuffix("f") for unit in have)][-1]


def spread(ratio: tuple[float, float, float]) -> str:
    """A ratio as tables show it: median (least to most)."""
    return f"{ratio[0]:.2f}x ({ratio[1]:.2f} to {ratio[2]:.2f})"
