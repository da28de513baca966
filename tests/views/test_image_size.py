"""Pixel sizes from the first bytes of an image."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.views.image_size import decoded_size, pixels

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480) + b"\x08\x06\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 320, 200) + b"\0"
JPEG = (
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    + b"\xff\xe1\1\0"
    + b"E" * 254
    + b"\xff\xc2\0\x11\x08"
    + struct.pack(">HH", 1080, 1920)
    + b"\3"
)
VP8X = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (799).to_bytes(3, "little") + (599).to_bytes(3, "little")
VP8L = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (799 | 599 << 14).to_bytes(4, "little") + b"\0" * 8
VP8 = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 800, 600)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PNG, (640, 480)),
        (GIF, (320, 200)),
        (JPEG, (1920, 1080)),
        (VP8X, (800, 600)),
        (VP8L, (800, 600)),
        (VP8, (800, 600)),
        (b"%PDF-1.7", None),
        (PNG[:20], None),
        (JPEG[:100], None),
    ],
)
def test_pixels(data, size):
    assert pixels(base64.b64encode(data).decode()) == size


@pytest.mark.parametrize("length", range(7))
def test_decoded_size(length):
    assert decoded_size(base64.b64encode(b"x" * length).decode()) == length


def test_base64_in_lines():
    assert pixels(base64.encodebytes(PNG * 9).decode()) == (640, 480)


@given(st.binary(max_size=60), st.sampled_from([PNG[:16], GIF[:6], JPEG[:2], JPEG[:4], VP8X[:16], VP8L[:16], VP8[:16]]))
def test_broken_images_raise_nothing(tail, head):
    pixels(base64.b64encode(head + tail).decode())


@given(st.text(max_size=40))
def test_what_is_no_base64_raises_nothing(text):
    pixels(text)
    decoded_size(text)
