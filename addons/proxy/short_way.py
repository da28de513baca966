"""The short way of a running answer: from the provider's transport to its reader, and from there to the client's.

Contract. While an answer is relayed and nothing unusual goes on, its bytes go this way; everything else goes
mitmproxy's way, with all that has not been read:
- what comes while mitmproxy has not yet taken in all that came before, while the client reads more slowly than the
  provider sends (mitmproxy then reads no more), or while its stream waits for a hook: untouched, a read at a time;
- what ends the message, breaks off, can't be read, is an error or is answered by TLS itself: the read in which it
  comes, and all after it;
- the end of the connection, and all of a stream that has been left (`leave`): every stream does so when it ends.
A client behind TLS, a provider behind a proxy's tunnel and a gateway with `proxy_debug` have no short way.
What is written, in which order, what is recorded, and which limits begin anew is decided where it always is
(`ProviderSide.read`, `ProviderStream.relay`, `ClientAnswer.framed`): both ways call the same functions.

It leaves out a future, a task, two locks, and three layers of generators that every read of mitmproxy's goes through,
and of its TLS layer two exceptions. Measured, CPU time of an event: 52 µs instead of 109 the long way, and 174 in a
bare mitmdump (in turns, one event a read, medians of 3); of 100 new streams of 500 events, with their opening, 0.42×
the bare one's, behind TLS 0.50×, translated from Chat Completions 0.52× (`./run.sh bench`, medians of 3 rounds).

What this file knows of the insides of asyncio, mitmproxy and pyOpenSSL is named in tests/proxy/test_short_way.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mitmproxy import connection
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.layers.tls import ServerTLSLayer
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO
from mitmproxy.proxy.tunnel import TunnelState
from mitmproxy.utils.asyncio_utils import create_task
from OpenSSL import SSL

from addons.proxy.body_reading import Piece, PieceRead
from addons.proxy.http1 import ProviderSide
from addons.proxy.provider_answer import ProviderStream, nowhere

HIGH_WATER = 64 * 1024
"""Bytes that a client has not taken yet: asyncio's own limit, at which mitmproxy reads no more."""

LARGEST_READ = 64 * 1024
"""Bytes that are read at once, as mitmproxy takes them. For asyncio's 256 KB, libc asks the system for memory at each
read, and gives it back: 17 microseconds of CPU time."""

Handlers = Callable[[connection.Client], ConnectionHandler | None]
"""Finds what serves a client. None: its answers all go mitmproxy's way."""

_lib: Any = SSL._lib  # type: ignore[attr-defined]  # noqa: SLF001
_ffi: Any = SSL._ffi  # type: ignore[attr-defined]  # noqa: SLF001
_decrypted = _ffi.new("char[]", 16 * 1024)
"""Room for one TLS record, used again for each."""
_view = _ffi.buffer(_decrypted)


@dataclass
class Raised(events.Event):
    """An exception on the short way, which is treated as one in the layers."""

    error: Exception


def shorten(handler: ConnectionHandler, side: layer.Layer, stream: ProviderStream) -> Callable[[], None] | None:
    """Have a stream's running answer go the short way. `side`: the layer of the provider's connection, with what is
    below it. Returns what ends it; None where it can't begin."""
    if handler.client.tls or stream.client.client is not handler.client:  # or a request of our own
        return None
    *_, innermost = side.context.layers
    server = side.context.server
    to_provider, to_client = plain_io(handler, server), plain_io(handler, handler.client)
    if not isinstance(innermost, ProviderSide) or not to_provider or not to_client:
        return None
    encrypted: SSL.Connection | None = None
    if isinstance(side, ServerTLSLayer) and side.tunnel_state is TunnelState.OPEN:
        encrypted = side.tls
    elif side is not innermost:  # a tunnel through a proxy
        return None
    return ShortWay(handler, innermost, stream, encrypted, *to_provider, to_client[0]).leave


def plain_io(
    handler: ConnectionHandler, of: connection.Connection
) -> tuple[asyncio.Transport, asyncio.StreamReader] | None:
    """The transport and the reader of a connection over TCP."""
    io = handler.transports.get(of) or ConnectionIO()
    transport = io.writer.transport if isinstance(io.writer, asyncio.StreamWriter) else None
    if isinstance(transport, asyncio.Transport) and isinstance(io.reader, asyncio.StreamReader):
        return transport, io.reader
    return None


class ShortWay(asyncio.Protocol):
    """What the transport of a provider calls in place of its `StreamReaderProtocol`, while an answer is relayed."""

    def __init__(
        self,
        handler: ConnectionHandler,
        side: ProviderSide,
        stream: ProviderStream,
        encrypted: SSL.Connection | None,
        transport: asyncio.Transport,
        reader: asyncio.StreamReader,
        client: asyncio.Transport,
    ) -> None:
        protocol = transport.get_protocol()
        assert isinstance(protocol, asyncio.Protocol)
        self.handler, self.side, self.stream, self.encrypted = handler, side, stream, encrypted
        self.transport, self.reader, self.client, self.long_way = transport, reader, client, protocol
        self.usual_read = getattr(transport, "max_size", None)
        transport.max_size = LARGEST_READ  # type: ignore[attr-defined]
        transport.set_protocol(self)

    def leave(self) -> None:
        """Let mitmproxy hear of the connection again, and hold nothing of the request."""
        self.transport.set_protocol(self.long_way)
        self.transport.max_size = self.usual_read  # type: ignore[attr-defined]
        self.stream.leave_short_way = nowhere

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        waiter, client, side, stream = self.reader._waiter, self.client, self.side, self.stream  # type: ignore[attr-defined]  # noqa: SLF001
        if (
            waiter is None  # mitmproxy is not done with what came before
            or waiter.done()
            or client.get_write_buffer_size() > HIGH_WATER
            or client.is_closing()
            or stream._paused  # noqa: SLF001
            or side.state != side.read_body
        ):
            self.long_way.data_received(data)
            return
        self.handler.timeout_watchdog.register_activity()
        try:
            if self.encrypted is None:
                self.read(data)
            elif not self.decrypt(self.encrypted, data):
                self.hand_over(events.DataReceived(side.conn, b""))
        except Exception as error:  # noqa: BLE001
            self.hand_over(Raised(error))

    def decrypt(self, tls: SSL.Connection, data: bytes) -> bool:
        """Read what is in these TLS records. Returns whether there was nothing else in them: no end, no error, and
        nothing that TLS itself has to answer."""
        # What pyOpenSSL makes of it takes an exception for "no more", twice: three times as long.
        tls.bio_write(data)
        ssl, found = tls._ssl, []  # noqa: SLF001
        while (size := _lib.SSL_read(ssl, _decrypted, len(_view))) > 0:
            found.append(_view[:size])
        is_all: bool = _lib.SSL_get_error(ssl, size) == _lib.SSL_ERROR_WANT_READ
        if not is_all:
            _lib.ERR_clear_error()
        while (size := _lib.BIO_read(tls._from_ssl, _decrypted, len(_view))) > 0:  # noqa: SLF001
            self.transport.write(_view[:size])
            is_all = False  # new keys: a provider that asks for them for ever has to read what it is answered
        if found:
            self.read(found[0] if len(found) == 1 else b"".join(found))
        return is_all

    def read(self, data: bytes) -> None:
        """Send the client what these bytes of the answer give."""
        side, stream = self.side, self.stream
        piece = None
        if not (body := side.read_chunk(data)):
            piece = side.read(data)
            if piece.is_last or piece.error:
                self.hand_over(PieceRead(side, piece))
                return
            if not (body := piece.data):
                return
        if out := stream.relay(body):
            self.client.write(stream.client.framed(out))
        elif out is None:
            self.hand_over(PieceRead(side, piece or Piece(body)))

    def eof_received(self) -> bool | None:
        return self.long_way.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.long_way.connection_lost(exc)

    def pause_writing(self) -> None:
        self.long_way.pause_writing()

    def resume_writing(self) -> None:
        self.long_way.resume_writing()

    def hand_over(self, event: events.Event) -> None:
        """Have mitmproxy handle what was read here, before it hears of anything else of this connection."""
        self.leave()
        create_task(
            self.handler.server_event(event),
            name="end of the short way",
            keep_ref=True,
            client=self.handler.client.peername,
        )
