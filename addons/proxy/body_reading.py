"""The bodies of HTTP/1 messages: what was read at once is one piece, in however many chunks it came.

mitmproxy hands on each chunk by itself, and gives up with a traceback when a body has trailers. Nearly every read is
one whole chunk, or several: these are read without h11, which takes ten times as long.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestEndOfMessage, ResponseEndOfMessage
from mitmproxy.proxy.layers.http._http1 import Http1Connection, Http1Server

from addons.proxy.hooks import Commands
from addons.wire import limits

CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
"""The beginning of a chunk without extensions."""


class Piece(NamedTuple):
    """What has been read of a body: as one piece, however many chunks it was sent in, without trailers."""

    data: bytes
    is_last: bool = False
    """The body is whole."""
    error: str = ""
    """Why no more can be read of it."""


@dataclass
class PieceRead(events.Event):
    """A piece of a body that has been read already, by the short way: its connection has to be told only of what it
    means."""

    side: BodyReading
    piece: Piece


class BodyReading(Http1Connection):
    """Reads bodies."""

    most_waiting: float = math.inf
    """Bytes that may wait for the end of a chunk's head, or of the trailers: h11 waits for as long as they come."""
    at_chunk = False
    """What comes next of the body is the beginning of a chunk, or the end of all."""

    def _handle_event(self, event: events.Event) -> Commands:
        if type(event) is events.DataReceived and self.state == self.read_body:
            return self.hand_on(self.read(event.data))
        if type(event) is PieceRead:
            return self.hand_on(event.piece)
        if type(event) is events.DataReceived and not self.buf and self.state == self.read_headers:
            is_asked = self.request is not None or isinstance(self, Http1Server)
            if is_asked and (end := event.data.find(b"\r\n\r\n", 0, limits.HEAD)) >= 0:
                return self.read_both(event, end + 4)
        return super()._handle_event(event)

    def read_both(self, event: events.DataReceived, end: int) -> Commands:
        """Read a head and what follows it as if they had come one after the other: so the body isn't copied with the
        head."""
        yield from super()._handle_event(events.DataReceived(event.connection, event.data[:end]))
        if len(event.data) > end and self.conn.connected:
            yield from super()._handle_event(events.DataReceived(event.connection, event.data[end:]))

    def read_body(self, event: events.Event) -> Commands:
        return self.hand_on(self.read(b"") if isinstance(event, events.DataReceived) else self.read_at_eof())

    def read(self, data: bytes) -> Piece:
        """Read these bytes, and those that waited for them."""
        found: list[bytes | bytearray] = []
        at = 0
        if data and is_at_chunk(self.body_reader, self.buf):
            # Nearly always these are whole chunks, for each of which h11 takes ten times as long.
            while begun := CHUNK.match(data, at):
                begin = begun.end()
                end = begin + int(begun[1], 16)
                if end == begin or data[end : end + 2] != b"\r\n":
                    break
                found.append(data[begin:end])
                at = end + 2
            if at == len(data):
                self.at_chunk = True
                return Piece(bytes(found[0]) if len(found) == 1 else b"".join(found))
        self.buf += data[at:]
        try:
            while part := self.body_reader(self.buf):
                if type(part) is not h11.Data:
                    return Piece(b"".join(found), is_last=True)
                found.append(part.data)
            if len(self.buf) > self.most_waiting:
                raise h11.RemoteProtocolError(f"over {self.most_waiting} bytes of a chunk's head or of trailers")
        except h11.ProtocolError as mistake:
            return Piece(b"".join(found), error=f"HTTP/1 protocol error: {mistake}")
        self.at_chunk = is_at_chunk(self.body_reader, self.buf)
        return Piece(b"".join(found))

    def read_chunk(self, data: bytes) -> bytes:
        """What is in these bytes if they are just one chunk, as nearly always; else nothing is read."""
        if self.at_chunk and data.endswith(b"\r\n") and data.startswith(head := chunk_head(len(data))):
            return data[len(head) : -2]
        return b""

    def read_at_eof(self) -> Piece:
        """What the end of the connection means for the body."""
        try:
            return Piece(b"", is_last=bool(self.body_reader.read_eof()))
        except h11.ProtocolError as mistake:
            return Piece(b"", error=f"HTTP/1 protocol error: {mistake}")

    def hand_on(self, piece: Piece) -> Commands:
        """Tell the stream what has been read."""
        assert self.stream_id is not None
        if piece.data:
            yield ReceiveHttp(self.ReceiveData(self.stream_id, piece.data))
        if piece.error:
            yield commands.CloseConnection(self.conn)
            yield ReceiveHttp(
                self.ReceiveProtocolError(self.stream_id, piece.error, code=self.ReceiveProtocolError.code)
            )
        elif piece.is_last:
            yield from self.ended(self.ReceiveEndOfMessage(self.stream_id))

    def ended(self, end: RequestEndOfMessage | ResponseEndOfMessage) -> Commands:
        """Hand on the end of a body that is whole."""
        assert self.request
        if self.request.data.method.upper() != b"CONNECT":
            yield ReceiveHttp(end)
        ours = isinstance(self, Http1Server)
        yield from self.mark_done(request=ours, response=not ours)


def is_at_chunk(reader: object, waiting: ReceiveBuffer) -> bool:
    """Whether what comes next is the beginning of a chunk, or the end of all."""
    return type(reader) is ChunkedReader and not (
        waiting or reader._bytes_in_chunk or reader._bytes_to_discard or reader._reading_trailer  # noqa: SLF001
    )


@lru_cache(4096)
def chunk_head(length: int) -> bytes:
    """The head of a chunk of so many bytes in all, as most servers write it."""
    for digits in range(1, 8):
        size = length - digits - 4
        if size > 0 and len(head := b"%x\r\n" % size) == digits + 2:
            return head
    return b"none is so long"
