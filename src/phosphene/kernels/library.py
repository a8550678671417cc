"""The C++ operators: compiled on first use with the machine's own compiler, kept in the user's cache.

They are plain functions over pointers, without torch's headers, so that compiling takes seconds and one build
serves every version of torch. Threads are OpenMP's; torch has loaded its own libgomp before, and as that goes
by the same name, both share one pool. Without a compiler everything works, slower, and it is said once.

`PHOSPHENE_KERNELS=off` turns them off, `with plain():` for a part of a program.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from phosphene import files

SOURCE = Path(__file__).parent / "source"
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fopenmp")
# What vectors may assume: sums of products in one rounding, no traps; NaN and infinity keep their meaning.
ARITHMETIC = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")

F, N, S = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
SIGNATURES = {
    "group_norm_forward": (F, F, F, F, F, N, F, F, F, N, N, N, N, ctypes.c_double, S, S, S),
    "group_norm_backward": (F, F, F, F, F, F, N, F, F, F, F, N, N, N, N, S, S, S),
    "rms_norm_forward": (F, F, F, F, F, F, N, N, N, ctypes.c_double, S, S),
    "rms_norm_backward": (F, F, F, F, F, F, F, N, N, N, S, S),
    "swiglu_forward": (F, F, N, N, S, S),
    "swiglu_backward": (F, F, F, N, N, S, S),
    "turned_forward": (F, F, F, F, F, F, N, N, N, N, N, ctypes.c_double, S, S),
    "turned_backward": (F, F, F, F, F, F, F, F, N, N, N, N, N, S, S),
    "sums": (F, F, N, N, N, S),
    "philox_words": (F, F, F, F, N, N, S),
    "winograd_panels": (N,),
    "winograd_weights_size": (N, N),
    "winograd_work_size": (N, N, N, S),
    "winograd_weights": (F, ctypes.POINTER(N), S, N, N, F, S),
    "winograd_forward": (F, F, F, F, F, F, N, N, N, N, N, F, N, S),
    "winograd_weight_gradient": (F, F, F, ctypes.POINTER(N), F, N, N, N, N, N, F, N, S),
    "amx_ready": (),
}
# Only where this compiler knows the units, and the chip has them.
TILES = {
    "amx_weights_size": (N, N, N),
    "amx_weights": (F, S, ctypes.POINTER(N), S, N, N, S, F, S),
    "amx_work_size": (N, N, N, N, N, S, S, S, S, S),
    "amx_convolution": (F, F, F, F, F, F, N, N, N, N, N, S, S, S, S, F, S),
    "amx_gradient_size": (N, N, N, N, N),
    "amx_weight_gradient": (F, F, F, ctypes.POINTER(N), F, N, N, N, N, N, F, S),
}

_plain: ContextVar[bool] = ContextVar("plain", default=False)


class Built(NamedTuple):
    """The loaded library, or why there is none."""

    library: ctypes.CDLL | None
    words: str
    tiles: bool = False  # whether it has those for AMX, and may use it


@contextmanager
def plain() -> Iterator[None]:
    """Inside, every operator is its plain PyTorch twin: for derivatives of higher order, and to compare."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def library() -> ctypes.CDLL | None:
    """The operators, or None where they are not to be had or not wanted."""
    return None if _plain.get() else built().library


def tiles() -> ctypes.CDLL | None:
    """The operators, where they have those for AMX."""
    return library() if built().tiles else None


@cache
def built() -> Built:
    """Compiles and loads, once a process. What fails is logged as one line."""
    if os.environ.get("PHOSPHENE_KERNELS") == "off":
        return Built(None, "off by PHOSPHENE_KERNELS")
    try:
        loaded = ctypes.CDLL(str(compiled()))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        words = " ".join(str(error).split())
        logging.getLogger("phosphene").warning(
            "no C++ operators (%s); everything works, some of it slower", words
        )
        return Built(None, words)
    _declare(loaded, SIGNATURES)
    loaded.amx_ready.restype = S
    if not loaded.amx_ready():
        return Built(loaded, "C++ operators, compiled for this CPU")
    _declare(loaded, TILES)
    return Built(loaded, "C++ operators, compiled for this CPU and its AMX units", tiles=True)


def _declare(loaded: ctypes.CDLL, signatures: Mapping[str, Sequence[Any]]) -> None:
    for name, arguments in signatures.items():
        function = getattr(loaded, name)
        function.argtypes = arguments
        function.restype = N if name.endswith(("_size", "_panels")) else None


def compiled() -> Path:
    """The library's file, compiled if this source with this compiler on this CPU was not before.

    Raises ValueError where there is no compiler or it refuses, OSError where nothing can be written.
    """
    compiler = os.environ.get("CXX") or next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        raise ValueError("no C++ compiler: install g++ or clang++")
    sources = sorted(SOURCE.glob("*.cpp"))
    text = b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file())
    told = "\n".join([_version(compiler), processor(), *FLAGS, *ARITHMETIC]).encode()
    name = hashlib.sha256(text + told).hexdigest()[:16]
    place = files.cache() / "kernels" / f"{name}.so"
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        made = place.with_name(f"{files.WRITING}{name}-{os.getpid()}.so")
        try:
            _run([compiler, *FLAGS, *ARITHMETIC, *map(str, sources), "-o", str(made)])
            made.replace(place)
        finally:
            made.unlink(missing_ok=True)
    return place


def _version(compiler: str) -> str:
    """Which compiler: the program's file, as asking it for its version takes a process at every start."""
    program = Path(shutil.which(compiler) or compiler).resolve()
    about = program.stat()
    return f"{program} {about.st_size} {about.st_mtime_ns}"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise ValueError(f"{command[0]}: {lines[0] if lines else f'exit code {done.returncode}'}")


@cache
def processor() -> str:
    """What -march=native depends on: a cache on a shared disk serves several machines."""
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor() + platform.machine()
    lines = information.read_text().splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))}))


@cache
def keep_buffers() -> None:
    """Makes the C library keep freed memory instead of returning it: pages that come back from the system
    are zeroed one fault at a time, which costs a large network a tenth of its time. Linux's glibc only."""
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        trim_threshold, mmap_max = -1, -4
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def pointer(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
