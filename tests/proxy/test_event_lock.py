"""A connection that is to be closed while its task waits for its turn is closed."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from mitmproxy import connection
from mitmproxy.proxy import commands, events, server
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from addons.proxy.event_lock import EventLock


class Handler(server.SimpleConnectionHandler):
    """mitmproxy's server, with a layer that only listens."""

    def __init__(self) -> None:
        writer = Mock(get_extra_info=lambda name, default=None: default)
        with taddons.context() as tctx:
            super().__init__(Mock(), writer, tctx.options, ProxyMode.parse("reverse:http://one.test"), {})
        self.transports.clear()  # its client is none
        self.heard: list[type[events.Event]] = []
        self.layer = Mock(handle_event=self.hear)

    def hear(self, event: events.Event) -> list[commands.Command]:
        self.heard.append(type(event))
        return []


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110  # nobody says when
        await asyncio.sleep(0)


async def closes(handler: Handler, before: type[events.Event]) -> bool:
    """Whether a provider's connection is closed that is to be, while it waits for its turn to tell of an event."""

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"a part of an answer")
        await reader.read()
        writer.close()

    lock = handler._server_event_lock
    async with asyncio.timeout(5), await asyncio.start_server(accepted, "127.0.0.1", 0) as provider:
        conn = connection.Server(address=provider.sockets[0].getsockname())
        if before is events.OpenConnectionCompleted:
            await lock.acquire()
        opening = asyncio.create_task(handler.open_connection(commands.OpenConnection(conn)))
        if before is events.DataReceived:
            await until(lambda: handler.heard)
            await lock.acquire()
        await until(lambda: lock._waiters)
        writer = handler.transports[conn].writer
        assert isinstance(writer, asyncio.StreamWriter)
        handler.close_connection(conn)
        await asyncio.sleep(0)  # it would end here
        lock.release()
        await asyncio.wait([opening])
        closed = writer.is_closing()
        writer.close()
        return closed


@pytest.mark.parametrize("before", [events.DataReceived, events.OpenConnectionCompleted])
def test_it_is_closed(before: type[events.Event]) -> None:
    handler = Handler()
    handler._server_event_lock = EventLock()
    assert asyncio.run(closes(handler, before))
    assert before in handler.heard
    assert handler.heard[-1] is events.ConnectionClosed


@pytest.mark.parametrize("before", [events.DataReceived, events.OpenConnectionCompleted])
def test_mitmproxy_leaves_it_open(before: type[events.Event]) -> None:
    """When this fails, mitmproxy closes it, and the lock can go."""
    assert not asyncio.run(closes(Handler(), before))
