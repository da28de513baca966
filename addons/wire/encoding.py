"""Content codings (`content-encoding`), undone step by step as the bytes come in.

Providers are asked for `identity`, some compress all the same. Rules that hold here: what was flushed by the
provider comes out at once (a stream must not wait for the next block); several members one after the other are one
body; anything that can't be decoded is a ValueError. However little a body is, and however many codings it names,
no step makes more than a few megabytes of it, and whoever asked stops when it is too much.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]  # it has no stubs
import zstandard

from addons.wire.limits import CODINGS, UNPACKED_AT_ONCE, UNPACKING_WINDOW

_SLICE: Final = 4096

_STEP: Final = 1024 * 1024
"""Bytes that one step of a decoder makes, about."""

_ZSTD_SLICE: Final = 32
"""Bytes that zstd is given at once. A block of 4 bytes may stand for 128 KB, and there is no way to ask for less."""


class _Coding(Protocol):
    """One coding, undone: the bytes as they come in, their contents in steps."""

    def steps(self, data: bytes) -> Iterator[bytes]:
        """What these bytes, the next ones, unpack to: a piece of bounded size at a time, so that the caller can stop.
        Raises ValueError when they are not of this coding."""


class Decoder:
    """Undoes a whole `content-encoding`, several codings too (`gzip, br`: applied in this order)."""

    def __init__(self, content_encoding: str) -> None:
        """Raises ValueError for a coding that is not known, and for too many."""
        names = [name.strip().lower() for name in content_encoding[:200].split(",")]
        self._codings = [_CODINGS[name]() for name in reversed(names) if _known(name)]
        if len(self._codings) > CODINGS:
            raise ValueError(f"more than {CODINGS} content-encodings")

    def steps(self, data: bytes) -> Iterator[bytes]:
        """What these bytes decode to, a step at a time. Raises ValueError when they are broken."""
        # In slices: each end of a member leaves the rest of the input to be copied.
        found: Iterator[bytes] = (data[start : start + _SLICE] for start in range(0, len(data), _SLICE))
        for coding in self._codings:
            found = _undone(coding, found)
        return found

    def feed(self, data: bytes) -> bytes:
        """What these bytes decode to; may be empty. Raises ValueError when they are broken, or stand for too much."""
        out, length = [], 0
        for step in self.steps(data):
            out.append(step)
            length += len(step)
            if length > UNPACKED_AT_ONCE:
                raise ValueError("broken content-encoding: it stands for too much")
        return b"".join(out)


def decode(body: bytes, content_encoding: str, limit: int) -> bytes:
    """A whole body decoded; what comes behind `limit` bytes is left out, but for one, which says that there was more.
    Raises ValueError as `Decoder` does."""
    decoded = bytearray()
    for step in Decoder(content_encoding).steps(body):
        decoded += step
        if len(decoded) > limit:
            del decoded[limit + 1 :]
            break
    return bytes(decoded)


def _undone(coding: _Coding, data: Iterable[bytes]) -> Iterator[bytes]:
    """The steps of one coding, whatever the steps are that it is given."""
    for step in data:
        yield from coding.steps(step)


class _Zlib:
    """gzip or zlib data of one or more members."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._member = zlib.decompressobj(wbits)

    def steps(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                data = data.lstrip(b"\0")  # padding after a gzip member; no member starts with a zero
                if not data:
                    return
                self._member = zlib.decompressobj(self._wbits)
            try:
                out = self._member.decompress(data, _STEP)
            except zlib.error as error:
                raise ValueError(f"broken content-encoding: {error}") from error
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            # A step that is full may have left some of its output inside, without any input left.
            while len(out) == _STEP and not data and not self._member.eof:
                yield out
                out = self._member.decompress(b"", _STEP)
            if out:
                yield out


class _Zstd:
    """zstd data of one or more frames."""

    def __init__(self) -> None:
        self._new: Callable[[], zstandard.ZstdDecompressionObj] = zstandard.ZstdDecompressor(
            max_window_size=UNPACKING_WINDOW
        ).decompressobj
        self._frame = self._new()

    def steps(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE):
            part = data[start : start + _ZSTD_SLICE]
            while part:
                if self._frame.eof:
                    self._frame = self._new()
                try:
                    out = self._frame.decompress(part)
                except zstandard.ZstdError as error:
                    raise ValueError(f"broken content-encoding: {error}") from error
                part = self._frame.unused_data if self._frame.eof else b""
                if out:
                    yield out


class _Deflate:
    """`deflate` is zlib data by the standard and raw deflate data by the habit of some servers."""

    def __init__(self) -> None:
        self._head = b""
        self._zlib: _Zlib | None = None

    def steps(self, data: bytes) -> Iterator[bytes]:
        if self._zlib is None:
            self._head += data
            if len(self._head) < 2:
                return
            data = self._head
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._zlib = _Zlib(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        yield from self._zlib.steps(data)


class _Brotli:
    """Brotli data. (Its window has 16 MB at most: the large ones are not switched on.)"""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def steps(self, data: bytes) -> Iterator[bytes]:
        try:
            out: bytes = self._decompressor.process(data, output_buffer_limit=_STEP)
            while out:
                yield out
                if self._decompressor.can_accept_more_data():
                    return
                out = self._decompressor.process(b"", output_buffer_limit=_STEP)
        except brotli.error as error:
            raise ValueError(f"broken content-encoding: {error}") from error


_CODINGS: Final[dict[str, Callable[[], _Coding]]] = {
    "gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "x-gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


def _known(name: str) -> bool:
    if name not in _CODINGS and name not in ("", "identity"):
        raise ValueError(f"unknown content-encoding: {name[:40]!r}")
    return name in _CODINGS
