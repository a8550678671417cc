"""How much memory there is, and the most that a piece of work took."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SYSTEM, GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")


def free(device: torch.device) -> int:
    """Bytes that this process may have in all, with those that it holds."""
    if device.type == "cuda":
        left, _ = torch.cuda.mem_get_info(device)
        return left + held(device)
    left = _line(SYSTEM, "MemAvailable:")
    limit = GROUP.read_text().strip() if GROUP.exists() else "max"
    most = held(device) + left if left else sys.maxsize
    return min(most, int(limit)) if limit.isdigit() else most


def held(device: torch.device) -> int:
    """Bytes that this process holds now; 0 where the system does not say."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else _line(STATUS, "VmRSS:")


def peak(device: torch.device, work: Callable[[], object]) -> int:
    """The most bytes that the process held while it did this, with what it held before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_reserved(device)
    if REFERENCES.exists():
        REFERENCES.write_text("5")  # Linux: begin the high-water mark anew
    work()
    if high := _line(STATUS, "VmHWM:"):
        return high
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _line(file: Path, name: str) -> int:
    """Bytes of a line such as `VmRSS:  1234 kB`; 0 where there is none."""
    if not file.exists():
        return 0
    lines = [line for line in file.read_text().splitlines() if line.startswith(name)]
    return int(lines[0].split()[1]) * 1024 if lines else 0
