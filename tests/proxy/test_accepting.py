"""How many may wait at the door, and what is known of them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from unittest.mock import Mock

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from addons.proxy import accepting
from addons.wire import limits


@pytest.mark.upstream
def test_wherever_mitmproxy_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    widened: list[int] = []
    monkeypatch.setattr(accepting, "let_wait", lambda listener, connections: widened.append(connections))

    async def run() -> None:
        server = Proxyserver()
        with taddons.context(server) as context:
            context.configure(server, mode=["regular@0"], listen_host="127.0.0.1")
            await server.setup_servers()
            accepting.widen_the_door()
            await server.servers.update([])

    asyncio.run(run())
    assert widened == [limits.BACKLOG]


@pytest.mark.upstream
def test_who_is_refused_is_closed_before_anybody_hears_of_it() -> None:
    """asyncio's `Server` gives its `_protocol_factory` to the event loop when it starts serving, which it does once
    (`_serving`)."""
    begun: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.append(await reader.readexactly(2))
        writer.write(b"yes")
        writer.close()

    async def ask(server: asyncio.Server) -> bytes:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hi")
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def play() -> None:
        refused = {"127.0.0.1"}
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            accepting.guard(server, refused.__contains__, handle)
            assert [await ask(server) for _ in range(3)] == [b""] * 3
            assert begun == []
            refused.clear()
            assert [await ask(server) for _ in range(3)] == [b"yes"] * 3
        assert begun == [b"hi"] * 3

    asyncio.run(play())


def test_more_may_wait_at_a_socket_that_listens_already() -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=1)) as listener:
        accepting.let_wait(listener.fileno(), 50)
        address = listener.getsockname()
        waiting = [socket.create_connection(address, timeout=10) for _ in range(40)]
        for client in waiting:
            client.close()


def test_what_has_come_is_looked_at_and_stays() -> None:
    one, other = socket.socketpair()
    with one, other:
        other.setblocking(False)
        assert accepting.first_bytes(other) == b""
        one.sendall(b"GET /")
        assert accepting.first_bytes(other) == b"GET"
        assert other.recv(10) == b"GET /"
    assert accepting.first_bytes(Mock(fileno=lambda: -1)) == b""
