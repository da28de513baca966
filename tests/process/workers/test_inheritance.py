"""What a worker inherits, and that mitmproxy listens on it."""

from __future__ import annotations

import asyncio
import socket

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_servers import AsyncioServerInstance
from mitmproxy.test import taddons

from addons.process.workers.inheritance import Inheritance, listen_on
from addons.proxy.accepting import open_the_door
from tests.fakes.ports import port_of, reserve


def test_it_is_read_once_from_what_was_written() -> None:
    inherited = Inheritance(number=2, count=3, listening=[4, 5], line=6, welcomes=False)
    env = {"PATH": "/bin", **inherited.written()}
    assert Inheritance.read(env) == inherited
    assert env == {"PATH": "/bin"}, "no program that a worker runs is one"
    assert Inheritance.read(env) is None
    assert not inherited.speaks


@pytest.mark.upstream
def test_mitmproxy_accepts_at_the_inherited_socket_once_the_door_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """And who closes it leaves it open for the others."""
    monkeypatch.setattr(AsyncioServerInstance, "listen", AsyncioServerInstance.listen)  # it is put back

    async def run() -> None:
        with reserve() as listening, taddons.context(server := Proxyserver()) as context:
            listening.setblocking(False)
            listening.listen(8)
            listen_on([listening.fileno()])
            context.configure(server, mode=["reverse:http://one.example"], listen_host="127.0.0.1", listen_port=1)
            await server.setup_servers()
            assert server.listen_addrs() == [("127.0.0.1", port_of(listening))]
            with socket.create_connection(("127.0.0.1", port_of(listening))):
                await asyncio.sleep(0.01)
                assert not server.connections
                await open_the_door()
                while not server.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                await server.servers.update([])
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

    asyncio.run(run())


@pytest.mark.upstream
def test_workers_listen_at_one_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncioServerInstance, "listen", AsyncioServerInstance.listen)

    async def run() -> None:
        with reserve() as listening, taddons.context(server := Proxyserver()) as context:
            listen_on([listening.fileno()])
            context.configure(server, mode=["reverse:http://one.example@8123"])
            await server.setup_servers()
            ((instance),) = server.servers
            assert "--listen-host and -p name" in str(instance.last_exception)

    asyncio.run(run())
