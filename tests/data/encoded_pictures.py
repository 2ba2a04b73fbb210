"""Encoded pictures, good and bad."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image as Pillow


def jpeg(seed: int = 0, size: tuple[int, int] = (32, 24)) -> bytes:
    """An encoded picture of noise that depends on the seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """The first 33 bytes of a PNG that claims to be of this size: what a decompression bomb starts with."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    content = zlib.compress(bytes(100))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
