"""Transports without sockets, for what goes the short way: the part of the driver that plays asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

from mitmproxy import connection
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO, TimeoutWatchdog

if TYPE_CHECKING:
    from tests.proxy.playbook import Playbook


LOOP = Mock()
"""What nothing here asks for anything."""


class LongWay(asyncio.Protocol):
    """Stands where mitmproxy reads."""

    def __init__(self, takes: Callable[[bytes], None]) -> None:
        self.takes = takes

    def data_received(self, data: bytes) -> None:
        self.takes(data)


class Transport(asyncio.Transport):
    """One end of a connection. `writes` gets what is written to it, `takes` what is read and not taken before."""

    def __init__(self, writes: Callable[[bytes], None], takes: Callable[[bytes], None]) -> None:
        super().__init__()
        self.writes = writes
        self.waiting = 0
        """Bytes that the other end has not taken yet."""
        self.closing = False
        self.max_size = 256 * 1024
        self.protocol: asyncio.BaseProtocol = LongWay(takes)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.writes(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def comes(self, data: bytes) -> None:
        """These bytes are read from the socket."""
        assert isinstance(self.protocol, asyncio.Protocol)
        self.protocol.data_received(data)


class Writer(asyncio.StreamWriter):
    """A writer of nothing but its transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __del__(self) -> None:
        pass


class Waiter:
    """What a `read` waits for."""

    def done(self) -> bool:
        return False


class Timeout(TimeoutWatchdog):
    """mitmproxy's for connections on which nothing goes on."""

    def __init__(self) -> None:
        self.heard = 0

    def register_activity(self) -> None:
        self.heard += 1


class Reader(asyncio.StreamReader):
    """A reader whose `read` somebody waits for, unless a test says that mitmproxy is not done with the last one."""

    def __init__(self) -> None:
        super().__init__(loop=LOOP)
        self.is_waited_for(True)

    def is_waited_for(self, waits: bool) -> None:
        self._waiter = Waiter() if waits else None


class Handler(ConnectionHandler):
    """What serves the client of a playbook."""

    def __init__(self, play: Playbook) -> None:
        self.play = play
        self.client = play.client
        self.timeout_watchdog = self.timeout = Timeout()
        self.transports = {}

    def opened(self, of: connection.Connection) -> Transport:
        """The transport of a new connection."""

        def write(data: bytes) -> None:
            if of is not self.play.client:
                next(server for server in self.play.servers if server.connection is of).received += data
            elif of.state & ConnectionState.CAN_WRITE:
                self.play.sent_to_client += data

        transport = Transport(write, lambda data: self.play.feed(events.DataReceived(of, data)))
        self.transports[of] = ConnectionIO(reader=Reader(), writer=Writer(transport))
        return transport

    async def server_event(self, event: events.Event) -> None:
        self.play.feed(event)

    async def handle_hook(self, hook: Any) -> None:
        raise NotImplementedError


def create_task(task: Coroutine[Any, Any, None], **_: Any) -> None:
    """What an event loop with eager tasks does with one that waits for nothing."""
    try:
        task.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")
