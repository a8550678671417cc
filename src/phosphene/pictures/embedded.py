"""Settings embedded in a PNG: one text chunk "phosphene" that holds a JSON object.

A picture so carries how it was made. The chunk is read without decoding the picture, one header at a time,
so neither the picture's size nor other chunks matter. PNG (ISO 15948): signature, then chunks of
length (4 bytes), type (4), data, CRC of type and data (4); tEXt data is keyword, a zero byte, text.
"""

import json
import os
import secrets
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

KEYWORD = "phosphene"
LIMIT = 65536
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_png(image: Image.Image, path: Path, settings: Mapping[str, object]) -> None:
    """Write the picture (L, LA, RGB, RGBA) with its settings, whole or not at all.

    Raises ValueError for settings that are not JSON or take more than 64 KiB.
    """
    try:
        text = json.dumps(dict(settings), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings for {path.name} are not JSON: {error}") from error
    if len(text) > LIMIT:
        raise ValueError(f"settings for {path.name} take {len(text):,} bytes: at most {LIMIT:,} fit")
    info = PngInfo()
    info.add_text(KEYWORD, text)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            image.save(file, "PNG", pnginfo=info)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_settings(path: Path) -> dict[str, object]:
    """The settings that `write_png` embedded. Raises ValueError if the file holds none."""
    text = _chunk(path)
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name}: the {KEYWORD} settings are not JSON") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path.name}: the {KEYWORD} settings are not a JSON object")
    return settings


def _chunk(path: Path) -> bytes:
    prefix = KEYWORD.encode() + b"\0"
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError(f"{path.name} is not a PNG")
        while len(header := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", header)
            if kind == b"IEND":
                break
            if kind != b"tEXt":
                file.seek(length + 4, os.SEEK_CUR)
                continue
            if (start := file.read(min(length, len(prefix)))) != prefix:
                file.seek(length - len(start) + 4, os.SEEK_CUR)
                continue
            if length - len(prefix) > LIMIT:
                raise ValueError(f"{path.name}: the {KEYWORD} settings are over {LIMIT:,} bytes")
            text = file.read(length - len(prefix))
            if file.read(4) != struct.pack(">I", zlib.crc32(kind + prefix + text)):
                raise ValueError(f"{path.name}: the {KEYWORD} settings are damaged")
            return text
    raise ValueError(f"{path.name} holds no {KEYWORD} settings")
