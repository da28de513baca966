import gzip
import time
import tracemalloc
import zlib

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from addons.wire import encoding
from addons.wire.encoding import Decoder


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def stored(data):
    compressor = zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


ENCODERS = [
    ("identity", bytes),
    ("", bytes),
    ("gzip", gzip.compress),
    ("X-GZip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("deflate", stored),
    ("br", brotli.compress),
    ("zstd", zstandard.ZstdCompressor().compress),
    ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
    ("identity,zstd", zstandard.ZstdCompressor().compress),
]
EVERY = pytest.mark.parametrize(("name", "encode"), ENCODERS)
DATA = st.binary(max_size=200) | st.binary(max_size=20).map(lambda data: data * 400)


def decode(name, *chunks):
    decoder = Decoder(name)
    return b"".join(decoder.feed(chunk) for chunk in chunks)


@EVERY
@given(DATA, st.integers(0, 300))
def test_any_split_decodes_to_the_same(name, encode, data, position):
    encoded = encode(data)
    assert decode(name, encoded) == data
    assert decode(name, encoded[:position], encoded[position:]) == data
    assert decode(name, *[encoded[i : i + 1] for i in range(len(encoded))]) == data


@pytest.mark.parametrize(("name", "encode"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)])
@given(st.lists(DATA, max_size=3), st.integers(1, 50))
def test_several_members_are_one_body(name, encode, parts, size):
    encoded = b"".join(encode(part) for part in parts)
    assert decode(name, encoded) == b"".join(parts)
    assert decode(name, *[encoded[i : i + size] for i in range(0, len(encoded), size)]) == b"".join(parts)


def test_padding_after_a_gzip_member():
    encoded = gzip.compress(b"hello") + b"\0" * 10
    assert decode("gzip", encoded) == b"hello"
    assert decode("gzip", encoded[:-5], encoded[-5:]) == b"hello"


def test_what_was_flushed_comes_out_at_once():
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    decoder = Decoder("gzip")
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        assert decoder.feed(compressor.compress(event) + compressor.flush(zlib.Z_SYNC_FLUSH)) == event
    brotli_compressor = brotli.Compressor()
    assert Decoder("br").feed(brotli_compressor.process(b"data: 1\n\n") + brotli_compressor.flush()) == b"data: 1\n\n"
    zstd = zstandard.ZstdCompressor().compressobj()
    flushed = zstd.compress(b"data: 1\n\n") + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    assert Decoder("zstd").feed(flushed) == b"data: 1\n\n"


@pytest.mark.parametrize("name", ["compress", "gzip, what", "utf-8"])
def test_an_unknown_coding(name):
    with pytest.raises(ValueError, match="unknown content-encoding"):
        Decoder(name)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_broken_data(name):
    decoder = Decoder(name)
    with pytest.raises(ValueError, match="broken content-encoding"):
        decoder.feed(b"\xff\xff\xff\xffdata: this is not compressed at all\n\n")


def test_garbage_after_a_member():
    with pytest.raises(ValueError, match="broken content-encoding"):
        decode("gzip", gzip.compress(b"hello") + b"data: 1\n\n")


def test_a_whole_body_is_decoded_up_to_a_limit():
    body = b"some words " * 1000
    assert encoding.decode(gzip.compress(body), "gzip", len(body)) == body
    assert encoding.decode(body, "identity", 5) == encoding.decode(body, "", 5) == body[:6]


def zstd_blocks(block, count):
    """A zstd frame of so many equal blocks."""
    return bytes.fromhex("28b52ffd 00 50") + block * count  # a window of 1 MB


BOMBS = {
    "gzip": lambda: gzip.compress(bytes(1 << 24)) * 64,
    "deflate": lambda: zlib.compress(bytes(1 << 24)) * 64,
    "br": lambda: brotli.compress(bytes(1 << 28), quality=2),
    "zstd": lambda: zstd_blocks(bytes.fromhex("02001000"), 8192),  # 128 KB of zeros each
    "gzip, br": lambda: brotli.compress(gzip.compress(bytes(1 << 24)) * 64, quality=2),
    "zstd, zstd": lambda: zstandard.compress(zstandard.compress(bytes(1 << 28))),
}
"""How they are packed, which takes its time."""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_memory_and_time(name):
    bomb = BOMBS[name]()
    tracemalloc.start()
    started = time.process_time()
    try:
        assert len(encoding.decode(bomb, name, 1 << 20)) == (1 << 20) + 1
        with pytest.raises(ValueError, match="stands for too much"):
            Decoder(name).feed(bomb[: 1 << 16])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20
    assert time.process_time() - started < 2


def test_a_window_larger_than_browsers_take_is_refused():
    huge = bytes.fromhex("28b52ffd 00 88") + bytes.fromhex("090000") + b"x"  # 128 MB
    with pytest.raises(ValueError, match="broken"):
        encoding.decode(huge, "zstd", 1000)


def test_no_more_codings_than_anybody_uses():
    with pytest.raises(ValueError, match="more than 3"):
        Decoder("gzip, gzip, gzip, gzip")
    with pytest.raises(ValueError, match="more than 3"):
        Decoder("gzip," * 100_000)


def test_many_empty_members_are_read_in_linear_time():
    body = gzip.compress(b"") * 100_000
    started = time.process_time()
    assert encoding.decode(body, "gzip", 1000) == b""
    assert time.process_time() - started < 2


def test_a_whole_body_in_no_known_coding_is_refused():
    with pytest.raises(ValueError, match="rot13"):
        encoding.decode(b"", "rot13", 1000)
    with pytest.raises(ValueError, match="broken"):
        encoding.decode(b"no gzip", "gzip", 1000)
