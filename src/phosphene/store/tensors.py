"""Tensors in a safetensors file; a full disk is an OSError, as for every other file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file. Tensors that share memory (tied weights), which it refuses, are written
    apart.

    Raises OSError if the file cannot be written, part of which may be there then: write it in a folder of
    `files.replace_folder`.
    """
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.detach().clone() if place in seen else tensor.detach()
        apart[name] = apart[name].contiguous()
        seen.add(place)
    path.touch()  # as readable as other files of this user: safetensors' own are for nobody else
    mode = path.stat().st_mode
    try:
        save_file(apart, path, metadata={"format": "pt"})
        path.chmod(mode)
    except SafetensorError as error:
        # safetensors tells what the system said only inside its text.
        said = re.search(r"os error (\d+)", str(error))
        if said is None:
            raise
        raise OSError(int(said[1]), os.strerror(int(said[1])), str(path)) from error
