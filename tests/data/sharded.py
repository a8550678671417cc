"""Tar files with pictures, for tests."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, side: int = 24, kind: str = "JPEG") -> bytes:
    """A picture of smooth noise, a different one for each number."""
    rows = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(rows).resize((side + number % 3, side), Image.Resampling.BICUBIC).save(stream, kind)
    return stream.getvalue()


def shard(path: Path, members: Mapping[str, bytes | str]) -> dict[str, int]:
    """Writes a tar file; returns where each member's header begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    places = {}
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            places[name] = tar.offset
            tar.addfile(member, io.BytesIO(data))
    return places
