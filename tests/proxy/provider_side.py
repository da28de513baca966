"""The other end of a connection that the gateway opens: the part of the driver that plays a provider's socket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import h11
from mitmproxy import connection
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events

if TYPE_CHECKING:
    from tests.proxy.playbook import Playbook

LARGEST_HEAD = 1 << 20


class Asked(NamedTuple):
    """A request as a provider's HTTP parser understands it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ProviderSide:
    """One connection that the gateway opens, from its other end."""

    def __init__(self, play: Playbook, command: commands.OpenConnection) -> None:
        self.play = play
        self.connection: connection.Server = command.connection
        self.opening: commands.OpenConnection | None = command
        self.connection.timestamp_start = play.clock.now
        self.received = bytearray()
        self.given_up = False
        """The gateway has closed it."""
        self.over = False
        """The layer has been told of its end."""

    @property
    def host(self) -> str:
        assert self.connection.address
        return self.connection.address[0]

    @property
    def is_open(self) -> bool:
        """The layer still hears of what happens here."""
        return not self.over and self.opening is None

    @property
    def asked(self) -> list[Asked]:
        """The complete requests that came. Raises what the parser raises."""
        parser, found = h11.Connection(h11.SERVER, LARGEST_HEAD), []
        parser.receive_data(bytes(self.received))
        while isinstance(request := parser.next_event(), h11.Request):
            body, complete = read_body(parser)
            if not complete:
                break
            found.append(Asked(request.method.decode(), request.target.decode(), plain(request.headers), body))
            parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            parser.send(h11.EndOfMessage())
            if parser.our_state is not h11.DONE:
                break
            parser.start_next_cycle()
        return found

    def connects(self) -> None:
        """The connection is there."""
        self.connection.timestamp_tcp_setup = self.play.clock.now
        self.connection.state = ConnectionState.OPEN
        self.transport = self.play.handler.opened(self.connection)
        self._opened(None)

    def refuses(self, error: str = "Connection refused") -> None:
        """There will be no connection. mitmproxy keeps the reason in the connection."""
        self.over = True
        self.connection.error = error
        self._opened(error)

    def _opened(self, error: str | None) -> None:
        command, self.opening = self.opening, None
        assert command, "not connecting"
        self.play.feed(events.OpenConnectionCompleted(command, error))

    def sends(self, *data: bytes) -> None:
        """Each piece arrives by itself, as one read of the socket."""
        for piece in data:
            assert self.is_open
            self.transport.comes(piece)

    def closes(self) -> None:
        """The provider hangs up: half-closed, until the layer closes it too."""
        assert self.is_open
        self.over = True
        self.connection.state &= ~ConnectionState.CAN_READ
        self.play.feed(events.ConnectionClosed(self.connection))
        if self.connection.state is ConnectionState.CLOSED:
            self.connection.timestamp_end = self.play.clock.now

    def ends(self) -> None:
        """What comes after the gateway has closed the connection."""
        if self.opening:
            self.refuses("connection cancelled")
            return
        self.connection.state = ConnectionState.CLOSED
        if not self.over:
            self.over = True
            self.play.feed(events.ConnectionClosed(self.connection))
        if self.connection.timestamp_tcp_setup:
            self.connection.timestamp_end = self.play.clock.now


def read_body(parser: h11.Connection) -> tuple[bytes, bool]:
    """What there is of a body, and whether that is all of it."""
    body = b""
    while isinstance(event := parser.next_event(), h11.Data):
        body += event.data
    return body, isinstance(event, h11.EndOfMessage)


def plain(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}
