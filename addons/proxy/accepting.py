"""Accepting: how many may wait for it, and what has come of those that just were.

asyncio lets 100 connections wait to be accepted. Those beyond are told nothing, and try again after one second, then
after two more: that is how long many newcomers at once kept everybody else waiting. And who comes waits behind all that
came before: who is refused anyway must cost little, so that mitmproxy doesn't begin with it.

What this file knows of mitmproxy's insides is named in tests/proxy/test_accepting.py.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from addons.proxy.connections import proxyserver
from addons.wire import limits


def widen_the_door() -> None:
    """Let `limits.BACKLOG` connections wait wherever this process listens."""
    listening = proxyserver()
    for instance in listening.servers if listening else ():
        for server in getattr(instance, "_servers", ()):
            if isinstance(server, asyncio.Server):
                for listener in server.sockets:
                    let_wait(listener.fileno(), limits.BACKLOG)


class Doorkeeper(asyncio.StreamReaderProtocol):
    """A connection that may be refused: then nobody hears of it."""

    def __init__(self, refuses: Callable[[str], bool], handle: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(asyncio.StreamReader(loop=loop), handle, loop)
        self.refuses = refuses
        self.refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.refused = bool(peer) and self.refuses(peer[0])
        if self.refused:
            transport.close()
        else:
            super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.refused:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        return None if self.refused else super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.refused:
            super().connection_lost(exc)


def refuse_at_the_door(refuses: Callable[[str], bool]) -> None:
    """Have connections of an address closed before mitmproxy makes a handler of them, calls hooks and logs, which is
    most of the millisecond that each costs. It listens before any addon is loaded, so its servers are changed."""
    listening = proxyserver()
    for instance in listening.servers if listening else ():
        for server in getattr(instance, "_servers", ()):
            if isinstance(server, asyncio.Server) and server.sockets:
                guard(server, refuses, instance.handle_stream)


def guard(server: Any, refuses: Callable[[str], bool], handle: Any) -> None:
    """Have a server ask who is refused; `handle` gets the others."""
    loop = server.get_loop()
    server._protocol_factory = lambda: Doorkeeper(refuses, handle, loop)  # noqa: SLF001
    if server.is_serving():  # a worker's isn't until it is ready
        server._serving = False  # noqa: SLF001  # so that it hands the new one to the event loop
        server._start_serving()  # noqa: SLF001


async def open_the_door() -> None:
    """Accept connections, if that has not begun."""
    listening = proxyserver()
    for instance in listening.servers if listening else ():
        for server in getattr(instance, "_servers", ()):
            if isinstance(server, asyncio.Server):
                await server.start_serving()


def let_wait(listener: int, connections: int) -> None:
    """Let that many connections wait at a socket that listens already (by its descriptor)."""
    with socket.socket(fileno=os.dup(listener)) as same:
        same.listen(connections)


def first_bytes(io_socket: Any) -> bytes:
    """The first three bytes that have come and that nobody has read yet; they stay where they are."""
    try:
        with socket.socket(fileno=os.dup(io_socket.fileno())) as same:
            return same.recv(3, socket.MSG_PEEK)
    except OSError:  # nothing has come; or there is no descriptor left
        return b""
