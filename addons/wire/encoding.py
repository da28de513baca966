"""Content codings of answers (`content-encoding`), decoded as the bytes come in.

Providers are asked for `identity`, some compress all the same. Rules that hold here: what was flushed by the
provider comes out at once (a stream must not wait for the next block); several members one after the other are one
body; anything that can't be decoded is a ValueError. Output is not bounded: the size of an event is, by
`sse.Splitter`, and that of a JSON body by who collects it.
"""

import zlib
from collections.abc import Callable
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]  # it has no stubs
import zstandard

_SLICE: Final = 4096


class _Member(Protocol):
    """One compressed member (gzip) or frame (zstd), as zlib's and zstandard's objects present it."""

    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class Decoder:
    """Undoes a whole `content-encoding`, several codings too (`gzip, br`: applied in this order)."""

    def __init__(self, content_encoding: str) -> None:
        """Raises ValueError for a coding that is not known."""
        names = [name.strip().lower() for name in content_encoding.split(",")]
        self._codings = [_CODINGS[name]() for name in reversed(names) if _known(name)]

    def feed(self, data: bytes) -> bytes:
        """What these bytes decode to; may be empty. Raises ValueError when they are broken."""
        for coding in self._codings:
            if not data:
                break
            data = coding.feed(data)
        return data


def decode(body: bytes, content_encoding: str, limit: int) -> bytes:
    """A whole body decoded; what comes far behind `limit` bytes is left out. Raises ValueError as `Decoder` does.

    However small a body is: with gzip and deflate, no more than 4 MB are made beyond the limit.
    """
    decoder, decoded = Decoder(content_encoding), bytearray()
    for start in range(0, len(body), _SLICE):
        decoded += decoder.feed(body[start : start + _SLICE])
        if len(decoded) > limit:
            break
    return bytes(decoded)


class _Members:
    """gzip, zlib or zstd data of one or more members."""

    def __init__(self, new: Callable[[], _Member]) -> None:
        self._new = new
        self._member = new()

    def feed(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._member.eof:
                data = data.lstrip(b"\0")  # padding after a gzip member; no member starts with a zero
                if not data:
                    break
                self._member = self._new()
            try:
                out.append(self._member.decompress(data))
            except (zlib.error, zstandard.ZstdError) as error:
                raise ValueError(f"broken content-encoding: {error}") from error
            data = self._member.unused_data if self._member.eof else b""
        return b"".join(out)


class _Deflate:
    """`deflate` is zlib data by the standard and raw deflate data by the habit of some servers."""

    def __init__(self) -> None:
        self._head = b""
        self._members: _Members | None = None

    def feed(self, data: bytes) -> bytes:
        if self._members is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data = self._head
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            wbits = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
            self._members = _Members(lambda: zlib.decompressobj(wbits))
        return self._members.feed(data)


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def feed(self, data: bytes) -> bytes:
        try:
            out: bytes = self._decompressor.process(data)
        except brotli.error as error:
            raise ValueError(f"broken content-encoding: {error}") from error
        return out


_CODINGS: Final[dict[str, Callable[[], _Members | _Deflate | _Brotli]]] = {
    "gzip": lambda: _Members(lambda: zlib.decompressobj(16 + zlib.MAX_WBITS)),
    "x-gzip": lambda: _Members(lambda: zlib.decompressobj(16 + zlib.MAX_WBITS)),
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": lambda: _Members(lambda: zstandard.ZstdDecompressor().decompressobj()),
}


def _known(name: str) -> bool:
    if name not in _CODINGS and name not in ("", "identity"):
        raise ValueError(f"unknown content-encoding: {name[:40]!r}")
    return name in _CODINGS
