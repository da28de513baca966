"""How large an image is, read from its first bytes: PNG, JPEG, GIF and WebP, the formats that the API takes."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

ENOUGH: Final = 64 * 1024
"""Characters of base64 that are looked at: a JPEG may begin with a preview and a colour profile."""

_WHITE_SPACE: Final = re.compile(r"\s+")


def decoded_size(data: str) -> int:
    """The bytes that a base64 text stands for."""
    return max(0, len(data) * 3 // 4 - data.count("=", -2))


def pixels(data: str) -> tuple[int, int] | None:
    """(width, height) of the image in a base64 text; None when it can't be read."""
    text = _WHITE_SPACE.sub("", data[:ENOUGH])
    try:
        start = base64.b64decode(text[: len(text) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    return png(start) or gif(start) or webp(start) or jpeg(start)


def png(data: bytes) -> tuple[int, int] | None:
    """The size of a PNG, from its IHDR chunk, which is always the first."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def gif(data: bytes) -> tuple[int, int] | None:
    """The size of a GIF: that of its logical screen."""
    if not data.startswith((b"GIF87a", b"GIF89a")) or len(data) < 10:
        return None
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def webp(data: bytes) -> tuple[int, int] | None:
    """The size of a WebP, from its first chunk: lossy, lossless or extended."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def jpeg(data: bytes) -> tuple[int, int] | None:
    """The size of a JPEG, from the frame header (SOFn) among its segments."""
    position = 2
    while data[:2] == b"\xff\xd8" and position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = data[position + 5 : position + 7], data[position + 7 : position + 9]
            return int.from_bytes(width), int.from_bytes(height)
        position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4]))
    return None
