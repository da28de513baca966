"""What connections may cost before anything is asked, and how many there may be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from mitmproxy import connection
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.test import taddons, tflow

from addons.proxy import connection_limits
from addons.proxy.connection_limits import ConnectionLimits
from addons.proxy.trusted_proxies import TrustedProxies
from addons.wire import limits


class Front:
    """The addon with clients that connect to it."""

    def __init__(self, addon: ConnectionLimits, server: Proxyserver, context: Any) -> None:
        self.addon, self.server, self.context = addon, server, context
        self.closed: list[connection.Client] = []

    def connects(self, address: str = "10.0.0.1") -> connection.Client:
        client = tflow.tclient_conn()
        client.id, client.peername = str(len(self.server.connections)), (address, 50000)
        task = Mock(cancel=lambda _: self.closed.append(client))
        self.server.connections[client.id] = Mock(transports={client: ConnectionIO(handler=task)})
        self.addon.client_connected(client)
        return client

    def goes(self, client: connection.Client) -> None:
        self.addon.client_disconnected(client)

    def says(self, client: connection.Client, data: bytes) -> None:
        self.addon.next_layer(Mock(context=SimpleNamespace(client=client), data_client=lambda: data))


@asynccontextmanager
async def front(**options: Any) -> AsyncIterator[Front]:
    trusted, server = TrustedProxies(), Proxyserver()
    addon = ConnectionLimits(trusted)
    with taddons.context(trusted, addon, server) as context:
        context.options.update(**options)
        yield Front(addon, server, context)
        for client, _ in list(addon.waiting.values()):
            addon.heard(client)


def plays(play: Callable[[Front], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def run() -> None:
        async with front(**options) as made:
            await play(made)

    asyncio.run(run())


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SILENT", 0.01)
    monkeypatch.setattr(limits, "HANDSHAKE", 0.01)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.usefixtures("_hasty")
def test_who_says_nothing_is_closed() -> None:
    async def play(front: Front) -> None:
        client = front.connects()
        await until(lambda: front.closed == [client])

    plays(play)


def test_how_long_that_is() -> None:
    async def play(front: Front) -> None:
        now = asyncio.get_running_loop().time()
        client = front.connects()
        assert front.addon.waiting[client.id][1].when() == pytest.approx(now + 60, abs=1)
        front.says(client, b"\x16\x03\x01")
        assert front.addon.waiting[client.id][1].when() == pytest.approx(now + 10, abs=1)
        front.addon.tls_established_client(Mock(conn=client))
        assert not front.addon.waiting

    plays(play)


def test_who_has_said_something_is_left_alone() -> None:
    async def play(front: Front) -> None:
        client = front.connects()
        front.says(client, b"")
        assert front.addon.waiting
        front.says(client, b"P")
        assert not front.addon.waiting

    plays(play)


@pytest.mark.usefixtures("_hasty")
def test_a_handshake_without_an_end_is_closed() -> None:
    async def play(front: Front) -> None:
        client = front.connects()
        front.says(client, b"\x16\x03\x01")
        await until(lambda: front.closed == [client])

    plays(play)


def test_who_has_failed_its_handshake_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """mitmproxy closes it, and says so a few turns of the event loop later."""
    monkeypatch.setattr(connection_limits, "descriptors", lambda: limits.DESCRIPTORS_PER_CLIENT)

    async def play(front: Front) -> None:
        client = front.connects()
        front.says(client, b"\x16\x03\x01")
        front.addon.tls_failed_client(Mock(conn=client))
        assert not front.connects("10.0.0.2").error
        front.goes(client)
        assert len(front.addon.clients) == 1

    plays(play)


def test_nothing_is_kept_of_who_has_gone() -> None:
    async def play(front: Front) -> None:
        for _ in range(3):
            front.goes(front.connects())
        addon = front.addon
        assert not (addon.waiting or addon.waiting_at or addon.clients or addon.by_address)

    plays(play)


def test_one_address_has_so_many_connections_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async def play(front: Front) -> None:
        first, second = front.connects(), front.connects()
        assert (first.error, second.error) == (None, None)
        third, fourth = front.connects(), front.connects()
        assert third.error and fourth.error
        assert front.connects("10.0.0.2").error is None
        for client in (first, third, fourth):
            front.goes(client)
        assert front.connects().error is None

    with caplog.at_level(logging.INFO):
        plays(play, gateway_max_per_address=2)
    assert [record.message for record in caplog.records if record.name == "addons.proxy.connection_limits"] == [
        "gateway: 10.0.0.1 has 2 connections already: another one was refused"
    ], "once a second"


def test_trusted_proxies_have_as_many_as_they_like() -> None:
    async def play(front: Front) -> None:
        for address in ("10.0.0.1", "10.0.0.1", "fd00::1", "fd00::1"):
            assert front.connects(address).error is None
        assert front.connects("10.0.0.2").error is None
        assert front.connects("10.0.0.2").error

    plays(play, gateway_max_per_address=1, gateway_trusted_proxies="10.0.0.1, fd00::/8")


def test_no_limit() -> None:
    async def play(front: Front) -> None:
        assert [front.connects().error for _ in range(5)] == [None] * 5

    plays(play, gateway_max_per_address=0)


def test_a_newcomer_takes_the_place_of_the_oldest_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "descriptors", lambda: 2 * limits.DESCRIPTORS_PER_CLIENT)

    async def play(front: Front) -> None:
        talking, silent = front.connects(), front.connects()
        front.says(talking, b"GET")
        third = front.connects()
        assert third.error is None
        assert front.closed == [silent]
        front.says(third, b"GET")
        assert front.connects().error == "too many connections"

    plays(play)


@pytest.mark.usefixtures("_hasty")
def test_who_is_being_closed_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """mitmproxy says that they have gone a few turns of the loop later; until then newcomers were refused."""
    monkeypatch.setattr(connection_limits, "descriptors", lambda: 2 * limits.DESCRIPTORS_PER_CLIENT)

    async def play(front: Front) -> None:
        silent = [front.connects(), front.connects()]
        await until(lambda: front.closed == silent)
        assert front.connects().error is None
        for client in silent:
            front.goes(client)
        assert len(front.addon.clients) == front.addon.by_address["10.0.0.1"] == 1

    plays(play)


def test_a_newcomer_takes_the_place_of_one_from_the_same_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "descriptors", lambda: 3 * limits.DESCRIPTORS_PER_CLIENT)

    async def play(front: Front) -> None:
        other, mine, _ = front.connects("10.0.0.2"), front.connects(), front.connects()
        front.connects()
        assert front.closed == [mine]
        front.connects("10.0.0.3")
        assert front.closed == [mine, other]

    plays(play)


def test_who_has_sent_what_nobody_has_read_yet_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "descriptors", lambda: 2 * limits.DESCRIPTORS_PER_CLIENT)

    async def play(front: Front) -> None:
        spoke, silent = front.connects(), front.connects()
        monkeypatch.setattr(connection_limits, "has_spoken", lambda client: client is spoke)
        assert front.connects().error is None
        assert front.closed == [silent]

    plays(play)
